"""Write the layer groups, output sizes, parameters and multiply-adds of every network as tables."""

import argparse
from pathlib import Path

from reprise.atomic_io import write_csv, write_text
from reprise.cli import run
from reprise.datasets.prepared import read_description
from reprise.evaluation.training_tables import layers_table, networks_table
from reprise.jobs import tasks
from reprise.params.base import PARAMS
from reprise.params.load import load_params
from reprise.training.networks import layer_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", default=Path("results"), type=Path, help="folder of all jobs")
    parser.add_argument("--params", default=PARAMS, type=Path)
    args = parser.parse_args()
    params = load_params(args.params)
    names = {task.data for _, _, task in tasks(params)}
    prepared = args.results / "prepare"
    datasets = {name: read_description(prepared / name) for name in sorted(names)}
    layers = layer_table(params, datasets)
    for name, table in (("networks", networks_table(layers)), ("layers", layers_table(layers))):
        write_csv(args.results / "tables" / f"{name}.csv", table.frame)
        write_text(args.results / "tables" / f"{name}.md", table.markdown)


if __name__ == "__main__":
    run(main)
