"""The reports' networks at full size: the published layers, sizes, keys, and what is trained.

Most tests run on torch's meta device: shapes and names without numbers, in milliseconds.
"""

from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from reprise.models.backbone import load_backbone, published, resnet
from reprise.models.classifier import published_classifier, small_cnn, with_head
from reprise.models.fcn import FCN32s2024
from reprise.models.segmentation import segmenter

META = torch.device("meta")
VGG16 = 14_714_688  # of torchvision's vgg16().features
CLASSIFIERS = ["alexnet", "efficientnet_b2", "resnet101", "resnext101_64x4d"]
SEGMENTERS = [
    "fcn32s_vgg16", "fcn32s_2021", "fcn32s_2021_centred", "fcn32s_k44s52", "fcn8s_vgg16",
    "fcn8s_vgg16_noskip", "deeplabv3_resnet50", "deeplabv3_resnet101", "unet_mobilenetv3",
]  # fmt: skip


def parameters(model: nn.Module, trained: bool = False) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trained)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_is_torchvisions_with_a_new_last_layer(name: str) -> None:
    with META:
        theirs, ours = torchvision.models.get_model(name), published_classifier(name, 50)
        assert ours(torch.empty(2, 3, 224, 224)).shape == (2, 50)
    keys = {key: value.shape for key, value in theirs.state_dict().items()}
    own = {key: value.shape for key, value in ours.backbone.net.state_dict().items()}
    lost = {key for key in keys if key not in own}
    last = {"alexnet": "classifier.6.", "efficientnet_b2": "none"}.get(name, "fc.")
    assert own.items() <= keys.items() and lost == {key for key in keys if key.startswith(last)}
    dropped = sum(keys[key].numel() for key in lost)
    width = ours.backbone.width
    assert parameters(ours) == parameters(theirs) - dropped + (width + 1) * 50
    ours.backbone.freeze()
    assert parameters(ours, trained=True) == (width + 1) * 50


@pytest.mark.parametrize("width", [1.0, 0.5, 0.0625])
def test_a_narrow_alexnet_has_alexnets_layers_and_fewer_channels(width: float) -> None:
    torch.manual_seed(0)
    net = published("alexnet", width).net
    with META:
        whole = published("alexnet").net
    ours, theirs = net.state_dict(), whole.state_dict()
    assert list(ours) == list(theirs)
    for key, value in theirs.items():
        first = [round(width * value.shape[0])]
        kept = first if key == "features.0.weight" else [round(width * n) for n in value.shape[:2]]
        rest = value.shape[1 if kept is first else 2 :]
        assert list(ours[key].shape) == [*kept, *rest], key
    backbone = published("alexnet", width)
    features = backbone(torch.randn(2, 3, 64, 64))
    assert features.shape == (2, backbone.width) == (2, round(4096 * width))
    assert features.std() > 0


def test_timm_and_torchvision_have_the_same_efficientnet_b2() -> None:
    with META:
        assert parameters(timm.create_model("efficientnet_b2")) == parameters(
            published("efficientnet_b2")
        )


def test_the_2022_cnn_is_two_convolutions_and_three_linear_layers() -> None:
    with META:
        model = small_cnn(32, 50)
    kinds = [type(layer) for layer in model.modules()]
    assert [kinds.count(k) for k in (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.Linear)] == [
        2,
        2,
        2,
        3,
    ]


def test_the_settings_share_one_head_and_differ_in_what_is_trained() -> None:
    with META:
        whole, head = (with_head(resnet("resnet50", "imagenet", True), 512, 65) for _ in range(2))
        assert whole(torch.empty(2, 3, 128, 128)).shape == (2, 65)
    head.backbone.freeze()
    own = (1000 + 1) * 512 + 2 * 512 + (512 + 1) * 65
    assert parameters(head, trained=True) == own == 546_881
    assert parameters(whole, trained=True) == own + 25_557_032
    keys = set(torchvision.models.resnet50().state_dict())
    assert set(whole.backbone.net.state_dict()) == keys
    plain = set(resnet("resnet50", "imagenet").net.state_dict())
    assert plain == {key for key in keys if not key.startswith("fc.")}


