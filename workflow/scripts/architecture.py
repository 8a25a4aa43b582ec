"""The layer groups, output sizes, parameters and multiply-adds of every network, as tables."""

import argparse
from pathlib import Path

from reprise.cli import run
from reprise.evaluation.architecture import layers_table, networks_table
from reprise.files import read_json, write_csv, write_text
from reprise.params import load_params
from reprise.training.architectures import architectures


def main() -> None:
    """Build every network of params.yaml without memory, and write what it is made of."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", default=Path("results"), type=Path, help="folder of all jobs")
    parser.add_argument("--params", default=Path("params.yaml"), type=Path)
    given = parser.parse_args()

    params = load_params(given.params)
    sets = {
        part: read_json(given.results / "prepare" / block.data / "dataset.json")
        for part, block in params.stages.items()
    }
    layers = architectures(params, sets)
    for name, table in (
        ("architecture", networks_table(layers)),
        ("layers", layers_table(layers)),
    ):
        write_csv(given.results / "tables" / f"{name}.csv", table.frame)
        write_text(given.results / "tables" / f"{name}.md", table.text)


if __name__ == "__main__":
    run(main)
