"""Layer groups: sizes, parameters and multiply-adds are those of the networks as published."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.models import segmentation

from reprise.models.build import BUILDERS, build_classifier
from reprise.models.sam import build_sam, image_size
from reprise.params.classify import ClassifyRecipe
from reprise.params.models import names
from reprise.training.networks import LayerGroup, layer_groups, sam_groups

META = torch.device("meta")
CNN = ClassifyRecipe(
    model="cnn", image_size=32, feature_epochs=[], epochs=1, batch_size=2, learning_rate=0.1
)


def test_a_small_network_is_counted_as_by_hand() -> None:
    with META:
        groups = layer_groups(build_classifier(CNN, 14), (32, 32))
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


def groups_of_sam(name: str) -> list[LayerGroup]:
    with META:
        return sam_groups(build_sam(name), image_size(name))


@pytest.mark.parametrize(
    ("name", "count", "runs"), [("vit_b", 93.7, 4), ("vit_l", 312.3, 4), ("vit_h", 641.1, 4)]
)
def test_segment_anything_has_its_published_parameters_and_parts(
    name: str, count: float, runs: int
) -> None:
    groups = groups_of_sam(name)
    assert sum(group.parameters for group in groups) / 1e6 == pytest.approx(count, abs=0.05)
    assert [group.name.split(".blocks")[0] for group in groups] == [
        "image_encoder.patch_embed", *["image_encoder"] * runs, "image_encoder.neck",
        "prompt_encoder", "mask_decoder.transformer", "mask_decoder.output_upscaling",
        "mask_decoder.heads", "output",
    ]  # fmt: skip
    # Kirillov et al. 2023: an embedding of 256 x 64 x 64, three masks a quarter of the image's size
    neck, masks, output = (groups[place].output for place in (5, -2, -1))
    assert (neck, masks, output) == ((256, 64, 64), (3, 256, 256), (3, 1024, 1024))


def test_the_image_encoder_of_segment_anything_has_its_published_multiply_adds() -> None:
    encoder = [group for group in groups_of_sam("vit_h") if group.name.startswith("image_encoder")]
    # Zhang et al. 2024 (EfficientViT-SAM) say 2973 G, and leave out the products of the queries
    # with relative positions: 16 heads of 80, along each axis; 28 blocks of 25 windows, 4 whole
    relative = 2 * 16 * 80 * (28 * 25 * 14**3 + 4 * 64**3)
    found = sum(group.multiply_adds for group in encoder) - relative
    assert found / 1e9 == pytest.approx(2973, abs=0.5)


def test_segment_anything_is_counted_as_by_hand() -> None:
    groups = {group.name: group.multiply_adds for group in groups_of_sam("small")}
    # 16 patches of 32 channels; a window is of 3 x 3, so four of them pad the 4 x 4 patches to 36
    linear, attention = 4 * 32 * 32, 2 * 32
    windows = 36 * (linear + 9 * attention + 2 * 3 * 32) + 16 * 2 * 2 * 32 * 32
    whole = 16 * (linear + 16 * attention + 2 * 4 * 32) + 16 * 2 * 2 * 32 * 32
    assert groups["image_encoder.patch_embed"] == 3 * 16 * 16 * 32 * 16
    assert groups["image_encoder.blocks.0-1"] == windows + whole
    assert groups["image_encoder.neck"] == 16 * (32 * 16 + 9 * 16 * 16)
    # positions of two tokens and of 16 patches, two coordinates to 8 frequencies
    assert groups["prompt_encoder"] == (2 + 16) * 2 * 8
    assert groups["mask_decoder.output_upscaling"] == 16 * 16 * 4 * 4 + 64 * 4 * 2 * 4
    # four heads of a mask and one of the IoU; four tokens of two channels times 16 x 16 places
    heads = 4 * (16 * 16 + 16 * 16 + 16 * 2) + (16 * 16 + 16 * 4)
    assert groups["mask_decoder.heads"] == heads + 4 * 2 * 256


class Bare(nn.Module):
    """A weight that belongs to no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 4, 1)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.inner(images) * self.scale


def test_a_weight_outside_of_all_layers_is_in_the_last_group() -> None:
    with META:
        network = Bare()
        *layers, rest = layer_groups(network, (8, 8))
    assert rest.name == "rest" and rest.parameters == network.scale.numel()
    total = sum(weight.numel() for weight in network.parameters())
    assert sum(group.parameters for group in [*layers, rest]) == total


@pytest.mark.parametrize("name", [*names("CLASSIFIERS"), *names("SEGMENTERS")])
def test_no_network_of_ours_has_weights_outside_of_layers(name: str) -> None:
    stage = "classify" if name in names("CLASSIFIERS") else "segment"
    options = {"model": name, "width_mult": 1.0, "image_size": 256, "dropout": 0.0}
    recipe = SimpleNamespace(**options, freeze_bn=False)
    with META:
        groups = layer_groups(BUILDERS[stage](recipe, 3), (256, 256))
    assert "rest" not in [group.name for group in groups]
