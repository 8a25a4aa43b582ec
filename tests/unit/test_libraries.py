"""Names of the networks of timm and smp in params.yaml: known ones pass, wrong ones get hints."""

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from reprise.atomic_io import sha256
from reprise.errors import RepriseError
from reprise.models import weights
from reprise.models.weights import read_weights
from reprise.params import models
from reprise.params.load import parse
from reprise.params.training import WeightsFile

ROOT = Path(__file__).parents[2]
EARTH = yaml.safe_load((ROOT / "presets" / "earth.yaml").read_text())
BASELINE = ("classify", "baseline", "recipes", "cnn")
FCN = ("segment", "baseline", "recipes", "fcn32s")
BYOL = ("pretrain", "earth", "recipes", "byol")
COMMON = ("finetune", "earth", "common")


def changed(place: tuple[str, ...], **values: Any) -> dict[str, Any]:
    """The preset earth with other values in one block."""
    whole = copy.deepcopy(EARTH)
    block = whole
    for key in place:
        block = block[key]
    block |= values
    return whole


@pytest.mark.parametrize(
    ("place", "values"),
    [
        (BASELINE, {"model": "timm/resnet50d"}),
        (BASELINE, {"model": "timm/resnet50d.ra2_in1k", "normalize": "network"}),
        (BYOL, {"backbone": "timm/convnext_atto", "stem": "imagenet"}),
        (COMMON, {"backbone": "timm/vit_tiny_patch16_224", "stem": "imagenet"}),
        (FCN, {"model": "smp/unet/timm-mobilenetv3_large_100"}),
        (FCN, {"model": "smp/deeplabv3plus/tu-mobilenetv3_large_100"}),
        (FCN, {"model": "smp/pan/resnet18", "image_size": 128}),
    ],
)
def test_a_network_of_a_library_is_named_in_a_recipe(
    place: tuple[str, ...], values: dict[str, Any]
) -> None:
    parse(changed(place, **values))


@pytest.mark.parametrize(
    ("place", "values", "message"),
    [
        (BASELINE, {"model": "timm/resnet50dd"},
         r"cnn.model: 'timm/resnet50dd': timm has no 'resnet50dd'; the nearest are "
         r"timm/resnet50d, timm/\w+, timm/\w+$"),
        (FCN, {"model": "smp/unett/resnet18"},
         r"no decoder 'unett'; the nearest are smp/unet/resnet18, smp/\w+/resnet18, smp/"),
        (FCN, {"model": "smp/unet/resnet19"},
         r"no encoder 'resnet19'; the nearest are smp/unet/resnet18, smp/unet/\w+, smp/unet/\w+$"),
        (FCN, {"model": "smp/unet/tu-resnet10tt"}, r"the nearest are smp/unet/tu-resnet10t, "),
        (FCN, {"model": "smp/unet"}, "no encoder ''; the nearest are smp/unet/"),
        (BASELINE, {"model": "smp/unet/resnet18"}, "cannot be used here; smp/... is for segment$"),
        (FCN, {"model": "timm/resnet18"}, "is for pretrain, finetune and classify$"),
        (FCN, {"model": "smp/unet/resnet18", "image_size": 48}, "choose a multiple of 32"),
        (FCN, {"model": "smp/pan/resnet18", "image_size": 96}, "multiple of 32, 128 or more"),
        (BASELINE, {"model": "cnm"}, "did you mean 'cnn'\\?, or a network of timm/...$"),
        (BASELINE, {"model": "timm/../resnet18"}, "is not the name of a network"),
        (BASELINE, {"model": "hub/resnet18"}, "'hub/resnet18' is not the name of a network; use"),
        (BASELINE, {"model": "timm/resnet18; rm"}, "is not the name of a network"),
        (BYOL, {"backbone": "timm/resnet18"}, "byol.stem: timm/resnet18 has its own; set stem: im"),
        (COMMON, {"backbone": "timm/resnet18", "stem": "imagenet", "keep_imagenet_fc": True},
         "common.keep_imagenet_fc: timm/resnet18 ends before that layer; set it to false"),
        (BASELINE, {"normalize": "network"}, "normalize: network is for those of timm and smp"),
        (BASELINE, {"normalize": "networks"}, "choose from dataset, imagenet, none, network"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line_with_what_to_write(
    place: tuple[str, ...], values: dict[str, Any], message: str
) -> None:
    with pytest.raises(RepriseError, match=message) as error:
        parse(changed(place, **values))
    assert "\n" not in str(error.value)


def test_a_network_belongs_to_the_module_of_its_library() -> None:
    for name, module in (("timm/resnet18", "timm_networks"), ("smp/unet/vgg11", "smp_networks")):
        file = models.module_file(name)
        assert file is not None and file.stem == module
        assert models.packaged_weights(name) == ()


def test_a_job_refuses_a_published_file_without_a_sha256(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"a": torch.zeros(1)}, path)
    for address in ({"timm": "resnet50d"}, {"url": "https://weights.example/a"}):
        files = {"mine": WeightsFile(path=str(path), sha256=None, **address)}
        with pytest.raises(RepriseError, match="has no sha256; `make weights NAME=mine` writes it"):
            read_weights("mine", files)


def test_the_sha256_of_the_file_that_came_is_written_into_params(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (
        "weights:  # published\n  mine: # of timm\n    path: data/weights/a.safetensors\n"
        "    timm: resnet50d.ra2_in1k\n    sha256: null    # not published\n"
    )
    Path("params.yaml").write_text(text)
    addresses = []

    def download(address: str, path: str, digest: str | None, _: bool) -> None:
        addresses.append((address, digest))
        Path(path).write_bytes(b"weights")

    monkeypatch.setattr("torch.hub.download_url_to_file", download)
    monkeypatch.setattr(sys, "argv", ["weights", "mine"])
    weights.main()
    digest = sha256(Path("data/weights/a.safetensors"))
    values = yaml.safe_load(Path("params.yaml").read_text())["weights"]["mine"]
    assert values["sha256"] == digest and digest in caplog.text
    for comment in ("# published", "# of timm", "# not published"):
        assert comment in Path("params.yaml").read_text()
    address = "https://huggingface.co/timm/resnet50d.ra2_in1k/resolve/main/model.safetensors"
    assert addresses == [(address, None)]
    weights.main()  # already there, with the right sha256
    assert len(addresses) == 1


def test_a_batch_norm_of_another_class_gets_one_view_at_a_time() -> None:
    from torch import nn

    from reprise.models.build import build_backbone
    from reprise.training.ssl.two_views import normalizes_views_apart

    class Fused(nn.BatchNorm2d):
        """Such as timm's, with an activation."""

    assert normalizes_views_apart(build_backbone("resnet10", "small"))
    assert not normalizes_views_apart(nn.Sequential(nn.Conv2d(3, 4, 3), Fused(4)))
