"""Reprise as a library: open a prepared dataset, train a recipe, score its predictions, predict.

`import reprise` offers these functions; see docs/library.md. Each raises RepriseError, with one
line that says what to do, for a mistake in what it was given. `train` and the functions that open
a model make torch deterministic in this process, on `threads` threads.
"""

import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reprise import numerics
from reprise.datasets.batches import Batches
from reprise.datasets.prepared import Kind, PreparedDataset, read_prepared
from reprise.errors import RepriseError, did_you_mean
from reprise.evaluation.scores import count_classes, count_masks
from reprise.evaluation.statistics import Estimate, SeedScores
from reprise.evaluation.summaries import over_seeds
from reprise.export.export import export as export_run
from reprise.models.build import BUILDERS, is_depthwise, normalization_of
from reprise.params.base import PARAMS, validate
from reprise.params.load import load_params
from reprise.params.pretrain import PretrainTask
from reprise.params.training import Runtime, Training, WeightsFile
from reprise.predict.exported import RECIPES, open_model
from reprise.predict.trained_run import TrainedRun, network_name, open_run
from reprise.training.classify import classify
from reprise.training.finetune import finetune
from reprise.training.job import JobContext
from reprise.training.pretrain import pretrain
from reprise.training.runtime import configure_torch
from reprise.training.segment import segment

__all__ = [
    "compare_runs",
    "export_run",
    "open_dataset",
    "open_model",
    "open_run",
    "predict_files",
    "read_recipe",
    "score",
    "train",
]
STAGES = ("pretrain", *BUILDERS)
Values = Mapping[str, Any] | Training


def open_dataset(folder: str | Path) -> PreparedDataset:
    """A prepared dataset, such as results/prepare/climate: images, labels, splits and groups.

    `images` is (n, H, W, 3) uint8, memory-mapped; row i of `index` describes image i.
    """
    return read_prepared(Path(folder))


def read_recipe(stage: str, task: str, run: str, path: str | Path = PARAMS) -> Training:
    """The recipe of a run in a params.yaml; `model_copy(update={...})` changes values of it."""
    tasks = getattr(load_params(Path(path)), _known(stage, STAGES, "stage"))
    block = tasks[_known(task, tasks, f"{path}: {stage}")]
    _known(run, block.recipes, f"{path}: {stage}.{task}.recipes")
    recipe: Training = block.training(run) if stage == "finetune" else block.recipes[run]
    return recipe


def train(
    stage: str,
    recipe: Values,
    dataset: PreparedDataset,
    out: str | Path,
    seed: int = 0,
    *,
    backbone: str | Path | None = None,
    frozen: bool = False,
    labels: float = 1.0,
    weights: Mapping[str, Any] | None = None,
    threads: int = 1,
    precision: str = "auto",
) -> Path:
    """Train a recipe, and write what the job of a pipeline writes; returns `out`.

    stage: pretrain, finetune, classify or segment. recipe: as in params.yaml (of finetune: its
    `common`), or from `read_recipe`. Of fine-tuning only: backbone: the backbone.safetensors that
    it starts from; frozen: train only its head; labels: the share of the labels that it uses.
    weights: the block of params.yaml for published weights by name. Killed and called again, it
    goes on from its checkpoint. The same arguments give the same bytes on the same kind of machine,
    and those of the pipeline's own job.
    """
    folder = Path(out)
    values = _recipe(_known(stage, STAGES, "stage"), recipe)
    if stage != "finetune" and (backbone or frozen or labels != 1):
        raise RepriseError(f"train: backbone, frozen and labels are of finetune, not of {stage}")
    files = {k: validate(WeightsFile, v, f"weights.{k}") for k, v in (weights or {}).items()}
    context = _context(stage, values, dataset, _seed(seed), threads, precision)
    if stage == "finetune":
        finetune(context, folder, Path(backbone) if backbone else None, frozen, labels)
    else:
        {"pretrain": pretrain, "classify": classify, "segment": segment}[stage](
            context, files, folder
        )
    return folder


def score(
    folders: Sequence[str | Path],
    dataset: PreparedDataset,
    merge_classes: int | None = None,
    crop: int | None = None,
    metric: str | None = None,
) -> Estimate:
    """A metric on the test split, with its intervals; folders: of the seeds of one recipe.

    `value` is the mean over the seeds in 0..1; `groups_low` and `groups_high` are the 95 % interval
    over groups of images, `ci_low` and `ci_high` over groups and seeds (NaN for one seed).
    merge_classes, crop: of a segmentation recipe, if it has them (crop: augment.crop_pixels).
    metric: accuracy or miou by default; also ece, miou_dlcv, or one of another package.
    """
    return _over_seeds(folders, dataset, merge_classes, crop, metric).estimate()


