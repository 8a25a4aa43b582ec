"""A network as a program of torch.export, and of ONNX, for any number of images."""

import copy
import importlib.util
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reprise.errors import RepriseError, one_line
from reprise.models.convolution import CroppedConv2d, swap_layers

ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
CHECKED = 3  # images in a batch, other than the two that are traced
TOLERANCE = 1e-4  # of logits, relative to the largest one where that is above 1


def write_programs(folder: Path, model: nn.Module, size: tuple[int, int]) -> dict[str, str]:
    """Write model.pt2 and, if its packages are installed, model.onnx; what is missing, and why.

    model: in evaluation mode; images (n, 3, *size), normalized, float32 -> logits. Each program is
    run on another number of images than it was traced with, and compared with the network. Raises
    RepriseError if its logits differ.
    """
    network = plain(model)
    batch = torch.export.Dim("batch", min=1)
    left_out = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about itself
        try:
            images = example(2, size)
            program = torch.export.export(network, (images,), dynamic_shapes=({0: batch},))
            torch.export.save(program, folder / "model.pt2")
        except Exception as error:  # torch decides what it cannot trace
            left_out["model.pt2"] = left_out["model.onnx"] = one_line(error, 200)
        else:
            check("model.pt2", program.module(), network, size)
            if reason := write_onnx(folder / "model.onnx", program, network, size):
                left_out["model.onnx"] = reason
    return left_out


def plain(model: nn.Module) -> nn.Module:
    """A copy on CPU in float32 whose convolutions are torch's own, as other programs know them."""
    network = copy.deepcopy(model).cpu().float().to(memory_format=torch.contiguous_format)
    swap_layers(network, {CroppedConv2d: nn.Conv2d})
    return network.requires_grad_(False).eval()


def write_onnx(path: Path, program: Any, network: nn.Module, size: tuple[int, int]) -> str | None:
    """Write a program as ONNX; the reason if that is impossible here.

    Raises RepriseError if onnxruntime computes other logits.
    """
    missing = [name for name in ONNX_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        return f"needs the packages {', '.join(missing)}: pip install -r requirements/onnx.txt"
    for talkative in ("onnxscript", "onnx_ir"):
        logging.getLogger(talkative).setLevel(logging.ERROR)
    names: Any = {"input_names": ["images"], "output_names": ["logits"]}
    try:
        written = torch.onnx.export(program, dynamo=True, verbose=False, **names)
        assert written is not None
        written.save(path, external_data=False)
    except Exception as error:  # two libraries decide what they cannot convert
        return one_line(error, 200)
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])

    check(path.name, run, network, size)
    return None


def check(
    name: str, program: Callable[[Tensor], Tensor], network: nn.Module, size: tuple[int, int]
) -> None:
    """Raise RepriseError if a program's logits differ from those of the network."""
    for count in (1, CHECKED):
        images = example(count, size)
        with torch.no_grad():
            expected, logits = network(images), program(images)
        difference = float((logits - expected).abs().max())
        if difference > TOLERANCE * max(1.0, float(expected.abs().max())):
            raise RepriseError(
                f"{name}: its logits differ from those of the network by {difference:.2g}; "
                "this network cannot be exported"
            )
    logging.info(
        "%s: its logits differ from those of the network by at most %.2g", name, difference
    )


def example(count: int, size: tuple[int, int]) -> Tensor:
    """Images of noise (count, 3, *size) float32, always the same."""
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(count))
