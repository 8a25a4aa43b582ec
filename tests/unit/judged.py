"""What is made of a results folder after its trainings: tables, digests and figures."""

from pathlib import Path

from reprise.evaluation.architecture import layers_table, networks_table
from reprise.evaluation.digests import digests
from reprise.evaluation.evaluate import evaluate
from reprise.figures.draw import draw, figures
from reprise.files import read_json, write_bytes, write_csv, write_json, write_text
from reprise.params import Params
from reprise.training.architectures import architectures


def judge(results: Path, params: Params) -> None:
    """Write them as the stages evaluate, architecture, digests and plot do."""
    metrics, tables = evaluate(results, params)
    write_json(results / "metrics.json", metrics)
    sets = {
        part: read_json(results / "prepare" / block.data / "dataset.json")
        for part, block in params.stages.items()
    }
    layers = architectures(params, sets)
    tables |= {"architecture": networks_table(layers), "layers": layers_table(layers)}
    for name, table in tables.items():
        write_csv(results / "tables" / f"{name}.csv", table.frame)
        write_text(results / "tables" / f"{name}.md", table.text)
    write_csv(results / "digests.csv", digests(results, params))
    for name in figures(params):
        drawn = draw(name, results, params)
        write_bytes(results / "figures" / f"{name}.png", drawn.png)
        write_bytes(results / "vector" / f"{name}.svg", drawn.svg)
