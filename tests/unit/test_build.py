"""The builder of networks: published layers, sizes and keys, and what is trained.

Most tests run on torch's meta device: shapes and names without numbers, in milliseconds.
"""

from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
import torchvision
from torch import nn

from reprise.models.build import (
    build_backbone,
    build_classifier,
    build_finetuned,
    build_segmenter,
    module_of,
)
from reprise.params import models
from reprise.params.classify import ClassifyRecipe
from reprise.params.finetune import FinetuneCommon
from reprise.params.segment import SegmentRecipe

META = torch.device("meta")
TRAINING = {"epochs": 1, "batch_size": 2, "learning_rate": 0.1}
VGG16 = 14_714_688  # parameters of torchvision's vgg16().features
CLASSIFIERS = ["alexnet", "efficientnet_b2", "resnet101", "resnext101_64x4d"]
SEGMENTERS = [
    "fcn32s_vgg16", "fcn32s_2021", "fcn32s_2021_centred", "fcn32s_k44s52", "fcn8s_vgg16",
    "fcn8s_vgg16_noskip", "deeplabv3_resnet50", "deeplabv3_resnet101", "unet_mobilenetv3",
]  # fmt: skip


def classifier(model: str, n_classes: int, **options: Any) -> Any:
    """A classifier for images of 32 pixels."""
    recipe = ClassifyRecipe(model=model, image_size=32, feature_epochs=[], **TRAINING, **options)
    return build_classifier(recipe, n_classes)


def segmenter(model: str, n_classes: int, width_mult: float = 1.0) -> Any:
    """A segmentation network."""
    recipe = SegmentRecipe(model=model, image_size=64, width_mult=width_mult, **TRAINING)
    return build_segmenter(recipe, n_classes)


def finetuned(backbone: str, stem: str, width: int, n_classes: int, keep_fc: bool = False) -> Any:
    """A backbone with the head of fine-tuning."""
    recipe = FinetuneCommon(
        backbone=backbone, stem=stem, head_hidden_dim=width, keep_imagenet_fc=keep_fc,
        feature_epochs=[], **TRAINING,
    )  # fmt: skip
    return build_finetuned(recipe, n_classes)


def parameters(model: nn.Module, trained: bool = False) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trained)


@pytest.mark.parametrize("kind", ["BACKBONES", "CLASSIFIERS", "SEGMENTERS"])
def test_every_declared_name_is_built_by_the_module_that_declares_it(kind: str) -> None:
    for name in models.names(kind):
        module = module_of(name)
        assert name in getattr(module, kind), f"{module.__name__} builds {name}"
        assert hasattr(module, f"build_{kind[:-1].lower()}")


def test_a_new_file_takes_no_existing_name_from_its_module(tmp_path: Path) -> None:
    (tmp_path / "resnet.py").write_text('BACKBONES = ("resnet10",)\nCLASSIFIERS = ("resnet101",)\n')
    (tmp_path / "resnet101.py").write_text("import resnet\n")
    for name in ("resnet10", "resnet101"):
        assert models.module_file(name, tmp_path) == tmp_path / "resnet.py"
    assert models.module_file("vgg", tmp_path) is None
    with pytest.raises(KeyError, match="vgg"):
        module_of("vgg")


def test_weights_of_a_package_are_those_of_one_network() -> None:
    assert models.packaged_weights("lite0") == ("imagenet",)
    assert models.packaged_weights("efficientnet_b2") == models.packaged_weights("vgg") == ()


