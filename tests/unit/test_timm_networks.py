"""Networks of timm by name: what timm's metadata say is true, and what does not fit is refused."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from reprise.errors import RepriseError
from reprise.models import timm_networks
from reprise.models.build import (
    build_backbone,
    build_classifier,
    load_weights_into,
    module_of,
    normalization_of,
)
from reprise.models.convolution import CroppedConv2d
from reprise.models.weights import url
from reprise.params import libraries
from reprise.params.training import WeightsFile
from reprise.training.networks import layer_groups

# a small network of each family, by the module of timm that defines it
FAMILIES = {
    "byobnet": "test_byobnet", "convnext": "test_convnext", "efficientnet": "test_efficientnet",
    "mambaout": "test_mambaout", "metaformer": "poolformer_s12",
    "mobilenetv3": "mobilenetv3_small_050", "nfnet": "test_nfnet", "regnet": "regnetx_002",
    "resnet": "test_resnet", "resnetv2": "resnetv2_18", "vision_transformer": "test_vit",
    "deit": "deit_tiny_patch16_224", "dla": "dla46_c", "edgenext": "edgenext_xx_small",
    "efficientformer_v2": "efficientformerv2_s0", "fasternet": "fasternet_t0",
    "hardcorenas": "hardcorenas_a", "hgnet": "hgnetv2_b0",
    "inception_next": "inception_next_atto", "levit": "levit_128s", "mlp_mixer": "gmlp_ti16_224",
    "mobilevit": "mobilevit_xxs", "pit": "pit_ti_224", "pvt_v2": "pvt_v2_b0",
    "resnest": "resnest14d", "rexnet": "rexnet_100", "selecsls": "selecsls42",
    "sknet": "skresnet18", "starnet": "starnet_s1", "visformer": "visformer_tiny",
    "vovnet": "ese_vovnet19b_slim", "xcit": "xcit_nano_12_p16_224",
}  # fmt: skip
SIZE = 64


def recipe(name: str, size: int = SIZE) -> Any:
    return SimpleNamespace(model=f"timm/{name}", image_size=size, dropout=0.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_of_each_family_trains_and_is_measured(family: str) -> None:
    torch.manual_seed(0)
    name = FAMILIES[family]
    model = build_classifier(recipe(name), 3)
    assert model.training and not model.backbone.frozen
    logits = model(torch.randn(2, 3, SIZE, SIZE))
    assert logits.shape == (2, 3)
    logits.square().sum().backward()
    lacking = [key for key, weight in model.named_parameters() if weight.grad is None]
    assert lacking == [], f"{name}: no gradient"
    assert not [layer for layer in model.modules() if type(layer) is nn.Conv2d]
    assert any(isinstance(layer, CroppedConv2d) for layer in model.modules())
    assert module_of(f"timm/{name}") is timm_networks
    assert timm.list_models(name, module=family) == [name]


@pytest.mark.parametrize("family", ["vision_transformer", "xcit", "levit", "mobilevit", "resnet"])
def test_a_network_is_in_the_table_of_layers(family: str) -> None:
    """Also parameters outside of layers, such as a position embedding."""
    with torch.device("meta"):
        model = build_classifier(recipe(FAMILIES[family]), 3)
        groups = layer_groups(model, (SIZE, SIZE))
    assert sum(group.parameters for group in groups) == sum(p.numel() for p in model.parameters())
    rest = sum(group.parameters for group in groups if group.name == "rest")
    assert rest < 0.1 * sum(group.parameters for group in groups)
    assert (rest > 0) == (family in ("vision_transformer", "xcit"))


def test_there_are_networks_of_thirty_families() -> None:
    assert len(FAMILIES) >= 30


def test_the_names_are_those_that_timm_registers() -> None:
    """They are read from its source, because importing it takes seconds."""
    assert list(libraries.timm_networks()) == sorted(timm.list_models())


def test_a_backbone_takes_images_of_any_size() -> None:
    for name in ("test_resnet", "test_vit"):
        backbone = build_backbone(f"timm/{name}", "imagenet").eval()
        for size in (32, 96):
            assert backbone(torch.zeros(1, 3, size, size)).shape == (1, backbone.width)


def test_a_seed_gives_the_same_weights() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(1)
        states.append(build_classifier(recipe("test_vit"), 3).state_dict())
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


@pytest.mark.parametrize(
    ("name", "size", "reason"),
    [
        ("test_vit", 50, "fails on images of 50 pixels .*; change image_size"),
        ("levit_128s", 50, "(fails on|timm cannot build it for) images of 50 pixels .*; change"),
        ("efficientformer_l1", 64, "fails on images of 64 pixels .*; change image_size, or"),
        (
            "test_resnet.r160_in2k",
            64,
            "timm has no weights 'r160_in2k' of test_resnet; did you mean 'r160_in1k'",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(name: str, size: int, reason: str) -> None:
    with pytest.raises(RepriseError, match=f"^timm/{name}: {reason}"):
        build_classifier(recipe(name, size), 3)


def test_a_network_of_one_size_is_refused_where_no_size_is_given() -> None:
    with pytest.raises(RepriseError, match="one size of images only; use it in classify"):
        build_backbone("timm/efficientformerv2_s0", "imagenet")


def test_mean_and_std_are_those_of_the_published_weights() -> None:
    values = SimpleNamespace(normalize="network", model="timm/vit_tiny_patch16_224")
    assert normalization_of(values) == ((0.5,) * 3, (0.5,) * 3)
    values.model = "timm/resnet50d.ra2_in1k"
    assert normalization_of(values) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    values.model = "timm/nothing"
    with pytest.raises(RepriseError, match="timm gives no mean and std; set normalize: imagenet"):
        normalization_of(values)


def test_published_weights_fill_all_but_the_last_layer(tmp_path: Path) -> None:
    published = timm.create_model("test_resnet", num_classes=1000)
    path = tmp_path / "weights.safetensors"
    save_file(published.state_dict(), path)
    from reprise.atomic_io import sha256

    files = {"mine": WeightsFile(path=str(path), sha256=sha256(path), timm="test_resnet.r160_in1k")}
    model = build_classifier(recipe("test_resnet"), 3)
    load_weights_into(model, "timm/test_resnet", "mine", files)
    images = torch.randn(2, 3, SIZE, SIZE)
    expected = published.eval().forward_head(published.forward_features(images), pre_logits=True)
    torch.testing.assert_close(model.eval().backbone(images), expected)
    other = build_classifier(recipe("mobilenetv3_small_050"), 3)
    with pytest.raises(RepriseError, match="does not fit the network"):
        load_weights_into(other, "timm/mobilenetv3_small_050", "mine", files)


def test_timm_knows_the_addresses_of_its_weights() -> None:
    file = WeightsFile(path="a", sha256="0" * 8, timm="resnet50d.ra2_in1k")
    address = "https://huggingface.co/timm/resnet50d.ra2_in1k/resolve/main/model.safetensors"
    assert url(file) == address
    for wrong in ("resnet50d.nobody", "nothing"):
        with pytest.raises(RepriseError, match="timm has no weights 'no(body|thing)'"):
            url(WeightsFile(path="a", sha256="0" * 8, timm=wrong))
