"""Fine-tuning tasks: a pretrained backbone with a new head; settings such as A to E are runs."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reprise.params.base import (
    Block,
    Channels,
    Decay,
    Distinct,
    Name,
    Positive,
    Rate,
    TrainingTask,
    require_name,
)
from reprise.params.pretrain import Stem
from reprise.params.training import NetworkName, Training


class FinetuneCommon(Training):
    """What all runs of a task share: one head, one budget.

    head_hidden_dim: width of the head's hidden layer. keep_imagenet_fc: the head reads the
    backbone's 1000 logits, as in the homeworks. feature_epochs: epochs whose features are saved.
    """

    backbone: NetworkName
    stem: Stem
    head_hidden_dim: Channels
    keep_imagenet_fc: bool = False
    feature_epochs: Distinct[list[Positive]]


class FinetuneRecipe(Block):
    """What sets a run apart; a value given here replaces the common one.

    start: a run of the pretraining task, or none: from scratch. frozen: train only the head.
    labels: the share of the labelled train images (see `datasets.label_share`).
    """

    start: Name
    frozen: bool
    labels: Annotated[float, Field(gt=0, le=1)] = 1.0
    learning_rate: Rate | None = None
    weight_decay: Decay | None = None
    epochs: Positive | None = None
    batch_size: Positive | None = None


class FinetuneTask(TrainingTask):
    """Fine-tuning on one dataset, from the backbones of one pretraining task.

    pretraining_seeds: paired: the run of a seed starts from the pretraining of the same seed;
    shared: every run starts from the first seed of the pretraining. gap: runs whose accuracy on
    train and on val is drawn and compared, as in the 2024 homework.
    """

    pretraining: Name | None = None
    pretraining_seeds: Literal["paired", "shared"] = "paired"
    gap: Distinct[list[Name]] = []
    common: FinetuneCommon
    recipes: dict[Name, FinetuneRecipe]

    @model_validator(mode="after")
    def _shown_runs_exist(self) -> Self:
        for run in self.gap:
            require_name("gap", run, self.recipes, "recipes")
        return self

    def training(self, run: str) -> FinetuneCommon:
        """The common values with those of the run in their place."""
        values = self.recipes[run].model_dump(
            exclude={"start", "frozen", "labels"}, exclude_none=True
        )
        return self.common.model_copy(update=values)

    def pretraining_seed(self, seed: int, pretrained: Sequence[int]) -> int:
        """The seed of the pretraining that a run with `seed` starts from.

        pretrained: the seeds of the pretraining task.
        """
        return seed if self.pretraining_seeds == "paired" else pretrained[0]
