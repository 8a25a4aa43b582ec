"""What the scripts of the training stages share: their arguments and what every training gets."""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import Tensor

from reprise.datasets.batches import Batches, Rows
from reprise.datasets.prepared import Kind, PreparedDataset, read_prepared
from reprise.errors import RepriseError, did_you_mean
from reprise.models.build import normalization_of
from reprise.params.base import PARAMS, Task, load_block
from reprise.params.pieces import pieces_problem, processes_of
from reprise.params.training import Training, load_runtime
from reprise.training.checkpoint import Checkpoint, job_checkpoint
from reprise.training.processes import join
from reprise.training.runtime import Device, configure_torch, predict_batches

TaskT = TypeVar("TaskT", bound=Task)
RecipeT = TypeVar("RecipeT", bound=Training)
RecipeT_co = TypeVar("RecipeT_co", bound=Training, covariant=True)


@dataclass(frozen=True)
class JobContext(Generic[RecipeT_co]):
    """What every training gets.

    config_key: the recipe's key in params.yaml, for messages.
    """

    recipe: RecipeT_co
    config_key: str
    seed: int
    data: PreparedDataset
    batches: Batches
    device: Device

    def predict(self, network: Callable[[Tensor], Tensor], rows: Rows) -> Tensor:
        """A network's outputs for images without augmentation (see `predict_batches`)."""
        size = self.batches.eval_batch_size
        return predict_batches(network, self.batches.eval_batch, rows, self.device, size)

    def checkpoint(self, out: Path, files: Iterable[Path] = (), *values: Any) -> Checkpoint:
        """The checkpoint of the job that writes to `out` and reads `files`.

        values: what the job reads of params.yaml besides its recipe.
        """
        parameters = [self.seed, self.recipe.model_dump(), *values]
        dataset = sorted(path for path in self.data.folder.iterdir() if path.is_file())
        return job_checkpoint(out, parameters, [*dataset, *files], self.device)


def job_parser(description: str | None, stage: str, seeds: bool = True) -> argparse.ArgumentParser:
    """The arguments of a stage's script; without `seeds` it has no --seed."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--task", required=True, help=f"a task of `{stage}` in params.yaml")
    parser.add_argument("--run", required=True, help="a run of the task")
    if seeds:
        parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of the prepared dataset")
    parser.add_argument("--out", type=Path, required=True, help="folder of the outputs")
    parser.add_argument("--params", type=Path, default=PARAMS)
    return parser


def load_task(args: argparse.Namespace, stage: str, block: type[TaskT]) -> TaskT:
    """The task that the arguments name.

    Raises RepriseError if it is missing or wrong, or has no recipe for the run.
    """
    task = load_block(args.params, f"{stage}.{args.task}", block)
    recipes: dict[str, Any] = getattr(task, "recipes", {})
    if args.run not in recipes:
        hint = did_you_mean(args.run, recipes) if recipes else "add it"
        raise RepriseError(f"{config_key(args, stage)}: not found; {hint}")
    return task


def config_key(args: argparse.Namespace, stage: str) -> str:
    """The file and key of the recipe that the arguments name."""
    return f"{args.params}: {stage}.{args.task}.recipes.{args.run}"


def open_job(
    args: argparse.Namespace,
    stage: str,
    kind: Kind,
    recipe: RecipeT,
    weights: str = "none",
    image_size: int | None = None,
    depthwise: bool = False,
) -> JobContext[RecipeT]:
    """Configure torch for a job, open its dataset, and start its other processes.

    weights: what its network starts from, for the normalization. image_size: of the batches, by
    default that of the dataset. depthwise: see `configure_torch`.
    Raises RepriseError if the dataset or the block `runtime` is missing or wrong, and if the
    processes cannot share the pieces of a batch, or lack GPUs.
    """
    data, runtime = read_prepared(args.data, kind), load_runtime(args.params)
    if problem := pieces_problem(recipe, runtime):
        raise RepriseError(f"{config_key(args, stage)}.micro_batches: {problem}")
    device = configure_torch(runtime, args.seed, depthwise)
    device = replace(device, processes=join(processes_of(runtime, recipe), device.device))
    batches = Batches(
        data, recipe.augment, args.seed, device.device, image_size,
        normalization_of(recipe, weights),
    )  # fmt: skip
    return JobContext(recipe, config_key(args, stage), args.seed, data, batches, device)
