"""The homeworks' FCNs: skips, the cropped and the strided deconvolution, frozen batch norm."""

from typing import Any

import pytest
import torch

from reprise.models.build import build_segmenter
from reprise.models.fcn import FCN32s2024
from reprise.params.segment import SegmentRecipe


def segmenter(model: str, n_classes: int, width_mult: float = 0.0625, **options: Any) -> Any:
    recipe = SegmentRecipe(
        model=model, width_mult=width_mult, image_size=64, epochs=1, batch_size=2,
        learning_rate=0.1, **options,
    )  # fmt: skip
    return build_segmenter(recipe, n_classes)


def test_fcn8s_without_skips_differs_by_the_two_additions_only() -> None:
    skips, noskip = segmenter("fcn8s", 3, 0.125), segmenter("fcn8s_noskip", 3, 0.125)
    shapes = [{k: v.shape for k, v in model.state_dict().items()} for model in (skips, noskip)]
    assert shapes[0] == shapes[1]
    noskip.load_state_dict(skips.state_dict())
    images = torch.randn(2, 3, 64, 64)
    assert not torch.allclose(skips.eval()(images), noskip.eval()(images))


def test_the_2024_fcn32s_leaves_strips_of_eight_pixels_without_a_value() -> None:
    torch.manual_seed(0)
    model = FCN32s2024(7, width_mult=0.0625).eval()
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
    shifted, centred = (segmenter(n, 3).eval() for n in ("fcn32s_2021", "fcn32s_2021_centred"))
    centred.load_state_dict(shifted.state_dict())
    with torch.no_grad():
        images = torch.randn(1, 3, 128, 128)
        assert torch.equal(shifted(images)[..., :-16, :-16], centred(images)[..., 16:, 16:])


def test_a_frozen_batch_norm_learns_scale_and_shift_but_no_statistics() -> None:
    torch.manual_seed(0)
    model, plain = segmenter("fcn8s_vgg16", 3, freeze_bn=True), segmenter("fcn8s_vgg16", 3)
    assert list(model.state_dict()) == list(plain.state_dict())
    model.train()
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    for norm in model.norms:
        assert not norm.training and norm.weight.grad is not None
        assert (norm.running_mean == 0).all() and (norm.running_var == 1).all()
    assert all(norm.training for norm in plain.train().norms)
