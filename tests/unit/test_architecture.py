"""Promises of the architecture tables: sizes, parameters, multiply-adds are the networks' own."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from ruamel.yaml import YAML
from torch import nn
from torchvision import models
from torchvision.models import segmentation

from reprise.evaluation.architecture import layers_table, networks_table
from reprise.models.classifier import small_cnn
from reprise.models.layers import layer_groups
from reprise.params import Params, parse
from reprise.pipeline.preset import render
from reprise.training.architectures import architectures, networks

ROOT = Path(__file__).parents[2]
META = torch.device("meta")


def test_a_small_network_is_counted_as_by_hand() -> None:
    with META:
        groups = layer_groups(small_cnn(32, 14), (32, 32))
    assert [group.output for group in groups] == [
        (32, 16, 16), (64, 8, 8), (256,), (128,), (14,)
    ]  # fmt: skip
    # kernel x channels in x channels out x places of the kernel; the maps keep their size
    assert [group.multiply_adds for group in groups] == [
        9 * 3 * 32 * 32 * 32, 9 * 32 * 64 * 16 * 16, 4096 * 256, 256 * 128, 128 * 14
    ]  # fmt: skip
    # weights and biases, and scale and shift of the batch norm
    assert [group.parameters for group in groups] == [
        9 * 3 * 32 + 32 + 64, 9 * 32 * 64 + 64 + 128, 4096 * 256 + 256, 256 * 128 + 128,
        128 * 14 + 14,
    ]  # fmt: skip
    assert groups[0].layers == "convolution 3 x 3, batch norm, ReLU, max-pool"


@pytest.mark.parametrize(
    ("name", "size"),
    [("AlexNet", 224), ("VGG16", 224), ("ResNet18", 224), ("ResNet50", 224), ("ResNet101", 224),
     ("ResNeXt101_64X4D", 224), ("EfficientNet_B2", 288)],
)  # fmt: skip
def test_multiply_adds_and_parameters_are_the_published_ones(name: str, size: int) -> None:
    published = getattr(models, f"{name}_Weights").IMAGENET1K_V1.meta
    with META:
        groups = layer_groups(getattr(models, name.lower())(weights=None), (size, size))
    assert sum(g.multiply_adds for g in groups) / 1e9 == pytest.approx(published["_ops"], abs=6e-4)
    assert sum(g.parameters for g in groups) == published["num_params"]


def test_resnet_50_has_its_five_stages_and_last_layer() -> None:
    with META:
        groups = layer_groups(models.resnet50(weights=None), (224, 224))
    # He et al. 2016, table 1
    assert [(group.name, group.output) for group in groups] == [
        ("conv1", (64, 56, 56)), ("layer1", (256, 56, 56)), ("layer2", (512, 28, 28)),
        ("layer3", (1024, 14, 14)), ("layer4", (2048, 1, 1)), ("fc", (1000,)),
    ]  # fmt: skip
    assert [group.layers.split(",")[0] for group in groups[1:5]] == [
        "3 x Bottleneck", "4 x Bottleneck", "6 x Bottleneck", "3 x Bottleneck"
    ]  # fmt: skip


class Deep(nn.Module):
    """torchvision's DeepLabV3, its main logits alone."""

    def __init__(self) -> None:
        super().__init__()
        self.net = segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.net(images)["out"]


def test_a_segmenter_has_the_published_multiply_adds_and_ends_at_the_images_size() -> None:
    with META:
        groups = layer_groups(Deep(), (520, 520))
    # the published network has an auxiliary head on layer3: 3 x 3 to 256 channels, 1 x 1 to 21
    auxiliary = (9 * 1024 * 256 + 256 * 21) * 65 * 65
    published = segmentation.DeepLabV3_ResNet50_Weights.DEFAULT.meta["_ops"]
    found = sum(group.multiply_adds for group in groups) + auxiliary
    assert found / 1e9 == pytest.approx(published, abs=6e-4)
    assert groups[-1].output == (21, 520, 520)


class Bare(nn.Module):
    """A weight that belongs to no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 4, 1)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.inner(images) * self.scale


def test_a_weight_outside_of_every_layer_is_not_passed_over() -> None:
    with META, pytest.raises(ValueError, match="of the groups"):
        layer_groups(Bare(), (8, 8))


def sets_of(params: Params) -> dict[str, dict[str, object]]:
    """The least that a dataset.json says, for each part."""
    merged = {"3": {"classes": [{"id": i} for i in range(3)], "map": []}}
    about = {"classes": [{"id": i} for i in range(11)], "merged": merged}
    return {part: about | {"height": 64, "width": 64} for part in params.stages}


@pytest.mark.parametrize("preset", sorted(path.stem for path in ROOT.glob("presets/*.yaml")))
def test_every_network_of_every_preset_is_in_the_tables(preset: str) -> None:
    params = parse(YAML(typ="safe", pure=True).load(render(preset, ROOT / "presets")))
    layers = architectures(params, sets_of(params))
    table = networks_table(layers).frame
    jobs = {(part, run) for part, block in params.stages.items() for run in block.runs}
    assert set(zip(table["part"], table["run"], strict=True)) == jobs
    assert (table["parameters"] > 0).all() and (table["multiply_adds"] > 0).all()
    for network in networks(params, sets_of(params)):
        if network.part == "classify":
            with META:
                built = sum(p.numel() for p in network.build().parameters())
            row = table[(table["part"] == "classify") & (table["run"] == network.run)]
            assert row["parameters"].tolist() == [built]


def test_frozen_settings_train_their_head_alone(params: Params) -> None:
    table = networks_table(architectures(params, sets_of(params))).frame
    fine = table[table["part"] == "finetune"].set_index("setting")
    assert list(fine.index) == ["A, B, C", "D, E"]
    assert fine["parameters"].nunique() == 1
    head = 512 * 8 + 8 + 2 * 8 + 8 * 11 + 11  # linear, batch norm, linear
    assert fine["trained"].tolist() == [fine["parameters"].iloc[0], head]


def test_networks_of_one_shape_stand_once_in_the_readable_table(params: Params) -> None:
    table = layers_table(architectures(params, sets_of(params)))
    assert table.text.count("### finetune tiny A, B, C; finetune tiny D, E") == 1
    assert set(table.frame["setting"]) >= {"A, B, C", "D, E"}  # the csv has them all


def test_a_configuration_without_a_run_leaves_tables_that_say_so() -> None:
    empty = pd.DataFrame(columns=["part"])
    assert networks_table(empty).text == layers_table(empty).text == "No run in params.yaml.\n"
