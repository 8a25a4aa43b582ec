"""An exported model: one file of safetensors, whose metadata has all that predictions need.

`reprise export` writes it; `open_model` reads it, without a project, params.yaml or data.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import torch
from pydantic import Field, NonNegativeInt
from safetensors import safe_open
from safetensors.torch import save

from reprise import numerics
from reprise.atomic_io import check_file
from reprise.datasets.prepared import (
    Classes,
    Entries,
    Kind,
    Mean,
    PreparedDataset,
    Scaling,
    Side,
    Std,
    Strict,
)
from reprise.errors import RepriseError
from reprise.images import Interpolation, Resize
from reprise.jobs import Job
from reprise.models.build import BUILDERS, is_depthwise
from reprise.models.weights import load_state, read_tensors
from reprise.params import models
from reprise.params.base import validate
from reprise.params.classify import ClassifyRecipe
from reprise.params.finetune import FinetuneCommon
from reprise.params.segment import SegmentRecipe
from reprise.params.training import Runtime, Training
from reprise.predict.trained_run import MODEL, TrainedRun, input_size, network_name
from reprise.training.runtime import configure_torch

KEY = "reprise"  # of the metadata; one key, because safetensors does not keep the order of several
AGAIN = "export the run again"
Stage = Literal["classify", "finetune", "segment"]
RECIPES: dict[str, type[Training]] = {
    "classify": ClassifyRecipe,
    "finetune": FinetuneCommon,
    "segment": SegmentRecipe,
}
KINDS = {"classify": "CLASSIFIERS", "finetune": "BACKBONES", "segment": "SEGMENTERS"}
Means = Annotated[list[Mean], Field(min_length=3, max_length=3)]
Stds = Annotated[list[Std], Field(min_length=3, max_length=3)]


class Metadata(Strict):
    """What a network is, what it predicts, and how images are prepared for it.

    recipe: with which it was trained; the network is built from it. mean, std: of red, green and
    blue in 0..1, by which pixels are normalized. height, width: to which an image is brought, by
    `resize` and `interpolation`; scaling: see PreparedDataset. input_size: (height, width) of the
    network's input, to which that image is then scaled. sha256: of the files that the model comes
    from. reprise: version.
    """

    format: Literal[1]
    reprise: str
    stage: Stage
    task: str
    run: str
    seed: NonNegativeInt
    architecture: str
    recipe: dict[str, Any]
    kind: Kind
    classes: Entries
    ignore: int | None
    mean: Means
    std: Stds
    height: Side
    width: Side
    input_size: Annotated[list[Side], Field(min_length=2, max_length=2)]
    scaling: Scaling
    resize: Resize
    interpolation: Interpolation
    precision: Literal["auto", "float32", "bfloat16", "float16"]
    data: str
    source: str
    licence: str
    sha256: dict[str, str]


def model_bytes(run: TrainedRun, metadata: Metadata) -> bytes:
    """The content of an exported model.safetensors; the same run gives the same bytes."""
    state = {k: v.detach().cpu().contiguous() for k, v in run.model.state_dict().items()}
    text = json.dumps(metadata.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
    return save(state, {KEY: text})


def read_metadata(path: Path) -> Metadata:
    """The metadata of an exported model.

    Raises RepriseError if the file is missing or damaged, or was not exported.
    """
    check_file(path, "pass a folder that `reprise export` wrote")
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(KEY)
    except Exception as error:  # safetensors decides what a damaged file raises
        raise RepriseError(f"{path}: cannot be read as weights ({error}); {AGAIN}") from None
    if text is None:
        raise RepriseError(f"{path}: was not exported; `reprise export RUN --out FOLDER` writes it")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise RepriseError(f"{path}: its metadata is not JSON; {AGAIN}") from None
    return validate(Metadata, values, str(path))


def open_model(folder: str | Path) -> TrainedRun:
    """An exported model, ready to predict as the run that it comes from.

    Raises RepriseError if a file is missing or damaged, or the model is one that this version of
    Reprise cannot build.
    """
    path = Path(folder) / MODEL
    metadata = read_metadata(path)
    recipe = _recipe(metadata, path)
    n_classes = len(metadata.classes)
    model = BUILDERS[metadata.stage](recipe, n_classes)
    device = configure_torch(_runtime(metadata), depthwise=is_depthwise(metadata.architecture))
    load_state(model, read_tensors(path, AGAIN), str(path), advice=AGAIN)
    device.to_device(model.eval())
    job = Job(metadata.stage, metadata.task, metadata.run, metadata.seed)
    dataset = _dataset(path.parent, metadata)
    return TrainedRun(job, recipe, model, dataset.classes, dataset, device, [path])


def describe(run: TrainedRun, precision: str, version: str, digests: dict[str, str]) -> Metadata:
    """The metadata of a run. version: of Reprise; digests: SHA-256 of files by their paths."""
    mean, std = run.mean_and_std
    info = run.dataset.info
    colors: list[Any] = list(run.classes.colors) or [None] * len(run.classes.names)
    entries = [
        {"id": i, "name": name} | ({"color": list(color)} if color else {})
        for i, (name, color) in enumerate(zip(run.classes.names, colors, strict=True))
    ]
    job = run.job
    values = {
        "format": 1, "reprise": version, "stage": job.stage, "task": job.task, "run": job.run,
        "seed": job.seed, "architecture": network_name(run.recipe),
        "recipe": run.recipe.model_dump(mode="json"), "kind": run.dataset.kind, "classes": entries,
        "ignore": run.classes.ignore, "mean": list(mean), "std": list(std),
        "height": run.dataset.height, "width": run.dataset.width,
        "input_size": list(input_size(run)), "scaling": run.dataset.scaling,
        "resize": info.get("resize", "cover"),
        "interpolation": info.get("interpolation", "bilinear"), "precision": precision,
        "data": run.dataset.name, "source": info.get("source", ""),
        "licence": info.get("licence", ""), "sha256": digests,
    }  # fmt: skip
    return validate(Metadata, values, job.path)


def _recipe(metadata: Metadata, path: Path) -> Training:
    """The recipe as it was trained, but for its normalization, which `mean` and `std` have."""
    values = metadata.recipe | {"normalize": "dataset"}
    if "weights" in values:
        values["weights"] = "none"
    recipe = validate(RECIPES[metadata.stage], values, str(path), "recipe")
    name, kind = network_name(recipe), KINDS[metadata.stage]
    if reason := models.unknown(name, kind):
        raise RepriseError(f"{path}: {reason}; use the version of Reprise that exported it")
    labels = "segmentation" if metadata.stage == "segment" else "classification"
    for key, value, expected in (
        ("architecture", metadata.architecture, name),
        ("kind", metadata.kind, labels),
    ):
        if value != expected:
            raise RepriseError(
                f"{path}: {key}: is {value}, but {metadata.stage} with this recipe needs "
                f"{expected}; {AGAIN}"
            )
    return recipe


def _runtime(metadata: Metadata) -> Runtime:
    """The precision of the run, or auto where this process cannot have it."""
    half = metadata.precision == "float16" and not torch.cuda.is_available()
    auto = half or numerics.is_portable()
    return Runtime(precision="auto" if auto else metadata.precision, numerics=numerics.mode())


def _dataset(folder: Path, metadata: Metadata) -> PreparedDataset:
    """The description of the training images, without images."""
    names = tuple(entry.name for entry in metadata.classes)
    has_colors = "color" in metadata.classes[0].model_fields_set
    colors = tuple(tuple(entry.color) for entry in metadata.classes) if has_colors else ()
    classes = Classes(names, colors, metadata.ignore)  # type: ignore[arg-type]
    info = metadata.model_dump(include={"scaling", "resize", "interpolation"})
    return PreparedDataset(
        folder, metadata.data, metadata.kind, classes, pd.DataFrame({"id": [], "split": []}), info,
        metadata.height, metadata.width, tuple(metadata.mean), tuple(metadata.std),
    )  # fmt: skip
