"""Weights as files: loaded where they fit, refused where they do not, written only if finite."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from reprise.atomic_io import sha256
from reprise.errors import RepriseError
from reprise.models.build import (
    build_backbone,
    build_classifier,
    build_segmenter,
    load_weights_into,
)
from reprise.models.weights import (
    fetch,
    load_pretrained,
    load_state,
    read_weights,
    url,
    write_tensors,
)
from reprise.params.classify import ClassifyRecipe
from reprise.params.segment import SegmentRecipe
from reprise.params.training import WeightsFile

TRAINING = {"epochs": 1, "batch_size": 2, "learning_rate": 0.1, "image_size": 64}


def saved(path: Path, model: nn.Module) -> dict[str, WeightsFile]:
    """A weights block with one file, 'here': the state of a model, randomly initialised."""
    torch.save(model.state_dict(), path)
    return {"here": WeightsFile(path=str(path), sha256=sha256(path)[:8])}


def same(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.parameters(), b.parameters(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def segmenter(model: str, n_classes: int, width_mult: float = 1.0) -> Any:
    recipe = SegmentRecipe(model=model, width_mult=width_mult, **TRAINING)
    return build_segmenter(recipe, n_classes)


def test_none_reads_nothing() -> None:
    backbone = build_backbone("resnet10", "small")
    assert load_weights_into(backbone, "resnet10", "none", {}) == []


def test_torchvisions_resnet_fits_a_backbone_with_and_without_its_last_layer(
    tmp_path: Path,
) -> None:
    theirs = torchvision.models.resnet18()
    files = saved(tmp_path / "resnet18.pth", theirs)
    plain, whole = (build_backbone("resnet18", "imagenet", keep) for keep in (False, True))
    assert load_weights_into(plain, "resnet18", "here", files) == [tmp_path / "resnet18.pth"]
    load_weights_into(whole, "resnet18", "here", files)
    assert same(whole.net, theirs)
    theirs.fc = nn.Identity()
    assert same(plain.net, theirs)


@pytest.mark.parametrize("name", ["alexnet", "efficientnet_b2"])
def test_a_classifier_takes_torchvisions_weights(name: str, tmp_path: Path) -> None:
    theirs = torchvision.models.get_model(name)
    ours = build_classifier(ClassifyRecipe(model=name, feature_epochs=[], **TRAINING), 7)
    load_weights_into(ours, name, "here", saved(tmp_path / f"{name}.pth", theirs))
    if name == "alexnet":
        theirs.classifier[6] = nn.Identity()
    assert same(ours.backbone.net, theirs)


@pytest.mark.parametrize("name", ["fcn32s_vgg16", "fcn32s_2021", "fcn32s_k44s52", "fcn8s_vgg16"])
def test_vgg16_becomes_the_stages_of_an_fcn(name: str, tmp_path: Path) -> None:
    features = torchvision.models.vgg16().features
    theirs = nn.ModuleDict({"features": features})
    with torch.device("meta"):
        model = segmenter(name, 7)
    model.stages.to_empty(device="cpu")
    load_weights_into(model, name, "here", saved(tmp_path / "vgg16.pth", theirs))
    assert same(model.stages, features)


def test_deeplabv3_takes_coco_weights_but_the_last_layer_or_a_resnet(tmp_path: Path) -> None:
    name = "deeplabv3_resnet50"
    make = torchvision.models.segmentation.deeplabv3_resnet50
    coco = make(weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
    model = segmenter(name, 7)
    last = model.net.classifier[4].weight.clone()
    load_weights_into(model, name, "here", saved(tmp_path / "coco.pth", coco))
    assert same(model.net.backbone, coco.backbone)
    assert same(model.net.classifier[0], coco.classifier[0])
    assert torch.equal(model.net.classifier[4].weight, last)
    plain = torchvision.models.resnet50()
    load_weights_into(model, name, "here", saved(tmp_path / "resnet50.pth", plain))
    assert torch.equal(model.net.backbone.conv1.weight, plain.conv1.weight)


def test_the_unets_encoder_takes_timms_mobilenet(tmp_path: Path) -> None:
    theirs = timm.create_model("mobilenetv3_large_100", pretrained=False)
    model = segmenter("unet_mobilenetv3", 7)
    files = saved(tmp_path / "mobilenet.pth", theirs)
    load_weights_into(model, "unet_mobilenetv3", "here", files)
    loaded = dict(model.net.encoder.model.named_parameters())
    assert all(torch.equal(loaded[k], v) for k, v in theirs.named_parameters() if k in loaded)


def test_a_file_of_another_architecture_is_refused_with_its_first_key(tmp_path: Path) -> None:
    files = saved(tmp_path / "a.pth", torchvision.models.resnet18())
    for name, stem in (("resnet50", "imagenet"), ("resnet18", "small")):
        with pytest.raises(RepriseError, match=r"a.pth: does not fit the network: '\S+' is \(64"):
            load_weights_into(build_backbone(name, stem), name, "here", files)
    with pytest.raises(RepriseError, match=r"a.pth: does not fit the network: '0.0.weight' is mis"):
        load_weights_into(segmenter("fcn32s_vgg16", 3, 0.0625), "fcn32s_vgg16", "here", files)
    with pytest.raises(RepriseError, match="this model does not accept weights; set weights: none"):
        load_weights_into(segmenter("deeplabv3", 3), "deeplabv3", "here", files)


def test_a_file_is_read_only_when_it_is_the_one_that_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"

    def files(digest: str | None) -> dict[str, WeightsFile]:
        return {"mine": WeightsFile(path=str(path), sha256=digest)}

    with pytest.raises(RepriseError, match="weights has no 'mein'; did you mean 'mine'"):
        read_weights("mein", files("0" * 8))
    with pytest.raises(RepriseError, match=r"a.pth: not found; `make weights NAME=mine`"):
        read_weights("mine", files("0" * 8))
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(RepriseError, match=r"weights.mine has 00000000; fetch it again"):
        read_weights("mine", files("0" * 8))
    assert read_weights("mine", files(sha256(path))).keys() == {"a"}
    assert read_weights("mine", files(None)).keys() == {"a"}
    for content in (nn.Linear(1, 1), [torch.zeros(1)], {"a": "text"}):  # a pickle of code; no names
        torch.save(content, path)
        with pytest.raises(RepriseError, match="a.pth: (cannot be read as|holds no)"):
            read_weights("mine", files(sha256(path)))


HTTPS = "https://weights.example/a.pth"


def published(path: str, digest: str | None, url: str | None = HTTPS) -> dict[str, WeightsFile]:
    """A weights block with one file, 'a'."""
    return {"a": WeightsFile(path=path, url=url, sha256=digest)}


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that every https address leads to, in place of a network."""
    source = tmp_path / "source.pth"
    source.write_bytes(b"weights")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.hub.urlopen", lambda _: urlopen(source.as_uri()))
    return source


