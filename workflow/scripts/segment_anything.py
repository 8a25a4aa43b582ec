"""Find masks of everything in named images with Segment Anything."""

import numpy as np
import torch

from reprise.cli import run
from reprise.datasets.prepared import read_prepared
from reprise.models.sam import build_sam, write_masks
from reprise.models.weights import load_state, read_weights
from reprise.params.segment_anything import SegmentAnythingTask
from reprise.params.training import load_runtime, load_weights
from reprise.training.job import job_parser, load_task
from reprise.training.runtime import configure_torch


def main() -> None:
    args = job_parser(__doc__, "segment_anything", seeds=False).parse_args()
    task = load_task(args, "segment_anything", SegmentAnythingTask)
    recipe = task.recipes[args.run]
    data = read_prepared(args.data)
    images = {name: np.array(data.images[data.row(name)]) for name in task.images}
    device = configure_torch(load_runtime(args.params), recipe.seed)
    # it sums ones to number pixels, for which CUDA has no deterministic kernel and needs none
    torch.use_deterministic_algorithms(True, warn_only=True)
    model = build_sam(recipe.model)
    if recipe.weights != "none":
        files = load_weights(args.params)
        state = read_weights(recipe.weights, files)
        load_state(model, state, files[recipe.weights].path)
    write_masks(args.out, model.to(device.device), images, recipe)


if __name__ == "__main__":
    run(main)