def compare_runs(
    a: Sequence[str | Path],
    b: Sequence[str | Path],
    dataset: PreparedDataset,
    merge_classes: int | None = None,
    crop: int | None = None,
    metric: str | None = None,
) -> Estimate:
    """The paired difference a - b of two recipes with the same seeds, with intervals (see `score`).

    The method `p()` gives its two-sided p.
    """
    one, two = (_over_seeds(folders, dataset, merge_classes, crop, metric) for folders in (a, b))
    if len(one.values) != len(two.values):
        raise RepriseError(f"{len(one.values)} and {len(two.values)} seeds; compare the same seeds")
    return (one - two).estimate()


def predict_files(model: TrainedRun, images: Sequence[str | Path]) -> pd.DataFrame:
    """The class of each image file by a classifier: columns file, label, and one a class.

    model: from `open_run` or `open_model`. The columns of the classes are probabilities. For masks
    use the command `reprise predict`, or `model.logits`.
    """
    if model.segments:
        raise RepriseError(f"{model.job.path}: predicts masks; use the command `reprise predict`")
    names, shares = model.classes.names, []
    for start in range(0, len(images), model.batch_size):
        chunk = [model.read(Path(path)) for path in images[start : start + model.batch_size]]
        shares.append(model.logits(np.stack(chunk)).softmax(1).cpu().numpy())
    values = np.concatenate(shares) if shares else np.zeros((0, len(names)))
    table = pd.DataFrame(values, columns=list(names))
    table.insert(0, "label", [names[i] for i in values.argmax(1)])
    table.insert(0, "file", [str(path) for path in images])
    return table


def _known(name: str, choices: Any, where: str) -> str:
    if name not in choices:
        raise RepriseError(f"{where}: no '{name}'; {did_you_mean(name, choices)}")
    return name


def _seed(seed: int) -> int:
    """A seed as NumPy takes it; RepriseError for another value."""
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 2**32:
        raise RepriseError(
            f"train: seed: must be a whole number from 0 to 2**32 - 1 (got {seed!r})"
        )
    return number


def _recipe(stage: str, recipe: Values) -> Training:
    """A typed recipe of a stage, with its values checked: `model_copy` does not check them."""
    if isinstance(recipe, Training):
        return validate(type(recipe), recipe.model_dump(mode="json"), "recipe")
    if not isinstance(recipe, Mapping):
        raise RepriseError("recipe: pass a dictionary, or what `read_recipe` returns")
    if stage in RECIPES:
        return validate(RECIPES[stage], dict(recipe), "recipe")
    task = {"data": "data", "runs": ["run"], "seeds": [0], "recipes": {"run": dict(recipe)}}
    return validate(PretrainTask, task, "recipe").recipes["run"]


def _context(
    stage: str, recipe: Training, data: PreparedDataset, seed: int, threads: int, precision: str
) -> JobContext[Any]:
    """What every training gets."""
    kind: Kind = "segmentation" if stage == "segment" else "classification"
    data = read_prepared(data.folder, kind)
    values = {"threads": threads, "precision": precision, "numerics": numerics.mode()}
    runtime = validate(Runtime, values, "train")
    depthwise = stage == "classify" and is_depthwise(network_name(recipe))
    device = configure_torch(runtime, seed, depthwise)
    batches = Batches(
        data, recipe.augment, seed, device.device, getattr(recipe, "image_size", None),
        normalization_of(recipe),
    )  # fmt: skip
    return JobContext(recipe, "recipe", seed, data, batches, device)


def _over_seeds(
    folders: Sequence[str | Path],
    dataset: PreparedDataset,
    merge_classes: int | None,
    crop: int | None,
    metric: str | None,
) -> SeedScores:
    """The scores of the seeds of one recipe, whose outputs are in these folders."""
    if not folders or isinstance(folders, str | Path):
        raise RepriseError(
            "no list of folders; pass those that `train` returned, one for each seed"
        )
    if dataset.kind == "segmentation":
        counts: list[Any] = [
            count_masks(Path(folder) / "predictions", dataset, merge_classes, crop)
            for folder in folders
        ]
    else:
        counts = [count_classes(Path(folder) / "predictions.csv", dataset)[0] for folder in folders]
    metric = metric or ("miou" if dataset.kind == "segmentation" else "accuracy")
    _known(metric, counts[0].scores, "metric")
    return over_seeds([each.scores[metric] for each in counts], counts[0].groups)