def test_fetching_verifies_and_leaves_nothing_wrong_behind(publisher: Path) -> None:
    path = Path("data/weights/a.pth")
    digest = hashlib.sha256(b"weights").hexdigest()
    with pytest.raises(RepriseError, match='cannot be fetched.*expected "00000000"'):
        fetch("a", published(str(path), "0" * 8))
    assert not path.exists() and not list(path.parent.iterdir())
    fetch("a", published(str(path), digest[:8]))
    assert path.read_bytes() == b"weights" and list(path.parent.iterdir()) == [path]
    publisher.unlink()
    fetch("a", published(str(path), digest[:8]))  # already there
    path.unlink()
    with pytest.raises(RepriseError, match=f"download it elsewhere and place it at {path}"):
        fetch("a", published(str(path), digest[:8]))
    with pytest.raises(RepriseError, match="has no url; obtain the file from its author"):
        fetch("a", published(str(path), digest[:8], None))


def test_nothing_is_written_outside_the_folder_of_weights(publisher: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"weights").hexdigest()
    Path("data/weights").mkdir(parents=True)
    Path("elsewhere").mkdir()
    Path("data/weights/folder").symlink_to(tmp_path / "elsewhere")
    Path("data/weights/file.pth").symlink_to(tmp_path / "elsewhere" / "file.pth")
    before = sorted(tmp_path.rglob("*"))
    outside = (
        "../outside",
        "data/weights/../outside",
        str(tmp_path / "outside"),
        "",
        "data/weights",
    )
    links = ("data/weights/folder/a.pth", "data/weights/file.pth", "data/weights/folder")
    for path in (*outside, *links, "data/weights/\0", f"data/weights/{'a' * 300}/b"):
        with pytest.raises(RepriseError, match="must be below data/weights|cannot be fetched"):
            fetch("a", published(path, digest))
    for address in ("http://weights.example/a.pth", publisher.as_uri(), "foo", ""):
        with pytest.raises(RepriseError, match="must begin with https://"):
            fetch("a", published("data/weights/a.pth", digest, address))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "address", ["https://x/a b", "https://x:abc/", "https://[::1/", "https://"]
)
def test_a_damaged_address_is_one_line(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RepriseError, match="cannot be fetched .*; download it elsewhere"):
        fetch("a", published("data/weights/a.pth", "0" * 8, address))


