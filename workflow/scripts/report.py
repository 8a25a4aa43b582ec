"""Tables and figures to one self-contained page."""

import argparse
from pathlib import Path

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.evaluation.holes import summary
from reprise.figures.report import report
from reprise.files import write_text
from reprise.params import load_params


def main() -> None:
    """Write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", default=Path("results"), type=Path, help="folder of all jobs")
    parser.add_argument("--out", required=True, type=Path, help="HTML file to write")
    parser.add_argument("--params", default=Path("params.yaml"), type=Path)
    given = parser.parse_args()

    params = load_params(given.params)
    html, holes = report(given.results, params)
    write_text(given.out, html)
    if holes:
        raise RepriseError(summary(holes, str(given.out)))


if __name__ == "__main__":
    run(main)
