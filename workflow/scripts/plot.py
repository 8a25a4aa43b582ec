"""One figure from tables, histories, predictions, coordinates or masks."""

import argparse
from pathlib import Path

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.evaluation.holes import Holes, summary
from reprise.figures.draw import FIGURES, draw
from reprise.files import write_bytes
from reprise.params import load_params


def main() -> None:
    """Draw one figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", required=True, choices=FIGURES)
    parser.add_argument("--results", default=Path("results"), type=Path, help="folder of all jobs")
    parser.add_argument("--out", required=True, type=Path, help="PNG to write")
    parser.add_argument("--vector", required=True, type=Path, help="SVG to write")
    parser.add_argument("--params", default=Path("params.yaml"), type=Path)
    given = parser.parse_args()

    params = load_params(given.params)
    holes = Holes()
    drawn = draw(given.figure, given.results, params, holes)
    write_bytes(given.vector, drawn.svg)
    write_bytes(given.out, drawn.png)
    if holes.of():
        raise RepriseError(summary(holes.of(), str(given.out)))


if __name__ == "__main__":
    run(main)
