"""Train and judge one segmentation network of the stages `segment` and `street`."""

import argparse
from pathlib import Path

from reprise.cli import run
from reprise.data.inputs import Inputs, moments_of
from reprise.data.store import PreparedSet, open_set
from reprise.errors import RepriseError
from reprise.models.segmentation import segmenter, start_segmenter
from reprise.params import load_params
from reprise.training.checkpoint import for_job
from reprise.training.outputs import write_segmenter
from reprise.training.runtime import set_up
from reprise.training.segmentation import train_segmenter, truth_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", required=True, choices=["segment", "street"])
    parser.add_argument("--run", required=True, help="a name in the stage's runs")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of a prepared set")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    params = load_params(args.params)
    stage = params.segment if args.stage == "segment" else params.street
    if args.run not in stage.recipes:
        raise RepriseError(f"{args.params}: run '{args.run}' is not in {args.stage}.recipes")
    recipe = stage.recipes[args.run]
    where = f"{args.params}: {args.stage}.recipes.{args.run}"
    data = open_set(args.data, "segmentation")
    images = rows_of(data, stage.images, f"{args.params}: {args.stage}.images")
    truth = truth_of(data, recipe.merge)
    device = set_up(params.runtime, args.seed)
    model = segmenter(recipe.model, truth.classes, recipe.width, recipe.held_norm)
    files = start_segmenter(model, recipe.weights, params.weights)
    normalise = moments_of(recipe.normalise)
    inputs = Inputs(data, recipe.augment, args.seed, device.device, recipe.image_size, normalise)
    values = [args.seed, stage.images, recipe.model_dump()]
    checkpoint = for_job(args.out, values, args.data, files, device)
    outcome = train_segmenter(model, data, truth, inputs, recipe, device, where, images, checkpoint)
    write_segmenter(args.out, outcome)
    checkpoint.remove()


def rows_of(data: PreparedSet, images: list[str], where: str) -> dict[str, int]:
    """Rows of the named images, which must be of the report role."""
    report = {data.index["id"].iloc[row]: int(row) for row in data.rows("report")}
    for name in images:
        if name not in report:
            some = ", ".join(list(report)[:5])
            raise RepriseError(
                f"{where}: image '{name}' is not of the report role; choose from {some}, ..."
            )
    return {name: report[name] for name in images}


if __name__ == "__main__":
    run(main)
