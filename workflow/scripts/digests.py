"""Data sets, weights and predictions to their digests, which the report shows."""

import argparse
from pathlib import Path

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.evaluation.digests import digests
from reprise.evaluation.holes import Holes, summary
from reprise.files import write_csv
from reprise.params import load_params


def main() -> None:
    """Write the digest of everything that the numbers come from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", default=Path("results"), type=Path, help="folder of all jobs")
    parser.add_argument("--out", required=True, type=Path, help="csv to write")
    parser.add_argument("--params", default=Path("params.yaml"), type=Path)
    given = parser.parse_args()

    params = load_params(given.params)
    holes = Holes()
    write_csv(given.out, digests(given.results, params, holes))
    if holes.of():
        raise RepriseError(summary(holes.of(), str(given.out)))


if __name__ == "__main__":
    run(main)
