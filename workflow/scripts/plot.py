"""Draw figures as PNG and SVG from tables, histories, predictions, embeddings or masks."""

import argparse
from pathlib import Path

from reprise.atomic_io import write_bytes
from reprise.cli import run
from reprise.errors import RepriseError
from reprise.evaluation.markdown import Missing, summary
from reprise.figures.style import draw
from reprise.params.load import load_params


def main() -> None:
    """Draw figures; if one cannot be drawn, draw the others and fail at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = "figure names, such as comparisons"
    parser.add_argument("--figures", required=True, nargs="+", metavar="NAME", help=names)
    parser.add_argument("--results", default=Path("results"), type=Path, help="folder of all jobs")
    parser.add_argument(
        "--out", type=Path, help="folder of the PNG files; default: RESULTS/figures"
    )
    parser.add_argument(
        "--vector", type=Path, help="folder of the SVG files; default: RESULTS/vector"
    )
    parser.add_argument("--params", default=Path("params.yaml"), type=Path)
    args = parser.parse_args()

    params = load_params(args.params)
    png_folder = args.out or args.results / "figures"
    svg_folder = args.vector or args.results / "vector"
    missing = Missing()
    for name in args.figures:
        with missing.collecting(name):
            drawn = draw(name, args.results, params, missing)
            write_bytes(svg_folder / f"{name}.svg", drawn.svg)
            write_bytes(png_folder / f"{name}.png", drawn.png)
    if missing.reasons():
        raise RepriseError(summary(missing.reasons(), str(png_folder)))


if __name__ == "__main__":
    run(main)
