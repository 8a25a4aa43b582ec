"""Where and how numbers are computed, and published weights by path and sha256."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, RootModel

from reprise.params.base import PARAMS, Block, Positive, read_yaml, validate


class Runtime(Block):
    """Device, precision and threads of every job.

    precision: auto is bfloat16 where the CPU or GPU has instructions for it, otherwise float32;
    float16: only on GPUs.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    threads: Positive = 1


class WeightsFile(Block):
    """A file of published weights; without a url the user has to obtain it.

    path: below the project. sha256: its first 8 digits or more; null: any file is accepted, with a
    warning that names its sha256. torchvision: its name in torchvision, such as
    ResNet101_Weights.IMAGENET1K_V1. url: where it can be downloaded.
    """

    path: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{8,64}$")] | None
    torchvision: str | None = None
    url: str | None = None


class _Weights(RootModel[dict[str, WeightsFile]]):
    pass


def load_runtime(path: Path = PARAMS) -> Runtime:
    """The block `runtime`, its defaults if there is none. Raises RepriseError if it is wrong."""
    return validate(Runtime, read_yaml(path).get("runtime") or {}, str(path), "runtime")


def load_weights(path: Path = PARAMS) -> dict[str, WeightsFile]:
    """The block `weights`, {} if there is none. Raises RepriseError if it is wrong."""
    return validate(_Weights, read_yaml(path).get("weights") or {}, str(path), "weights").root