def test_an_imagenet_layer_that_pretraining_never_saw_stays_as_drawn(tmp_path: Path) -> None:
    trained = resnet("resnet10", "small")
    save_file(trained.net.state_dict(), tmp_path / "without.safetensors")
    model = resnet("resnet10", "small", imagenet_layer=True)
    drawn = model.net.fc.weight.clone()
    load_backbone(model, tmp_path / "without.safetensors")
    assert torch.equal(model.net.fc.weight, drawn)
    assert torch.equal(model.net.conv1.weight, trained.net.conv1.weight)
    save_file(model.net.state_dict(), tmp_path / "with.safetensors")
    load_backbone(trained, tmp_path / "with.safetensors")
    other = resnet("resnet10", "small", imagenet_layer=True)
    load_backbone(other, tmp_path / "with.safetensors")
    assert torch.equal(other.net.fc.weight, drawn)


@pytest.mark.parametrize(
    ("name", "classes", "expected"),
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
    name: str, classes: int, expected: int
) -> None:
    with META:
        assert parameters(segmenter(name, classes, 1.0)) == expected


def test_libraries_networks_have_their_own_keys() -> None:
    with META:
        for name in ("deeplabv3_resnet50", "deeplabv3_resnet101"):
            make = getattr(torchvision.models.segmentation, name)
            theirs = make(weights=None, weights_backbone=None, num_classes=7, aux_loss=False)
            ours = segmenter(name, 7, 1.0)
            assert list(ours.net.state_dict()) == list(theirs.state_dict())
            assert parameters(ours) == parameters(theirs)
        theirs = smp.Unet("tu-mobilenetv3_large_100", encoder_weights=None, classes=7)
        assert list(segmenter("unet_mobilenetv3", 7, 1.0).net.state_dict()) == list(
            theirs.state_dict()
        )
        features = torchvision.models.vgg16().features
        stages = segmenter("fcn32s_vgg16", 7, 1.0).stages
        assert [p.shape for p in stages.parameters()] == [p.shape for p in features.parameters()]


@pytest.mark.parametrize("name", SEGMENTERS)
@pytest.mark.parametrize("size", [(512, 512), (256, 384)])
def test_logits_have_the_height_and_width_of_the_images(name: str, size: tuple[int, int]) -> None:
    with META:
        model = segmenter(name, 7, 1.0)
        assert model(torch.empty(2, 3, *size)).shape == (2, 7, *size)


@pytest.mark.parametrize("name", sorted(set(SEGMENTERS) - {"fcn32s_k44s52"}))
def test_every_pixel_gets_a_value(name: str) -> None:
    torch.manual_seed(0)
    model = segmenter(name, 5, 0.0625).eval()
    for parameter in model.parameters():  # zero-initialised score layers answer 0 everywhere
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    with torch.no_grad():
        logits = model(torch.randn(2, 3, 128, 96))
    assert (logits != 0).any(dim=1).all()


def test_the_2024_fcn32s_leaves_strips_of_eight_pixels_without_a_value() -> None:
    torch.manual_seed(0)
    model = FCN32s2024(7, width=0.0625).eval()
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.abs_()  # so that the ReLU lets something through
        logits = model(torch.rand(1, 3, 512, 512))
    empty = (logits == 0).all(dim=1)[0]
    strip = torch.arange(512) % 52 >= 44
    assert torch.equal(empty, strip[:, None] | strip[None, :])
    assert float(empty.float().mean()) == pytest.approx(1 - (440 / 512) ** 2)
    assert (logits.argmax(dim=1)[0][empty] == 0).all()


def test_the_2021_fcn32s_is_cropped_sixteen_pixels_off_the_middle() -> None:
    torch.manual_seed(0)
    slip, centred = (segmenter(n, 3, 0.0625).eval() for n in ("fcn32s_2021", "fcn32s_2021_centred"))
    centred.load_state_dict(slip.state_dict())
    with torch.no_grad():
        images = torch.randn(1, 3, 128, 128)
        assert torch.equal(slip(images)[..., :-16, :-16], centred(images)[..., 16:, 16:])


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "name", [*SEGMENTERS, "alexnet", "resnet101", "resnext101_64x4d", "efficientnet_b2"]
)
def test_a_step_at_full_size_gives_every_parameter_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    if name in SEGMENTERS:
        model, size = segmenter(name, 7, 1.0), 512
    else:
        model, size = published_classifier(name, 50), 224
    logits = model(torch.randn(2, 3, size, size))
    logits.square().mean().backward()
    assert torch.isfinite(logits).all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
