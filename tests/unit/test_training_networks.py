"""Every network of a configuration is in the table of layer groups, as it is trained."""

from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML
from support.fake_results import fake_params
from support.training import STAGES, datasets_of

from reprise.engines.preset import render
from reprise.jobs import tasks
from reprise.models.build import build_classifier
from reprise.params.load import parse
from reprise.training.networks import layer_table

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("preset", sorted(path.stem for path in ROOT.glob("presets/*.yaml")))
def test_every_network_of_every_preset_is_in_the_table(preset: str) -> None:
    params = parse(YAML(typ="safe", pure=True).load(render(preset, ROOT / "presets")))
    layers = layer_table(params, datasets_of(params))
    runs = [(stage, name, run) for stage, name, task in tasks(params, *STAGES) for run in task.runs]
    keys = layers[["stage", "task", "run"]].drop_duplicates()
    assert list(keys.itertuples(index=False, name=None)) == runs
    totals = layers.groupby(["stage", "task", "run"])[["parameters", "multiply_adds"]].sum()
    assert (totals > 0).all().all()
    for name, task in params.classify.items():
        for run in task.runs:
            with torch.device("meta"):
                network = build_classifier(task.recipes[run], 11)
            built = sum(p.numel() for p in network.parameters())
            assert totals.loc[("classify", name, run), "parameters"] == built


def test_frozen_runs_train_their_head_alone() -> None:
    params = fake_params()
    layers = layer_table(params, datasets_of(params))
    counts = layers[layers["stage"] == "finetune"].groupby("run")[["parameters", "trained"]].sum()
    assert list(counts.index) == list("ABCDE") and counts["parameters"].nunique() == 1
    head = 512 * 8 + 8 + 2 * 8 + 8 * 11 + 11  # linear, batch norm, linear
    assert counts["trained"].tolist() == [counts["parameters"].iloc[0]] * 3 + [head] * 2


def test_a_pretraining_is_shown_with_its_heads_and_segment_anything_is_not_trained() -> None:
    params = fake_params()
    layers = layer_table(params, datasets_of(params))
    pretraining = layers[layers["stage"] == "pretrain"]
    parts = pretraining["group"].str.split(".").str[0].groupby(pretraining["run"]).unique()
    assert list(parts["byol"]) == ["backbone", "projector", "predictor"]
    assert list(parts["supervised"]) == ["backbone", "last"]
    masks = layers[layers["stage"] == "segment_anything"]
    assert masks["trained"].sum() == 0 and set(masks["input"]) == {"3 x 64 x 64"}


def test_merged_classes_make_a_smaller_last_layer() -> None:
    params = fake_params()
    layers = layer_table(params, datasets_of(params))
    last = layers[layers["task"] == "skips"].groupby("run")["output"].last()
    assert last.to_dict() == {"skip": "11 x 32 x 32", "merged": "3 x 32 x 32"}
