"""Train and evaluate a classifier."""

from reprise.cli import run
from reprise.models.build import build_classifier, is_depthwise, load_weights_into
from reprise.params.classify import ClassifyTask
from reprise.params.training import load_weights
from reprise.training.classification import train_classifier, write_classifier
from reprise.training.ensemble import predict_by_vote
from reprise.training.job import job_parser, load_task, open_job


def main() -> None:
    args = job_parser(__doc__, "classify").parse_args()
    recipe = load_task(args, "classify", ClassifyTask).recipes[args.run]
    context = open_job(
        args, "classify", "classification", recipe, recipe.weights, recipe.image_size,
        is_depthwise(recipe.model),
    )  # fmt: skip
    model = build_classifier(recipe, len(context.data.classes.names))
    files = load_weights_into(model, recipe.model, recipe.weights, load_weights(args.params))
    if recipe.frozen:
        model.backbone.freeze()
    votes = recipe.ensemble_epochs > 1
    checkpoint = context.checkpoint(args.out, files)
    result = train_classifier(
        model, context, checkpoint, "test", recipe.feature_epochs, keep_predictions=votes
    )
    if votes:
        predict_by_vote(result, recipe.ensemble_epochs)
    write_classifier(args.out, result, context.device)
    checkpoint.remove()


if __name__ == "__main__":
    run(main)
