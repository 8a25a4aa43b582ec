"""The stage classify: one job, as its script and the library run it."""

from collections.abc import Mapping
from pathlib import Path

from reprise.models.build import build_classifier, load_weights_into
from reprise.params.classify import ClassifyRecipe
from reprise.params.training import WeightsFile
from reprise.training.classification import train_classifier, write_classifier
from reprise.training.ensemble import predict_by_vote
from reprise.training.job import JobContext


def classify(
    context: JobContext[ClassifyRecipe], files: Mapping[str, WeightsFile], out: Path
) -> None:
    """Train and evaluate a classifier, and write the outputs to `out`.

    files: the block `weights`. Raises RepriseError for weights that do not fit, and as
    `train_classifier` does.
    """
    recipe = context.recipe
    model = build_classifier(recipe, len(context.data.classes.names))
    read = load_weights_into(model, recipe.model, recipe.weights, files)
    if recipe.frozen:
        model.backbone.freeze()
    votes = recipe.ensemble_epochs > 1
    checkpoint = context.checkpoint(out, read)
    result = train_classifier(
        model, context, checkpoint, "test", recipe.feature_epochs, keep_predictions=votes
    )
    if votes:
        predict_by_vote(result, recipe.ensemble_epochs)
    if context.device.processes.finish():
        write_classifier(out, result, context.device)
        checkpoint.remove()