def test_torchvision_knows_the_urls_of_its_weights() -> None:
    file = WeightsFile(path="a", sha256="0" * 8, torchvision="ResNet101_Weights.IMAGENET1K_V1")
    assert str(url(file)).endswith("resnet101-63fe2227.pth")
    wrong = file.model_copy(update={"torchvision": "ResNet101_Weights.NONE"})
    with pytest.raises(RepriseError, match=r"torchvision has no weights 'ResNet101_Weights.NONE'"):
        url(wrong)


def test_a_pretrained_backbone_of_another_architecture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "backbone.safetensors"
    save_file(build_backbone("resnet10", "imagenet").net.state_dict(), path)
    backbone = build_backbone("resnet10", "small")
    with pytest.raises(RepriseError, match=r"backbone.safetensors: does not fit.*conv1.weight"):
        load_pretrained(backbone, path)
    path.write_bytes(b"not a tensor")
    with pytest.raises(RepriseError, match="cannot be read as weights"):
        load_pretrained(backbone, path)
    with pytest.raises(RepriseError, match="not found; run its pretraining first"):
        load_pretrained(backbone, tmp_path / "none.safetensors")


def test_an_imagenet_layer_that_pretraining_never_saw_stays_as_initialised(tmp_path: Path) -> None:
    trained = build_backbone("resnet10", "small")
    save_file(trained.net.state_dict(), tmp_path / "without.safetensors")
    model = build_backbone("resnet10", "small", keep_imagenet_fc=True)
    initial = model.net.fc.weight.clone()
    load_pretrained(model, tmp_path / "without.safetensors")
    assert torch.equal(model.net.fc.weight, initial)
    assert torch.equal(model.net.conv1.weight, trained.net.conv1.weight)
    save_file(model.net.state_dict(), tmp_path / "with.safetensors")
    load_pretrained(trained, tmp_path / "with.safetensors")
    other = build_backbone("resnet10", "small", keep_imagenet_fc=True)
    load_pretrained(other, tmp_path / "with.safetensors")
    assert torch.equal(other.net.fc.weight, initial)


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(RepriseError, match="model.safetensors: last.bias contains numbers that"):
        write_tensors(path, {"count": torch.ones(1), "last.bias": torch.tensor([0.0, np.nan])})
    assert not path.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: torch.full_like(t, torch.nan), "'weight' has numbers that are not finite"),
        (lambda t: t.to(torch.int8), r"'weight' is \(2, 3\) torch.int8 in the file and .* float"),
        (lambda t: t.to(torch.complex64), "'weight' is .* torch.complex64 in the file"),
        (lambda t: t[:1], r"'weight' is \(1, 3\) float in the file"),
    ],
)
def test_weights_of_another_type_or_that_are_not_finite_are_refused(
    change: Callable[[torch.Tensor], torch.Tensor], message: str
) -> None:
    layer = nn.Linear(3, 2)
    state = layer.state_dict() | {"weight": change(layer.weight.detach())}
    with pytest.raises(RepriseError, match=f"a.pth: .*{message}"):
        load_state(layer, state, "a.pth")
    load_state(layer, layer.state_dict() | {"weight": layer.weight.detach().half()}, "a.pth")
