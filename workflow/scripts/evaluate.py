"""All predictions to metrics.json, intervals.json and the tables."""

import argparse
from pathlib import Path

from reprise.atomic_io import write_csv, write_json, write_text
from reprise.cli import run
from reprise.errors import RepriseError
from reprise.evaluation.evaluate import evaluate
from reprise.evaluation.markdown import Missing, summary
from reprise.evaluation.published_numbers import PUBLISHED
from reprise.params.base import PARAMS
from reprise.params.load import load_params


def main() -> None:
    """Score every job, summarize and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", default=Path("results"), type=Path, help="folder of all jobs")
    parser.add_argument(
        "--published", default=PUBLISHED, type=Path, help="folder of the published numbers"
    )
    parser.add_argument("--params", default=PARAMS, type=Path)
    args = parser.parse_args()

    missing = Missing()
    evaluation = evaluate(args.results, load_params(args.params), missing, args.published)
    for name, table in evaluation.tables.items():
        write_csv(args.results / "tables" / f"{name}.csv", table.frame)
        write_text(args.results / "tables" / f"{name}.md", table.markdown)
    write_json(args.results / "metrics.json", evaluation.metrics)
    write_json(args.results / "intervals.json", evaluation.intervals)
    for file, text in evaluation.latex.items():
        write_text(args.results / "latex" / file, text)
    if missing.reasons():
        raise RepriseError(summary(missing.reasons(), str(args.results / "tables")))


if __name__ == "__main__":
    run(main)
