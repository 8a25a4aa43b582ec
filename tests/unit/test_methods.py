"""How the numbers were made, and what they do not show."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.small_datasets import small_dataset, write_and_read

from reprise.atomic_io import sha256
from reprise.datasets.prepared import PreparedDataset, read_prepared
from reprise.jobs import tasks
from reprise.params.load import Params
from reprise.report.html import ResultsReader
from reprise.report.methods import DIGITS, dataset_rows, limitations, provenance, split_rows


@pytest.fixture(scope="module")
def datasets(whole_results: Path) -> dict[str, PreparedDataset]:
    folders = sorted((whole_results / "prepare").iterdir())
    return {folder.name: read_prepared(folder) for folder in folders}


def test_the_command_and_parameters_of_every_task_are_shown(
    whole_results: Path, params: Params
) -> None:
    made = {row["task"]: row for row in provenance(ResultsReader(whole_results), params)}
    assert list(made) == [f"{stage} {task}" for stage, task, _ in tasks(params)]
    tiny, baseline = made["finetune tiny"], made["classify baseline"]
    assert tiny["target"] == "results/finetune/tiny/{A,B,C,D,E}/{0,1,2}/history.csv"
    assert baseline["target"] == "results/classify/baseline/{cnn,big}/0/history.csv"
    assert "learning_rate: 0.01" in baseline["parameters"]


def test_the_checksums_of_code_data_weights_and_predictions_are_shown(
    whole_results: Path, params: Params
) -> None:
    made = {row["task"]: row for row in provenance(ResultsReader(whole_results), params)}
    folder = whole_results / "finetune" / "tiny" / "C" / "1"
    names = ("model.safetensors", "predictions.csv", "history.csv")
    digits = [sha256(folder / name)[:DIGITS] for name in names]
    assert ["C seed 1", *digits] in made["finetune tiny"]["jobs"]
    labels = sha256(whole_results / "prepare" / "new" / "labels.npy")[:DIGITS]
    assert any(f"labels.npy {labels}" in note for row in made.values() for note in row["notes"])
    table = pd.read_csv(whole_results / "checksums.csv")
    code = table[(table["run"] == "code") & (table["stage"] == "segment")].iloc[0]
    note = f"Code {code['sha256'][:DIGITS]}: workflow/scripts/segment.py and the source files that"
    assert made["segment skips"]["notes"][0].startswith(note)


def test_the_limitations_are_computed(
    whole_results: Path, params: Params, datasets: dict[str, PreparedDataset]
) -> None:
    text = "\n".join(limitations(ResultsReader(whole_results), params, datasets))
    assert "One seed only: classify baseline, segment baseline, segment skips." in text
    assert "Of one pretraining" not in text
    assert re.search(r"\u00b1\d+\.\d \(finetune tiny, 12 images\), \u00b1", text)
    assert "our numbers on them cannot be compared with published ones" in text
    assert "Dataset cover: Not real: cover." in text


def test_only_datasets_without_known_groups_are_called_independent(
    whole_results: Path, params: Params, datasets: dict[str, PreparedDataset]
) -> None:
    blocks = {"group": {"one": "block", "many": "blocks"}}
    grouped = {
        name: replace(one, index=one.index.assign(group="x"), info=dict(one.info) | blocks)
        for name, one in datasets.items()
    }
    text = "\n".join(limitations(ResultsReader(whole_results), params, grouped))
    assert "as independent" not in text
    index = datasets["cover"].index.drop(columns="group", errors="ignore")
    grouped["cover"] = replace(datasets["cover"], index=index)
    text = "\n".join(limitations(ResultsReader(whole_results), params, grouped))
    assert "Nothing is known of which images belong together in cover, so the" in text


def test_runs_of_one_pretraining_are_named(
    whole_results: Path, params: Params, datasets: dict[str, PreparedDataset]
) -> None:
    task = params.finetune["tiny"].model_copy(update={"pretraining_seeds": "shared"})
    shared = params.model_copy(update={"finetune": {"tiny": task}})
    text = "\n".join(limitations(ResultsReader(whole_results), shared, datasets))
    assert "Of one pretraining: finetune tiny, B, C, D, E. All seeds of these runs" in text


def test_a_rare_class_is_named_with_its_share(
    results: Path, params: Params, datasets: dict[str, PreparedDataset]
) -> None:
    path = results / "tables" / "class_iou.csv"
    table = pd.read_csv(path)
    table.loc[0, "share"] = 0.003
    table.to_csv(path, index=False)
    name = table.loc[0, "class"]
    text = "\n".join(limitations(ResultsReader(results), params, datasets))
    assert f"Rare classes, by share of the labeled test pixels: {name} 0.30 % (seg" in text


def test_a_row_for_each_dataset_with_its_splits(datasets: dict[str, PreparedDataset]) -> None:
    rows = dataset_rows(datasets)
    assert len(rows) == 6
    assert any(row[3:7] == ["6", "6", "12", "drawn <for> the tests"] for row in rows)


def test_a_row_for_each_dataset_says_how_it_was_split(tmp_path: Path) -> None:
    labels = np.array([0, 0, 0, 1, 0, 1], np.uint8)
    images = np.arange(72, dtype=np.uint8).reshape(6, 2, 2, 3)
    words = {"one": "block", "many": "blocks"}
    split = {"seed": 7, "least_gap_pixels": 3}
    groups = list("xyzxyw")
    tiles = small_dataset(images, labels, 2, groups=groups, group=words, split=split)
    datasets = {
        "tiles": write_and_read(tmp_path / "tiles", tiles),
        "plain": write_and_read(tmp_path / "plain", small_dataset(images, labels, 2)),
    }
    assert split_rows(datasets) == [
        ["tiles", "1 / 1 / 2 blocks", "50.0", "3", "7", "b in val"],
        ["plain", "2 / 2 / 2 images", "50.0", "-", "-", "b in val"],
    ]


def test_a_dataset_of_an_earlier_version_has_no_split_to_describe(
    datasets: dict[str, PreparedDataset],
) -> None:
    older = {name: replace(data, info={"note": ""}) for name, data in datasets.items()}
    assert all(row[2:] == ["-", "-", "-", "none"] for row in split_rows(older))


def test_groups_that_touch_train_are_said(
    whole_results: Path, params: Params, datasets: dict[str, PreparedDataset]
) -> None:
    text = "\n".join(limitations(ResultsReader(whole_results), params, datasets))
    assert "Leak" not in text and "touches" not in text
    leaks = {"test_groups_touching_train": 5, "val_groups_touching_train": 0}
    leaks |= {"touching": "share an edge with a tile of train"}
    cover = replace(datasets["cover"], info=dict(datasets["cover"].info) | leaks)
    text = "\n".join(limitations(ResultsReader(whole_results), params, datasets | {"cover": cover}))
    assert (
        "Leak in cover: 5 of the 12 groups of the test split share an edge with a tile of train, "
        "so its scores may be higher"
    ) in text
    assert "No group of cover's val split was seen to touch its train split;" in text


def test_a_verified_hand_out_is_named_with_its_dataset(
    datasets: dict[str, PreparedDataset],
) -> None:
    assert "Verified" not in str(dataset_rows(datasets))
    info = dict(datasets["cover"].info) | {"verified": True, "archive": "NTU DLCV 2022 HW1"}
    (row,) = dataset_rows({"cover": replace(datasets["cover"], info=info)})
    assert row[-2].endswith("Verified: all files are those of NTU DLCV 2022 HW1.")
