"""Published weights: files named by path and sha256, read without running anything in them."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from reprise.errors import RepriseError
from reprise.files import sha256
from reprise.models.backbone import Backbone
from reprise.params import WeightsFile

State = dict[str, Tensor]


def read_weights(name: str, file: WeightsFile) -> State:
    """The tensors of a weights file of params.yaml.

    Raises RepriseError when it is missing, has another sha256, or holds something else than
    tensors by name.
    """
    path = Path(file.path)
    if not path.is_file():
        raise RepriseError(
            f"{path}: not there; `make weights NAME={name}` fetches it where there is a network, "
            "else put the file there, or set the recipe's weights to none"
        )
    found = sha256(path)
    if file.sha256 is None:
        logging.warning("%s: params.yaml, weights.%s has no sha256; it is %s", path, name, found)
    elif not found.startswith(file.sha256):
        raise RepriseError(
            f"{path}: its sha256 is {found}, params.yaml, weights.{name} says {file.sha256}; "
            "fetch it again, or write the right one"
        )
    try:
        if path.suffix == ".safetensors":
            state: State = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged or a wrong file raises is up to two libraries
        reason = str(error).split("\n")[0]
        raise RepriseError(
            f"{path}: cannot be read as weights ({reason}); fetch it again"
        ) from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise RepriseError(f"{path}: holds no tensors by name; save the model's state_dict()")
    return dict(state)


def load_state(module: nn.Module, state: State, path: str, without: Sequence[str] = ()) -> None:
    """Load a state into a module strictly, but for keys that begin with one of `without`.

    Raises RepriseError with the first key that is missing, unknown or of another shape.
    """
    wanted = module.state_dict()
    given = {key: value for key, value in state.items() if not key.startswith(tuple(without))}
    kept = {key for key in wanted if key.startswith(tuple(without))}
    for key in [*wanted, *given]:
        if key in kept or key.endswith("num_batches_tracked"):  # files of 2017 have none
            continue
        have = tuple(given[key].shape) if key in given else "nothing"
        want = tuple(wanted[key].shape) if key in wanted else "nothing"
        if have != want:
            raise RepriseError(
                f"{path}: is of another architecture: '{key}' is {have} in the file and {want} in "
                "the model; name the file that belongs to the recipe's model"
            )
    module.load_state_dict(given, strict=False)


def start_backbone(backbone: Backbone, name: str, files: Mapping[str, WeightsFile]) -> list[Path]:
    """Load what a recipe's `weights` names into a new backbone; the files that were read.

    The ImageNet layer is left out where the backbone ends before it. A name that is not in `files`
    ('none', or what the model's own package has) reads nothing.
    Raises RepriseError (see `read_weights` and `load_state`).
    """
    if name not in files:
        return []
    last = [] if backbone.width == 1000 else ["fc.", "classifier.6."]
    load_state(backbone.net, read_weights(name, files[name]), files[name].path, without=last)
    return [Path(files[name].path)]
