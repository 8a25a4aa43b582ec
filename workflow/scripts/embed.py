"""Features of the penultimate layer to points in the plane."""

import argparse
from pathlib import Path

from reprise.atomic_io import refuse_overwrite, write_csv
from reprise.cli import run
from reprise.evaluation.embedding import embed
from reprise.params.base import PARAMS, load_block
from reprise.params.embed import Embed


def main() -> None:
    """Embed one features.safetensors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="an entry of the block embed of params.yaml")
    parser.add_argument("--method", required=True, choices=["pca", "tsne"])
    parser.add_argument("--features", required=True, type=Path, help="features.safetensors to read")
    parser.add_argument(
        "--out", required=True, type=Path, help="csv to write; .layout.csv is written next to it"
    )
    parser.add_argument("--params", default=PARAMS, type=Path)
    args = parser.parse_args()

    options = load_block(args.params, f"embed.{args.name}", Embed)
    layout_file = args.out.with_suffix(".layout.csv")
    refuse_overwrite([args.out, layout_file], [args.params, args.features])
    points, layout = embed(args.features, args.method, options)
    write_csv(args.out, points)
    write_csv(layout_file, layout)


if __name__ == "__main__":
    run(main)