def test_classifiers_give_one_logit_a_class() -> None:
    assert classifier("cnn", 7)(torch.randn(2, 3, 32, 32)).shape == (2, 7)
    assert classifier("lite0", 7)(torch.randn(2, 3, 64, 64)).shape == (2, 7)
    assert finetuned("resnet10", "small", 32, 7)(torch.randn(2, 3, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_is_torchvisions_with_a_new_last_layer(name: str) -> None:
    with META:
        theirs, ours = torchvision.models.get_model(name), classifier(name, 50)
        assert ours(torch.empty(2, 3, 224, 224)).shape == (2, 50)
    shapes = {key: value.shape for key, value in theirs.state_dict().items()}
    kept = {key: value.shape for key, value in ours.backbone.net.state_dict().items()}
    dropped = {key for key in shapes if key not in kept}
    last = {"alexnet": "classifier.6.", "efficientnet_b2": "none"}.get(name, "fc.")
    assert kept.items() <= shapes.items()
    assert dropped == {key for key in shapes if key.startswith(last)}
    width, lost = ours.backbone.width, sum(shapes[key].numel() for key in dropped)
    assert parameters(ours) == parameters(theirs) - lost + (width + 1) * 50
    ours.backbone.freeze()
    assert parameters(ours, trained=True) == (width + 1) * 50


def test_settings_share_one_head_and_differ_in_what_is_trained() -> None:
    with META:
        whole, head = (finetuned("resnet50", "imagenet", 512, 65, True) for _ in range(2))
        assert whole(torch.empty(2, 3, 128, 128)).shape == (2, 65)
    head.backbone.freeze()
    head_parameters = (1000 + 1) * 512 + 2 * 512 + (512 + 1) * 65
    assert parameters(head, trained=True) == head_parameters == 546_881
    assert parameters(whole, trained=True) == head_parameters + 25_557_032
    keys = set(torchvision.models.resnet50().state_dict())
    assert set(whole.backbone.net.state_dict()) == keys
    without = set(build_backbone("resnet50", "imagenet").net.state_dict())
    assert without == {key for key in keys if not key.startswith("fc.")}


@pytest.mark.parametrize(
    ("name", "n_classes", "expected"),
    [
        # VGG-16, fc6 7 x 7 or 1 x 1, fc7 1 x 1, score, deconvolution without bias
        ("fcn32s_vgg16", 7, VGG16 + 102_764_544 + 16_781_312 + 28_679 + 7 * 7 * 64 * 64),
        ("fcn32s_2021", 7, VGG16 + 2_101_248 + 16_781_312 + 28_679 + 7 * 7 * 64 * 64),
        ("fcn32s_k44s52", 7, VGG16 + 25_691_136 + 7_175 + 7 * 7 * 44 * 44),
        # VGG-16, five 3 x 3 deconvolutions with batch norm, 1 x 1
        ("fcn8s_vgg16", 11, VGG16 + 3_927_008 + 1_984 + 33 * 11),
        ("fcn8s_vgg16_noskip", 11, VGG16 + 3_927_008 + 1_984 + 33 * 11),
        ("unet_mobilenetv3", 7, 6_686_695),
    ],
)
def test_a_segmenter_has_the_parameters_of_its_layers(
    name: str, n_classes: int, expected: int
) -> None:
    with META:
        assert parameters(segmenter(name, n_classes)) == expected


def test_networks_of_libraries_have_their_keys() -> None:
    with META:
        for name in ("deeplabv3_resnet50", "deeplabv3_resnet101"):
            make = getattr(torchvision.models.segmentation, name)
            theirs = make(weights=None, weights_backbone=None, num_classes=7, aux_loss=False)
            ours = segmenter(name, 7)
            assert list(ours.net.state_dict()) == list(theirs.state_dict())
            assert parameters(ours) == parameters(theirs)
        theirs = smp.Unet("tu-mobilenetv3_large_100", encoder_weights=None, classes=7)
        keys = list(segmenter("unet_mobilenetv3", 7).net.state_dict())
        assert keys == list(theirs.state_dict())
        features = torchvision.models.vgg16().features
        stages = segmenter("fcn32s_vgg16", 7).stages
        assert [p.shape for p in stages.parameters()] == [p.shape for p in features.parameters()]


@pytest.mark.parametrize("name", SEGMENTERS)
@pytest.mark.parametrize("size", [(512, 512), (256, 384)])
def test_logits_have_the_height_and_width_of_the_images(name: str, size: tuple[int, int]) -> None:
    with META:
        assert segmenter(name, 7)(torch.empty(2, 3, *size)).shape == (2, 7, *size)


@pytest.mark.parametrize(
    "name",
    ["fcn32s", "fcn8s", "fcn8s_noskip", "deeplabv3", *sorted({*SEGMENTERS} - {"fcn32s_k44s52"})],
)
def test_every_pixel_gets_a_value(name: str) -> None:
    torch.manual_seed(0)
    model = segmenter(name, 5, 0.0625).eval()
    for parameter in model.parameters():  # zero-initialised score layers output 0 everywhere
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    with torch.no_grad():
        logits = model(torch.randn(2, 3, 128, 96))
    assert logits.shape == (2, 5, 128, 96)
    assert (logits != 0).any(dim=1).all()


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [*SEGMENTERS, *CLASSIFIERS])
def test_a_step_at_full_size_gives_every_parameter_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    if name in SEGMENTERS:
        model, size = segmenter(name, 7), 512
    else:
        model, size = classifier(name, 50), 224
    logits = model(torch.randn(2, 3, size, size))
    logits.square().mean().backward()
    assert torch.isfinite(logits).all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
