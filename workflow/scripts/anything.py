"""Masks of everything in named images, by Segment Anything."""

import argparse
from pathlib import Path

import torch

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.models.anything import named_images, sam, start_sam, write_masks
from reprise.params import load_params
from reprise.training.runtime import set_up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="a name in anything.runs")
    parser.add_argument("--data", type=Path, required=True, help="folder of a prepared set")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    params = load_params(args.params)
    if args.run not in params.anything.recipes:
        raise RepriseError(f"{args.params}: run '{args.run}' is not in anything.recipes")
    recipe = params.anything.recipes[args.run]
    images = named_images(args.data, params.anything.images)
    device = set_up(params.runtime, recipe.seed)
    # it sums ones to number pixels, for which CUDA has no deterministic kernel and needs none
    torch.use_deterministic_algorithms(True, warn_only=True)
    model = sam(recipe.model)
    start_sam(model, recipe.weights, params.weights)
    write_masks(args.out, model.to(device.device), images, recipe)


if __name__ == "__main__":
    run(main)
