"""One figure from tables, histories, predictions, coordinates or masks."""

import argparse
from pathlib import Path

from reprise.cli import run
from reprise.figures.draw import draw
from reprise.files import write_bytes
from reprise.params import load_params


def main() -> None:
    """Draw one figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", required=True, help="its name, as pairs")
    parser.add_argument("--results", default=Path("results"), type=Path, help="folder of all jobs")
    parser.add_argument("--out", required=True, type=Path, help="PNG to write")
    parser.add_argument("--vector", required=True, type=Path, help="SVG to write")
    parser.add_argument("--params", default=Path("params.yaml"), type=Path)
    given = parser.parse_args()

    params = load_params(given.params)
    drawn = draw(given.figure, given.results, params)
    write_bytes(given.vector, drawn.svg)
    write_bytes(given.out, drawn.png)


if __name__ == "__main__":
    run(main)
