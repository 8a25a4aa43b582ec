"""Trained runs by name: which there are, and one of them as a network that answers."""

import difflib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML
from safetensors.torch import load_file

from reprise.data.inputs import Inputs
from reprise.data.store import Bytes, PreparedSet
from reprise.errors import RepriseError
from reprise.files import read_json, sha256
from reprise.models.weights import State, load_state
from reprise.params import Augment, Params, load_params
from reprise.prediction.networks import Network, network_of
from reprise.training.runtime import Device, set_up

LEVELS = {"finetune": 3, "classify": 2, "faces": 2, "segment": 2, "street": 2}  # below results/part
MODEL = "model.safetensors"


@dataclass(frozen=True)
class Trained:
    """A trained run, ready to answer."""

    name: str
    network: Network
    device: Device
    data: PreparedSet  # what it learnt from: the description alone, without images

    @property
    def segments(self) -> bool:
        """Whether its answers are label maps."""
        return self.name.split("/")[0] in ("segment", "street")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the prepared images that it learnt from."""
        return self.data.info["height"], self.data.info["width"]

    def inputs(self, images: Bytes) -> Inputs:
        """Images (n, *shape, 3) uint8 as the network reads them, without augmentation."""
        data, device = replace(self.data, images=images), self.device.device
        return Inputs(data, Augment(), 0, device, self.network.image_size, self.network.normalise)


def names(results: Path) -> list[str]:
    """The trained runs by their folders below `results`: classify/cnn/0, finetune/earth/A/0."""
    return [
        path.parent.relative_to(results).as_posix()
        for part, levels in LEVELS.items()
        for path in sorted((results / part).glob("*/" * levels + MODEL))
    ]


def open_run(name: str, project: Path) -> Trained:
    """A trained run of a project: of the folder that holds params.yaml and results/.

    Raises RepriseError when there is no such run, its recipe has changed since it was trained, or
    a file of it is missing or damaged.
    """
    params = load_params(project / "params.yaml")
    results = project / "results"
    name = chosen(name, results)
    refuse_changed(name, project, params)
    folder = results / "prepare" / block_of(name, params).data
    nothing = np.empty(0, np.uint8)
    data = PreparedSet(folder, nothing, nothing, pd.DataFrame(), read_json(folder / "dataset.json"))
    network = network_of(name, params, data.info)
    device = set_up(params.runtime, depthwise=network.depthwise)
    path = results / name / MODEL
    load_state(network.model, read_state(path), str(path))
    device.place(network.model.eval())
    return Trained(name, network, device, data)


def chosen(name: str, results: Path) -> str:
    """The name of a run, as it was given or as its folder. Raises RepriseError with those known."""
    there = names(results)
    wanted = name.strip("/").removeprefix(f"{results.as_posix()}/").removeprefix("results/")
    if wanted in there:
        return wanted
    if not there:
        raise RepriseError(
            f"{results}: holds no trained run; `make run` trains those of params.yaml"
        )
    near = difflib.get_close_matches(wanted, there, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise RepriseError(f"{results}: no trained run '{name}'; {hint}there are {', '.join(there)}")


def block_of(name: str, params: Params) -> Any:
    """The block of params.yaml that a run belongs to.

    Raises RepriseError when the run's recipe is not there.
    """
    part, run, *_ = name.split("/")
    block = params.stages[part]
    if run not in block.recipes:
        raise RepriseError(f"params.yaml: '{run}' is not in {part}.recipes; put its recipe back")
    return block


def read_state(path: Path) -> State:
    """The tensors of a safetensors file. Raises RepriseError when it is missing or damaged."""
    try:
        state: State = load_file(path)
    except Exception as error:  # what a damaged file raises is up to the library
        raise RepriseError(f"{path}: is not a safetensors file ({error}); train again") from None
    return state


def refuse_changed(name: str, project: Path, params: Params) -> None:
    """Raise RepriseError when params.yaml has other values for a run than those it learnt by.

    The record of the job beside its log tells those; where there is none, or it is of another
    model, nothing is known, and only the shapes of the weights can betray a change.
    """
    record = project / "logs" / f"{name}.json"
    model = f"results/{name}/{MODEL}"
    if not record.is_file():
        return
    said = read_json(record)
    if said.get("outputs", {}).get(model) != sha256(project / model):
        return
    reader = YAML(typ="safe", pure=True)
    then = reader.load(said["params"])
    now = reader.load((project / "params.yaml").read_text())
    data = block_of(name, params).data
    for key in keys_of(name, data):
        if value_of(then, key) != value_of(now, key):
            raise RepriseError(
                f"params.yaml: {'.'.join(key)} has changed since {name} was trained; put it back, "
                "or train again"
            )


def keys_of(name: str, data: str) -> list[tuple[str, ...]]:
    """What a run's answers depend on in params.yaml, as paths of keys."""
    part, run, *rest = name.split("/")
    own = [("common",), (rest[0],)] if part == "finetune" else [()]
    recipes = [(part, "recipes", run, *key) for key in own]
    return [(part, "data"), ("prepare", "recipes", data), *recipes]


def value_of(block: Any, key: tuple[str, ...]) -> Any:
    """The value below a path of keys; None when there is none."""
    for name in key:
        block = block.get(name) if isinstance(block, dict) else None
    return block
