"""How the numbers were made, and what they do not show."""

import re
from pathlib import Path

import pandas as pd
import pytest
from support.html_checker import read_html

from reprise.atomic_io import sha256
from reprise.datasets.prepared import PreparedDataset, read_prepared
from reprise.jobs import tasks
from reprise.params.load import Params
from reprise.report.methods import DIGITS, dataset_table, limitations, provenance, target
from reprise.report.results_reader import ResultsReader


@pytest.fixture(scope="module")
def datasets(whole_results: Path) -> dict[str, PreparedDataset]:
    folders = sorted((whole_results / "prepare").iterdir())
    return {folder.name: read_prepared(folder) for folder in folders}


def test_the_command_and_parameters_of_every_task_are_shown(
    whole_results: Path, params: Params
) -> None:
    text = read_html(provenance(ResultsReader(whole_results), params)).text
    targets = {
        f"{stage} {task}": target(stage, task, block) for stage, task, block in tasks(params)
    }
    assert all(f"snakemake --cores 4 {files}" in text for files in targets.values())
    assert "learning_rate: 0.01" in text
    assert targets["finetune tiny"] == "results/finetune/tiny/{A,B,C,D,E}/{0,1,2}/history.csv"
    assert targets["classify baseline"] == "results/classify/baseline/{cnn,big}/0/history.csv"


def test_the_checksums_of_code_data_weights_and_predictions_are_shown(
    whole_results: Path, params: Params
) -> None:
    text = read_html(provenance(ResultsReader(whole_results), params)).text
    job = "finetune/tiny/C/1"
    for name in ("prepare/new/labels.npy", f"{job}/predictions.csv", f"{job}/model.safetensors"):
        assert sha256(whole_results / name)[:DIGITS] in text
    table = pd.read_csv(whole_results / "checksums.csv")
    code = table[(table["run"] == "code") & (table["stage"] == "segment")].iloc[0]
    assert f"Code {code['sha256'][:DIGITS]}: workflow/scripts/segment.py" in text


def test_the_limitations_are_computed(
    whole_results: Path, params: Params, datasets: dict[str, PreparedDataset]
) -> None:
    text = read_html(limitations(ResultsReader(whole_results), params, datasets)).text
    assert "One seed only: classify baseline, segment baseline, segment skips." in text
    assert "All seeds of finetune tiny start from the backbones of one pretraining seed" in text
    assert re.search(r"\u00b1\d+\.\d \(finetune tiny, 12 images\), \u00b1", text)
    assert "our numbers on them cannot be compared with published ones" in text
    assert "Dataset cover: Not real: cover." in text


def test_a_rare_class_is_named_with_its_share(
    results: Path, params: Params, datasets: dict[str, PreparedDataset]
) -> None:
    path = results / "tables" / "class_iou.csv"
    table = pd.read_csv(path)
    table.loc[0, "share"] = 0.003
    table.to_csv(path, index=False)
    name = table.loc[0, "class"]
    text = read_html(limitations(ResultsReader(results), params, datasets)).text
    assert f"Rare classes, by share of the labeled test pixels: {name} 0.30 % (seg" in text


def test_a_row_for_each_dataset_with_its_splits(datasets: dict[str, PreparedDataset]) -> None:
    html = dataset_table(datasets)
    assert html.count('<th scope="row">') == 6
    assert "<td>6</td><td>6</td><td>12</td><td>drawn &lt;for&gt; the tests</td>" in html
