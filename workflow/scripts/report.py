"""Write results/report.html: all tables and figures on one page that needs no other file."""

import argparse
from pathlib import Path

from reprise.atomic_io import files_in, refuse_overwrite, write_text
from reprise.cli import run
from reprise.errors import RepriseError
from reprise.evaluation.markdown import summary
from reprise.params.load import load_params
from reprise.params.reader import parse_yaml, preset_name, read_text
from reprise.report.sections import report


def main() -> None:
    """Write the report; if something is missing, note it in the page and fail at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", default=Path("results"), type=Path, help="folder of all jobs")
    parser.add_argument("--out", required=True, type=Path, help="HTML file to write")
    parser.add_argument("--params", default=Path("params.yaml"), type=Path)
    args = parser.parse_args()

    params = load_params(args.params)
    inputs = (file for file in files_in([args.results]) if file.suffix != ".html")
    refuse_overwrite([args.out], [args.params, *inputs])
    text = read_text(args.params)
    html, missing = report(args.results, params, preset_name(text), parse_yaml(text))
    write_text(args.out, html)
    if missing:
        raise RepriseError(summary(missing, str(args.out)))


if __name__ == "__main__":
    run(main)
