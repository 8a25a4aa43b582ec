"""A network of timm or smp goes through every stage as one of our own does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.small_datasets import dark_and_bright, small_dataset, write_and_read

import reprise
from reprise.export.programs import plain, write_programs
from reprise.models.build import BUILDERS
from reprise.params.classify import ClassifyRecipe

TRAINING = {"epochs": 1, "batch_size": 7, "learning_rate": 0.01}
CLASSIFIER = TRAINING | {"model": "timm/test_resnet", "image_size": 32, "feature_epochs": [1]}
VIEWS = {"augment": {"min_scale": 0.5, "brightness": 0.4}, "allow_collapse": True, "knn_k": 3}
VIEWS |= {"proj_hidden_dim": 8, "proj_output_dim": 4, "base_tau": 0.9}


def test_it_is_pretrained_fine_tuned_and_scored(tmp_path: Path) -> None:
    data = dark_and_bright(tmp_path / "data")
    backbone = {"backbone": "timm/test_vit", "stem": "imagenet"} | TRAINING
    out = reprise.train("pretrain", backbone | {"method": "byol"} | VIEWS, data, tmp_path / "byol")
    recipe = backbone | {"head_hidden_dim": 8, "feature_epochs": []}
    start = out / "backbone.safetensors"
    tuned = reprise.train("finetune", recipe, data, tmp_path / "tuned", backbone=start)
    assert 0 <= reprise.score([tuned], data).value <= 1


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    data = dark_and_bright(tmp_path / "data")
    recipe = CLASSIFIER | {"normalize": "network"}
    one, two = (reprise.train("classify", recipe, data, tmp_path / name, 3) for name in "ab")
    for file in ("model.safetensors", "features.safetensors", "predictions.csv"):
        assert (one / file).read_bytes() == (two / file).read_bytes()


@pytest.mark.parametrize("model", ["smp/unet/tu-test_resnet", "smp/fpn/resnet18"])
def test_it_segments(model: str, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255, (12, 32, 32, 3)).astype(np.uint8)
    labels = (images[..., 0] > 127).astype(np.uint8)
    data = write_and_read(tmp_path / "data", small_dataset(images, labels, 2))
    recipe = TRAINING | {"model": model, "image_size": 32, "batch_size": 2}
    out = reprise.train("segment", recipe, data, tmp_path / "out")
    assert 0 <= reprise.score([out], data).value <= 1


@pytest.mark.parametrize("name", ["timm/test_resnet", "timm/test_vit"])
def test_it_is_exported_as_a_program(name: str, tmp_path: Path) -> None:
    recipe = ClassifyRecipe(**(CLASSIFIER | {"model": name}))
    torch.manual_seed(0)
    model: Any = BUILDERS["classify"](recipe, 5).eval()
    left_out = write_programs(tmp_path, model, (32, 32))
    assert "model.pt2" not in left_out
    program = torch.export.load(tmp_path / "model.pt2").module()
    images = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(program(images), plain(model)(images))
