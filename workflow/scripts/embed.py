"""Features of the second-last layer to points in the plane."""

import argparse
from pathlib import Path

from reprise.cli import run
from reprise.evaluation.embedding import embed
from reprise.files import write_csv
from reprise.params import load_params


def main() -> None:
    """Embed one features.safetensors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True, choices=["classify", "finetune"])
    parser.add_argument("--method", required=True, choices=["pca", "tsne"])
    parser.add_argument("--features", required=True, type=Path, help="features.safetensors to read")
    parser.add_argument(
        "--out", required=True, type=Path, help="csv to write; .layout.csv beside it"
    )
    parser.add_argument("--params", default=Path("params.yaml"), type=Path)
    given = parser.parse_args()

    params = load_params(given.params)
    points, layout = embed(given.features, given.method, params.embed)
    write_csv(given.out, points)
    write_csv(given.out.with_suffix(".layout.csv"), layout)


if __name__ == "__main__":
    run(main)
