"""Train and evaluate a classifier."""

from reprise.cli import run
from reprise.models.build import is_depthwise
from reprise.params.classify import ClassifyTask
from reprise.params.training import load_weights
from reprise.training.classify import classify
from reprise.training.job import job_parser, load_task, open_job


def main() -> None:
    args = job_parser(__doc__, "classify").parse_args()
    recipe = load_task(args, "classify", ClassifyTask).recipes[args.run]
    context = open_job(
        args, "classify", "classification", recipe, recipe.weights, recipe.image_size,
        is_depthwise(recipe.model),
    )  # fmt: skip
    classify(context, load_weights(args.params), args.out)


if __name__ == "__main__":
    run(main)
