"""Decoders and encoders of segmentation_models_pytorch by name."""

from types import SimpleNamespace
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file

from reprise.atomic_io import sha256
from reprise.errors import RepriseError
from reprise.models import smp_networks
from reprise.models.build import build_segmenter, load_weights_into, module_of, normalization_of
from reprise.params import libraries
from reprise.params.training import WeightsFile
from reprise.training.networks import layer_groups


def recipe(model: str) -> Any:
    return SimpleNamespace(model=model)


@pytest.mark.parametrize("decoder", smp.MODEL_ARCHITECTURES_MAPPING)
def test_every_decoder_trains_and_is_measured(decoder: str) -> None:
    encoder = "tu-test_vit" if decoder == "dpt" else "tu-test_resnet"
    name = f"smp/{decoder}/{encoder}"
    side = libraries.image_sizes(name)[0] * (2 if decoder != "pan" else 1)
    torch.manual_seed(0)
    model = build_segmenter(recipe(name), 4)
    logits = model(torch.randn(2, 3, side, side))
    assert logits.shape == (2, 4, side, side)
    logits.square().sum().backward()
    assert all(p.grad is not None for p in model.net.segmentation_head.parameters())
    assert any(p.grad is not None for p in model.net.encoder.parameters())
    with torch.device("meta"):
        groups = layer_groups(build_segmenter(recipe(name), 4), (side, side))
    assert sum(group.parameters for group in groups) == sum(p.numel() for p in model.parameters())
    assert module_of(name) is smp_networks


def test_the_names_are_those_of_the_library() -> None:
    """They are read from its source, because importing it takes seconds."""
    assert libraries.decoders() == tuple(smp.MODEL_ARCHITECTURES_MAPPING)
    assert libraries.encoders() == tuple(sorted(smp.encoders.encoders))


@pytest.mark.parametrize(
    "encoder",
    ["resnet18", "mobilenet_v2", "timm-mobilenetv3_small_075", "tu-mobilenetv3_small_050"],
)
def test_an_encoder_is_the_librarys_or_one_of_timm(encoder: str) -> None:
    name = f"smp/unet/{encoder}"
    assert libraries.unknown_part(name) is None
    with torch.device("meta"):
        assert build_segmenter(recipe(name), 4)(torch.empty(1, 3, 64, 64)).shape == (1, 4, 64, 64)


def test_a_pair_that_does_not_fit_is_refused_with_a_reason() -> None:
    with pytest.raises(RepriseError, match=r"deeplabv3 cannot be built on vgg11 \(.*\); choose"):
        build_segmenter(recipe("smp/deeplabv3/vgg11"), 4)


def test_mean_and_std_are_those_of_timm() -> None:
    values = SimpleNamespace(normalize="network", model="smp/unet/timm-mobilenetv3_large_100")
    mean, std = normalization_of(values) or ((), ())
    assert len(mean) == len(std) == 3
    assert smp_networks.timm_name("timm-mobilenetv3_large_100") == "tf_mobilenetv3_large_100"
    assert smp_networks.timm_name("tu-mobilenetv3_large_100") == "mobilenetv3_large_100"
    values.model = "smp/unet/resnet18"
    with pytest.raises(RepriseError, match="mean and std of 'resnet18' are not known"):
        normalization_of(values)


@pytest.mark.parametrize("encoder", ["tu-test_resnet", "resnet18"])
def test_published_weights_fill_the_encoder(encoder: str, tmp_path: Any) -> None:
    import timm
    from torchvision.models import resnet18

    published = timm.create_model("test_resnet") if encoder[:3] == "tu-" else resnet18()
    path = tmp_path / "weights.safetensors"
    save_file(published.state_dict(), path)
    files = {"mine": WeightsFile(path=str(path), sha256=sha256(path))}
    model: Any = build_segmenter(recipe(f"smp/unet/{encoder}"), 4)
    load_weights_into(model, f"smp/unet/{encoder}", "mine", files)
    state = published.state_dict()
    loaded = {k.removeprefix("model."): v for k, v in model.net.encoder.state_dict().items()}
    assert all(torch.equal(value, state[key]) for key, value in loaded.items())
    other = f"smp/unet/{'resnet18' if encoder[:3] == 'tu-' else 'tu-test_resnet'}"
    with pytest.raises(RepriseError, match="does not fit the network"):
        load_weights_into(build_segmenter(recipe(other), 4), other, "mine", files)
