"""Classification tasks."""

from typing import Annotated

from pydantic import Field

from reprise.params.base import Distinct, Name, Pixels, Positive, TrainingTask
from reprise.params.training import NetworkName, Training, WidthMult


class ClassifyRecipe(Training):
    """One classifier.

    weights: none, a name of the block `weights`, or imagenet (of lite0, from its package).
    frozen: train only the last layer. dropout: before the last layer; not of cnn. width_mult: of
    the channels of alexnet; published weights fit 1.0 alone. ensemble_epochs: the epochs of the
    lowest validation loss that vote. feature_epochs: epochs whose features are saved.
    """

    model: NetworkName
    weights: Name = "none"
    frozen: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    width_mult: WidthMult = 1.0
    ensemble_epochs: Positive = 1
    image_size: Pixels
    feature_epochs: Distinct[list[Positive]]


class ClassifyTask(TrainingTask):
    """Classifiers on one dataset."""

    recipes: dict[Name, ClassifyRecipe]
