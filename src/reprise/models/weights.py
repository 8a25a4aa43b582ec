"""Weights as files: published ones by path and sha256, backbones trained here, and writing them.

`make weights NAME=...` runs this module: it fetches a file of the block `weights`.
"""

import argparse
import logging
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from reprise.atomic_io import check_file, sha256, write_bytes, write_text
from reprise.cli import run
from reprise.errors import RepriseError, did_you_mean
from reprise.models.backbone import Backbone, Classifier
from reprise.params.base import PARAMS
from reprise.params.reader import read_yaml, yaml_text
from reprise.params.training import WeightsFile, load_weights

State = dict[str, Tensor]
FOLDER = Path("data/weights")  # the only place that a file is fetched to
FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write safetensors without metadata, so that the same tensors give the same bytes.

    Raises RepriseError, before anything is written, for a number that is not finite.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise RepriseError(
                f"{path}: {name} contains numbers that are not finite; lower learning_rate"
            )
    write_bytes(path, save({name: t.detach().cpu().contiguous() for name, t in tensors.items()}))


def read_tensors(path: Path, advice: str) -> State:
    """The tensors of a file of safetensors, or of torch; nothing in it is executed.

    Raises RepriseError if it is missing or damaged, or holds anything but tensors by name.
    """
    check_file(path, advice)
    try:
        if path.suffix == ".safetensors":
            state: State = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # two libraries decide what a damaged file raises
        reason = str(error).split("\n")[0]
        raise RepriseError(f"{path}: cannot be read as weights ({reason}); {advice}") from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise RepriseError(f"{path}: holds no tensors by name; save the model's state_dict()")
    return dict(state)


def read_weights(name: str, files: Mapping[str, WeightsFile]) -> State:
    """The tensors of a file of the block `weights`.

    Raises RepriseError when the name is unknown, or the file is missing or has another sha256, and
    as `read_tensors` does.
    """
    file = _entry(name, files)
    path = Path(file.path)
    if not os.path.isfile(path):
        raise RepriseError(
            f"{path}: not found; `make weights NAME={name}` fetches it if there is a network, "
            "otherwise put the file there, or set weights: none in the recipe"
        )
    digest = sha256(path)
    if file.sha256 is None and file.published:
        raise RepriseError(
            f"params.yaml: weights.{name} has no sha256; `make weights NAME={name}` writes it"
        )
    if file.sha256 is None:
        logging.warning("%s: params.yaml: weights.%s has no sha256; it is %s", path, name, digest)
    elif not digest.startswith(file.sha256):
        raise RepriseError(
            f"{path}: its sha256 is {digest}, but params.yaml: weights.{name} has {file.sha256}; "
            "fetch it again, or correct the sha256"
        )
    return read_tensors(path, "fetch it again")


def load_state(
    module: nn.Module,
    state: State,
    path: str | Path,
    without: Sequence[str] = (),
    advice: str = "name the file of the recipe's model",
) -> None:
    """Load a state strictly, but for keys that begin with one of `without`.

    Raises RepriseError with the first key that is missing, unknown, of another shape or type, or
    not finite.
    """
    state = {key: value for key, value in state.items() if not key.startswith(tuple(without))}
    expected = {k: v for k, v in module.state_dict().items() if not k.startswith(tuple(without))}
    # files of 2017 do not count batches
    state = {k: v for k, v in expected.items() if k.endswith("_batches_tracked")} | state
    for key in [*expected, *state]:
        in_file, in_model = (_kind(tensors.get(key)) for tensors in (state, expected))
        if in_file != in_model:
            raise RepriseError(
                f"{path}: does not fit the network: '{key}' is {in_file} in the file and "
                f"{in_model} in the network; {advice}"
            )
        if state[key].is_floating_point() and not state[key].isfinite().all():
            raise RepriseError(f"{path}: '{key}' has numbers that are not finite; {advice}")
    module.load_state_dict(state, strict=False)


def _kind(tensor: Tensor | None) -> str:
    """Shape and type of a tensor, as far as they must agree: any precision of floats will do."""
    if tensor is None:
        return "missing"
    return f"{tuple(tensor.shape)} {'float' if tensor.dtype in FLOATS else str(tensor.dtype)}"


