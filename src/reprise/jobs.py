"""The training jobs of a configuration, and where their files are."""

from dataclasses import dataclass
from pathlib import Path

from reprise.params.base import TrainingTask
from reprise.params.load import Params

STAGES = ("pretrain", "finetune", "classify", "segment")
CLASSIFYING = ("finetune", "classify")  # stages whose jobs write predictions.csv
NONE, OWN = "none", "own"


@dataclass(frozen=True)
class Job:
    """One training: a run of a task with one seed."""

    stage: str
    task: str
    run: str
    seed: int

    @property
    def path(self) -> str:
        """The job's name, such as classify/baseline/cnn/0."""
        return f"{self.stage}/{self.task}/{self.run}/{self.seed}"

    def folder(self, results: Path) -> Path:
        """The folder of the job's outputs."""
        return results / self.path


def tasks(params: Params, *stages: str) -> list[tuple[str, str, TrainingTask]]:
    """Stage, name and block of every task of these stages (default: all training stages)."""
    return [
        (stage, name, task)
        for stage in stages or STAGES
        for name, task in getattr(params, stage).items()
    ]


def jobs(params: Params, *stages: str) -> list[Job]:
    """Every training job of these stages (default: all), in the order of params.yaml."""
    return [
        Job(stage, name, run, seed)
        for stage, name, task in tasks(params, *stages)
        for run in task.runs
        for seed in task.seeds
    ]


def init_weights(params: Params, stage: str, task: str, run: str) -> str:
    """The published weights that a run starts from by name, NONE, or OWN.

    OWN is a backbone that a pretraining of this configuration trained.
    """
    if stage != "finetune":
        return str(getattr(getattr(params, stage)[task].recipes[run], "weights", NONE))
    block = params.finetune[task]
    start = block.recipes[run].start
    if start == NONE or block.pretraining is None:
        return NONE
    published = init_weights(params, "pretrain", block.pretraining, start)
    return OWN if published == NONE else published


def shared_pretraining(params: Params, task: str, run: str) -> bool:
    """Whether all seeds of a fine-tuning run start from one backbone.

    So they do with `pretraining_seeds: shared`, and if the weights of the backbone are published.
    """
    weights = init_weights(params, "finetune", task, run)
    return weights != NONE and (
        weights != OWN or params.finetune[task].pretraining_seeds == "shared"
    )
