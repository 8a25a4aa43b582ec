"""Fine-tune one of the settings A to E: a backbone under a head, whole or frozen."""

import argparse
from pathlib import Path

from reprise.cli import run
from reprise.data.inputs import Inputs, moments_of
from reprise.data.store import open_set
from reprise.errors import RepriseError
from reprise.models.backbone import load_backbone, resnet
from reprise.models.classifier import with_head
from reprise.params import load_params
from reprise.training.checkpoint import for_job
from reprise.training.classification import train_classifier
from reprise.training.outputs import write_classifier
from reprise.training.runtime import set_up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="a name in finetune.runs")
    parser.add_argument("--setting", required=True, help="A, B, C, D or E")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of a prepared set")
    parser.add_argument("--backbone", type=Path, help="backbone.safetensors; none: from scratch")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    params = load_params(args.params)
    if args.run not in params.finetune.recipes:
        raise RepriseError(f"{args.params}: run '{args.run}' is not in finetune.recipes")
    recipe = params.finetune.recipes[args.run].training(args.setting)
    where = f"{args.params}: finetune.recipes.{args.run}.{args.setting}"
    data = open_set(args.data, "classification")
    device = set_up(params.runtime, args.seed)
    backbone = resnet(recipe.backbone, recipe.stem, recipe.imagenet_layer)
    model = with_head(backbone, recipe.hidden, len(data.classes))
    if args.backbone is not None:
        load_backbone(backbone, args.backbone)
    frozen = params.finetune.recipes[args.run].setting(args.setting).frozen
    if frozen:
        backbone.freeze()
    normalise = moments_of(recipe.normalise)
    inputs = Inputs(data, recipe.augment, args.seed, device.device, normalise=normalise)
    kept = ("train", recipe.features)
    files = [args.backbone] if args.backbone else []
    values = [args.seed, frozen, recipe.model_dump()]
    checkpoint = for_job(args.out, values, args.data, files, device)
    outcome = train_classifier(model, data, inputs, recipe, device, where, kept, checkpoint)
    write_classifier(args.out, outcome)
    checkpoint.remove()


if __name__ == "__main__":
    run(main)
