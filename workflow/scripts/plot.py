"""Figures from tables, histories, predictions, coordinates or masks, each as PNG and SVG."""

import argparse
from pathlib import Path

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.evaluation.holes import Holes, summary
from reprise.figures.draw import draw
from reprise.files import write_bytes
from reprise.params import load_params


def main() -> None:
    """Draw figures; one that cannot be drawn does not keep the others from it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figures", required=True, nargs="+", help="their names, as pairs")
    parser.add_argument("--results", default=Path("results"), type=Path, help="folder of all jobs")
    parser.add_argument("--out", type=Path, help="folder of the PNG; figures/ in the results")
    parser.add_argument("--vector", type=Path, help="folder of the SVG; vector/ in the results")
    parser.add_argument("--params", default=Path("params.yaml"), type=Path)
    given = parser.parse_args()

    params = load_params(given.params)
    pictures = given.out or given.results / "figures"
    vectors = given.vector or given.results / "vector"
    holes = Holes()
    for name in given.figures:
        with holes.leave_out(name):
            drawn = draw(name, given.results, params, holes)
            write_bytes(vectors / f"{name}.svg", drawn.svg)
            write_bytes(pictures / f"{name}.png", drawn.png)
    if holes.of():
        raise RepriseError(summary(holes.of(), str(pictures)))


if __name__ == "__main__":
    run(main)
