"""Weights by path and sha256: loaded where they belong, refused where they do not."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import nn

from reprise.data.inputs import Inputs
from reprise.data.store import Prepared, open_set, write_set
from reprise.errors import RepriseError
from reprise.evaluation.evaluate import evaluate
from reprise.figures.draw import draw
from reprise.files import sha256
from reprise.models.backbone import published, resnet
from reprise.models.fetch import address, fetch
from reprise.models.segmentation import segmenter, start_segmenter
from reprise.models.weights import read_weights, start_backbone
from reprise.params import Params, WeightsFile
from reprise.training.outputs import write_history
from reprise.training.pretraining import take_over
from reprise.training.runtime import Device


def saved(path: Path, model: nn.Module) -> dict[str, WeightsFile]:
    """A weights block with one file, 'here': the state of a model, drawn anew."""
    torch.save(model.state_dict(), path)
    return {"here": WeightsFile(path=str(path), sha256=sha256(path)[:8])}


def same(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.parameters(), b.parameters(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_none_reads_nothing() -> None:
    assert start_backbone(resnet("resnet10", "small"), "none", {}) == []
    assert start_segmenter(nn.Identity(), "none", {}) == []


def test_torchvisions_resnet_goes_into_a_backbone_with_and_without_its_last_layer(
    tmp_path: Path,
) -> None:
    theirs = torchvision.models.resnet18()
    files = saved(tmp_path / "resnet18.pth", theirs)
    plain, whole = resnet("resnet18", "imagenet"), resnet("resnet18", "imagenet", True)
    assert start_backbone(plain, "here", files) == [tmp_path / "resnet18.pth"]
    start_backbone(whole, "here", files)
    assert same(whole.net, theirs)
    theirs.fc = nn.Identity()
    assert same(plain.net, theirs)


def test_alexnet_and_efficientnet_take_torchvisions_weights(tmp_path: Path) -> None:
    for name in ("alexnet", "efficientnet_b2"):
        theirs, ours = torchvision.models.get_model(name), published(name)
        start_backbone(ours, "here", saved(tmp_path / f"{name}.pth", theirs))
        if name == "alexnet":
            theirs.classifier[6] = nn.Identity()
        assert same(ours.net, theirs)


@pytest.mark.parametrize("name", ["fcn32s_vgg16", "fcn32s_2021", "fcn32s_k44s52", "fcn8s_vgg16"])
def test_vgg16_becomes_the_stages_of_an_fcn(name: str, tmp_path: Path) -> None:
    features = torchvision.models.vgg16().features
    theirs = nn.ModuleDict({"features": features})
    with torch.device("meta"):
        model = segmenter(name, 7, 1.0)
    model.stages.to_empty(device="cpu")
    start_segmenter(model, "here", saved(tmp_path / "vgg16.pth", theirs))
    assert same(model.stages, features)


def test_deeplabv3_takes_coco_weights_but_the_last_layer_or_a_resnet(tmp_path: Path) -> None:
    make = torchvision.models.segmentation.deeplabv3_resnet50
    coco = make(weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
    model: Any = segmenter("deeplabv3_resnet50", 7, 1.0)
    last = model.net.classifier[4].weight.clone()
    start_segmenter(model, "here", saved(tmp_path / "coco.pth", coco))
    assert same(model.net.backbone, coco.backbone)
    assert same(model.net.classifier[0], coco.classifier[0])
    assert torch.equal(model.net.classifier[4].weight, last)
    plain = torchvision.models.resnet50()
    start_segmenter(model, "here", saved(tmp_path / "resnet50.pth", plain))
    assert torch.equal(model.net.backbone.conv1.weight, plain.conv1.weight)


def test_the_unets_encoder_takes_timms_mobilenet(tmp_path: Path) -> None:
    theirs = timm.create_model("mobilenetv3_large_100", pretrained=False)
    model: Any = segmenter("unet_mobilenetv3", 7, 1.0)
    start_segmenter(model, "here", saved(tmp_path / "mobilenet.pth", theirs))
    own = dict(model.net.encoder.model.named_parameters())
    assert all(torch.equal(own[k], v) for k, v in theirs.named_parameters() if k in own)


def test_a_file_of_another_architecture_is_refused_with_its_first_key(tmp_path: Path) -> None:
    files = saved(tmp_path / "a.pth", torchvision.models.resnet18())
    for model in (resnet("resnet50", "imagenet"), resnet("resnet18", "small")):
        with pytest.raises(RepriseError, match=r"a.pth: is of another architecture: '\S+' is \(64"):
            start_backbone(model, "here", files)
    with pytest.raises(RepriseError, match=r"a.pth: is of another architecture: '0.0.weight'"):
        start_segmenter(segmenter("fcn32s_vgg16", 3, 0.0625), "here", files)
    with pytest.raises(RepriseError, match="this model takes none"):
        start_segmenter(segmenter("deeplabv3", 3, 1.0), "here", files)


def test_a_file_is_read_only_when_it_is_the_one_that_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    with pytest.raises(RepriseError, match=r"a.pth: not there; `make weights NAME=mine`"):
        read_weights("mine", WeightsFile(path=str(path), sha256="0" * 8))
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(RepriseError, match=r"weights.mine says 00000000; fetch it again"):
        read_weights("mine", WeightsFile(path=str(path), sha256="0" * 8))
    right = WeightsFile(path=str(path), sha256=sha256(path))
    assert read_weights("mine", right).keys() == {"a"}
    for content in (nn.Linear(1, 1), [torch.zeros(1)], {"a": "text"}):  # a pickle of code; no names
        torch.save(content, path)
        with pytest.raises(RepriseError, match="a.pth: (cannot be read as|holds no)"):
            read_weights("mine", WeightsFile(path=str(path), sha256=sha256(path)))


def test_fetching_verifies_and_leaves_nothing_wrong_behind(tmp_path: Path) -> None:
    source, path = tmp_path / "source.pth", tmp_path / "w" / "a.pth"
    source.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    right = {"path": str(path), "url": source.as_uri()}
    with pytest.raises(RepriseError, match="its sha256 is .*, not 00000000; not kept"):
        fetch("a", WeightsFile(**right, sha256="0" * 8))
    assert not path.exists() and not list((tmp_path / "w").iterdir())
    fetch("a", WeightsFile(**right, sha256=digest[:8]))
    assert path.read_bytes() == b"weights"
    source.unlink()
    fetch("a", WeightsFile(**right, sha256=digest[:8]))  # is there
    path.unlink()
    with pytest.raises(RepriseError, match=f"fetch it elsewhere and put it at {path}"):
        fetch("a", WeightsFile(**right, sha256=digest[:8]))
    with pytest.raises(RepriseError, match="has no address"):
        fetch("a", WeightsFile(path=str(path), sha256=digest[:8]))


def test_torchvision_knows_its_own_addresses() -> None:
    file = WeightsFile(path="a", sha256="0" * 8, torchvision="ResNet101_Weights.IMAGENET1K_V1")
    assert str(address(file)).endswith("resnet101-63fe2227.pth")
    wrong = file.model_copy(update={"torchvision": "ResNet101_Weights.NONE"})
    with pytest.raises(RepriseError, match=r"torchvision has no weights 'ResNet101_Weights.NONE'"):
        address(wrong)


def test_a_backbone_that_was_taken_over_has_a_history_that_the_tables_can_read(
    tmp_path: Path, results: Path, params: Params
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (9, 16, 16, 3), dtype=np.uint8)
    write_set(tmp_path / "set", "set", Prepared(
        images=pixels, labels=np.zeros(9, np.uint8), unlabelled=True, columns={},
        roles=np.repeat(["train", "select", "report"], 3), task="classification",
        classes=[{"id": 0, "name": "unlabelled"}], source="", licence="", note="",
    ))  # fmt: skip
    data = open_set(tmp_path / "set", "classification")
    theirs, backbone = (resnet("resnet10", "small", imagenet_layer=True) for _ in range(2))
    files = saved(tmp_path / "sl.pt", theirs.net)
    recipe = params.pretrain.recipes["tiny"].supervised
    state, rows = take_over(
        backbone, lambda: start_backbone(backbone, "here", files), data,
        Inputs(data, recipe.augment, 0, torch.device("cpu")), recipe,
        Device(torch.device("cpu"), torch.float32),
    )  # fmt: skip
    assert all(torch.equal(state[key], value) for key, value in theirs.net.state_dict().items())
    assert [row["selected"] for row in rows] == [0, 1]
    write_history(results / "pretrain" / "tiny" / "supervised" / "history.csv", rows)
    made, tables = evaluate(results, params)
    assert "knn_accuracy" not in made["pretrain"]["tiny"]["supervised"]  # no labels, no number
    said = tables["pretrain"].text
    assert "| tiny | supervised | none (from scratch) | 0 | 0 | - | - | - |" in said
    epochs = tables["epochs"].text
    assert "| pretrain | tiny | supervised | - | 0 | 0 | - | - |" in epochs and "'-': a" in epochs
    assert draw("epochs", results, params).png.startswith(b"\x89PNG")
    assert draw("curves", results, params).png.startswith(b"\x89PNG")
