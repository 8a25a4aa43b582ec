"""What the stages after the trainings make of a results folder: coordinates, tables, figures."""

from pathlib import Path

from reprise.atomic_io import read_json, write_bytes, write_csv, write_json, write_text
from reprise.evaluation.checksums import checksums
from reprise.evaluation.embedding import embed
from reprise.evaluation.evaluate import evaluate
from reprise.evaluation.markdown import Table
from reprise.evaluation.training_tables import layers_table, networks_table
from reprise.figures import figures
from reprise.figures.style import draw
from reprise.jobs import tasks
from reprise.params.load import Params
from reprise.training.networks import layer_table


def write_evaluation(results: Path, params: Params) -> None:
    """Write what the stages embed, evaluate and checksums do."""
    for name, options in params.embed.items():
        job = f"{options.stage}/{options.task}/{options.run}/{options.seed}"
        for method in options.methods:
            points, layout = embed(results / job / "features.safetensors", method, options)
            write_csv(results / "embed" / name / f"{method}.csv", points)
            write_csv(results / "embed" / name / f"{method}.layout.csv", layout)
    evaluation = evaluate(results, params)
    write_json(results / "metrics.json", evaluation.metrics)
    write_json(results / "intervals.json", evaluation.intervals)
    write_tables(results, evaluation.tables)
    for file, text in evaluation.latex.items():
        write_text(results / "latex" / file, text)
    write_csv(results / "checksums.csv", checksums(results, params))


def write_figures(results: Path, params: Params) -> None:
    """Write what the stages model_summary and plot do."""
    names = sorted({task.data for _, _, task in tasks(params)})
    datasets = {name: read_json(results / "prepare" / name / "dataset.json") for name in names}
    layers = layer_table(params, datasets)
    write_tables(results, {"networks": networks_table(layers), "layers": layers_table(layers)})
    for name in figures(params):
        drawn = draw(name, results, params)
        write_bytes(results / "figures" / f"{name}.png", drawn.png)
        write_bytes(results / "vector" / f"{name}.svg", drawn.svg)


def write_tables(results: Path, tables: dict[str, Table]) -> None:
    """Write tables as csv and markdown."""
    for name, table in tables.items():
        write_csv(results / "tables" / f"{name}.csv", table.frame)
        write_text(results / "tables" / f"{name}.md", table.markdown)
