"""Prepare one dataset: cut it from its source, split it by place or person, describe it."""

import argparse
import logging
from pathlib import Path

from pydantic import RootModel

from reprise.cli import run
from reprise.datasets.writer import write_dataset
from reprise.params.base import load_block
from reprise.params.datasets import DatasetRecipe
from reprise.plugins import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="a name in datasets of params.yaml")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    recipe = load_block(args.params, f"datasets.{args.dataset}", RootModel[DatasetRecipe]).root
    # found by name, so that a job depends on its own source alone: earth_tiles is made by
    # reprise.datasets.earth
    source = load("datasets", recipe.source.partition("_")[0])
    dataset = source.prepare(recipe)
    write_dataset(args.out, args.dataset, dataset)
    logging.info(
        "%s: %d images in %d classes", args.dataset, len(dataset.images), len(dataset.classes)
    )


if __name__ == "__main__":
    run(main)
