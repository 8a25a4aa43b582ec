"""Checksums of the datasets, weights and predictions, which the report shows."""

import argparse
from pathlib import Path

from reprise.atomic_io import files_in, refuse_overwrite, write_csv
from reprise.cli import run
from reprise.errors import RepriseError
from reprise.evaluation.checksums import checksums
from reprise.evaluation.markdown import Missing, summary
from reprise.params.base import PARAMS
from reprise.params.load import load_params


def main() -> None:
    """Write the checksum of everything that the numbers come from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", default=Path("results"), type=Path, help="folder of all jobs")
    parser.add_argument("--out", required=True, type=Path, help="csv to write")
    parser.add_argument("--params", default=PARAMS, type=Path)
    args = parser.parse_args()

    params, missing = load_params(args.params), Missing()
    inputs = (file for file in files_in([args.results]) if file.name != "checksums.csv")
    refuse_overwrite([args.out], [args.params, *inputs])
    write_csv(args.out, checksums(args.results, params, missing))
    if missing.reasons():
        raise RepriseError(summary(missing.reasons(), str(args.out)))


if __name__ == "__main__":
    run(main)
