"""Pretrain a backbone on one data set, with BYOL or supervised."""

import argparse
from functools import partial
from pathlib import Path

from reprise.cli import run
from reprise.data.inputs import Inputs, moments_of
from reprise.data.store import open_set
from reprise.errors import RepriseError
from reprise.models.backbone import resnet
from reprise.models.weights import start_backbone
from reprise.params import ByolPretraining, SupervisedPretraining, load_params
from reprise.training.checkpoint import for_job
from reprise.training.outputs import write_history, write_tensors
from reprise.training.pretraining import pretrain_byol, pretrain_supervised, take_over
from reprise.training.runtime import set_up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="a name in pretrain.runs")
    parser.add_argument("--method", required=True, choices=["byol", "supervised"])
    parser.add_argument("--data", type=Path, required=True, help="folder of a prepared set")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    params = load_params(args.params)
    if args.run not in params.pretrain.recipes:
        raise RepriseError(f"{args.params}: run '{args.run}' is not in pretrain.recipes")
    recipes = params.pretrain.recipes[args.run]
    recipe = recipes.byol if args.method == "byol" else recipes.supervised
    where = f"{args.params}: pretrain.recipes.{args.run}.{args.method}"
    data = open_set(args.data, "classification")
    device = set_up(params.runtime, recipe.seed)
    ready = isinstance(recipe, SupervisedPretraining) and recipe.weights != "none"
    backbone = resnet(recipe.backbone, recipe.stem, imagenet_layer=ready)
    normalise = moments_of(recipe.normalise)
    inputs = Inputs(data, recipe.augment, recipe.seed, device.device, normalise=normalise)
    checkpoint = for_job(args.out, [args.method, recipe.model_dump()], args.data, [], device)
    if isinstance(recipe, ByolPretraining):
        state, history = pretrain_byol(backbone, data, inputs, recipe, device, where, checkpoint)
    elif ready:
        load = partial(start_backbone, backbone, recipe.weights, params.weights)
        state, history = take_over(backbone, load, data, inputs, recipe, device)
    else:
        state, history = pretrain_supervised(
            backbone, data, inputs, recipe, device, where, checkpoint
        )
    write_tensors(args.out / "backbone.safetensors", state)
    write_history(args.out / "history.csv", history)
    checkpoint.remove()


if __name__ == "__main__":
    run(main)