def load_backbone_weights(network: Classifier | Backbone, state: State, path: str) -> None:
    """Load published weights into a backbone, or into that of a classifier.

    The ImageNet layer is left out where the backbone ends before it. Raises RepriseError (see
    `load_state`).
    """
    backbone = network if isinstance(network, Backbone) else network.backbone
    last = [] if backbone.width == 1000 else ["fc.", "classifier.6."]
    load_state(backbone.net, state, path, without=last)


def load_pretrained(backbone: Backbone, path: Path) -> None:
    """Load a backbone.safetensors that a pretraining wrote, strictly but for the layer `fc`.

    If only the backbone has that layer, it stays as initialised; if only the file has it, it is not
    loaded. Raises RepriseError when the file is missing, damaged, or of another architecture.
    """
    state = read_tensors(path, "run its pretraining first")
    both = "fc.weight" in state.keys() & backbone.net.state_dict().keys()
    advice = "use the same `backbone` and `stem` for pretraining and fine-tuning"
    load_state(backbone.net, state, path, [] if both else ["fc."], advice)


def fetch(name: str, files: Mapping[str, WeightsFile]) -> str:
    """Download a file of the block `weights` to its path, unless it is there already; its sha256.

    Raises RepriseError when the name is unknown, or the file has no address, cannot be downloaded,
    or has another sha256; and when its path is not below FOLDER, or its url is not https.
    """
    file = _entry(name, files)
    path, address = Path(file.path), url(file)
    if file.sha256 and os.path.isfile(path) and sha256(path).startswith(file.sha256):
        logging.info("%s: already there, with the right sha256", path)
        return file.sha256
    if address is None:
        raise RepriseError(
            f"weights.{name}: has no url; obtain the file from its author and place it at {path}"
        )
    try:
        if FOLDER.resolve() not in path.resolve().parents:
            raise RepriseError(
                f"weights.{name}: path {path}: must be below {FOLDER}, also by links"
            )
        if urlsplit(address).scheme != "https":
            raise RepriseError(f"weights.{name}: url {address}: must begin with https://")
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(address, str(path), file.sha256, sys.stderr.isatty())
    except (OSError, HTTPException, RuntimeError, ValueError) as error:  # another sha256; no url
        raise RepriseError(
            f"{address}: cannot be fetched ({error}); download it elsewhere and place it at {path}"
        ) from None
    logging.info("%s: fetched%s", path, " and verified" if file.sha256 else "")
    return sha256(path)


def write_sha256(name: str, digest: str, params: Path) -> None:
    """Write the sha256 of a file into the block `weights`; other lines and comments stay."""
    values: Any = read_yaml(params, layout=True)
    values["weights"][name]["sha256"] = digest
    write_text(params, yaml_text(values))
    logging.warning(
        "%s: weights.%s.sha256: is now %s, of the file that came; nothing it was compared with",
        params, name, digest,
    )  # fmt: skip


def url(file: WeightsFile) -> str | None:
    """Where a file is published: its url, or the one that torchvision or timm has for its entry.

    Raises RepriseError for a name that torchvision or timm does not have.
    """
    if file.timm is not None:
        from reprise.models import timm_networks  # takes two seconds to import

        return timm_networks.url(file.timm)
    if file.torchvision is None:
        return file.url
    from torchvision.models import get_weight  # takes a second to import

    try:
        return str(get_weight(file.torchvision).url)
    except (AttributeError, KeyError, ValueError):
        raise RepriseError(
            f"{file.path}: torchvision has no weights '{file.torchvision}'; correct the name"
        ) from None


def _entry(name: str, files: Mapping[str, WeightsFile]) -> WeightsFile:
    if name not in files:
        hint = did_you_mean(name, files) if files else "`make preset PRESET=course` has some"
        raise RepriseError(f"params.yaml: weights has no '{name}'; {hint}")
    return files[name]


def main() -> None:
    """Fetch one file."""
    parser = argparse.ArgumentParser(description="Fetch and verify a file of published weights.")
    parser.add_argument("name", help="a name of the block `weights` of params.yaml")
    parser.add_argument("--params", type=Path, default=PARAMS)
    args = parser.parse_args()
    socket.setdefaulttimeout(60)  # seconds without an answer
    files = load_weights(args.params)
    digest = fetch(args.name, files)
    if files[args.name].sha256 is None:
        write_sha256(args.name, digest, args.params)


if __name__ == "__main__":
    run(main)
