"""Train and judge one classifier of the stages `classify` and `faces`."""

import argparse
from pathlib import Path

from reprise.cli import run
from reprise.data.inputs import Inputs, moments_of
from reprise.data.store import open_set
from reprise.errors import RepriseError
from reprise.models.classifier import DEPTHWISE, classifier
from reprise.models.weights import start_backbone
from reprise.params import load_params
from reprise.training.checkpoint import for_job
from reprise.training.classification import train_classifier
from reprise.training.outputs import write_classifier
from reprise.training.runtime import set_up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", required=True, choices=["classify", "faces"])
    parser.add_argument("--run", required=True, help="a name in the stage's runs")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of a prepared set")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    params = load_params(args.params)
    stage = params.classify if args.stage == "classify" else params.faces
    if args.run not in stage.recipes:
        raise RepriseError(f"{args.params}: run '{args.run}' is not in {args.stage}.recipes")
    recipe = stage.recipes[args.run]
    where = f"{args.params}: {args.stage}.recipes.{args.run}"
    data = open_set(args.data, "classification")
    device = set_up(params.runtime, args.seed, depthwise=recipe.model in DEPTHWISE)
    model = classifier(recipe, len(data.classes))
    files = start_backbone(model.backbone, recipe.weights, params.weights)
    if recipe.frozen:
        model.backbone.freeze()
    normalise = moments_of(recipe.normalise, recipe.weights)
    inputs = Inputs(data, recipe.augment, args.seed, device.device, recipe.image_size, normalise)
    kept = ("report", recipe.features)
    checkpoint = for_job(args.out, [args.seed, recipe.model_dump()], args.data, files, device)
    outcome = train_classifier(
        model, data, inputs, recipe, device, where, kept, checkpoint, recipe.vote
    )
    write_classifier(args.out, outcome)
    checkpoint.remove()


if __name__ == "__main__":
    run(main)
