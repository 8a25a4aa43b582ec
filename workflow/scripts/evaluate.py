"""All predictions to metrics.json and the tables."""

import argparse
from pathlib import Path

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.evaluation.evaluate import evaluate
from reprise.evaluation.holes import Holes, summary
from reprise.evaluation.reported import REPORTED
from reprise.files import write_csv, write_json, write_text
from reprise.params import load_params


def main() -> None:
    """Score every job and sum up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", default=Path("results"), type=Path, help="folder of all jobs")
    parser.add_argument("--reported", default=REPORTED, type=Path, help="folder of their numbers")
    parser.add_argument("--params", default=Path("params.yaml"), type=Path)
    given = parser.parse_args()

    params = load_params(given.params)
    holes = Holes()
    metrics, tables = evaluate(given.results, params, holes, given.reported)
    for name, table in tables.items():
        write_csv(given.results / "tables" / f"{name}.csv", table.frame)
        write_text(given.results / "tables" / f"{name}.md", table.text)
    write_json(given.results / "metrics.json", metrics)
    if holes.of():
        raise RepriseError(summary(holes.of(), str(given.results / "tables")))


if __name__ == "__main__":
    run(main)
