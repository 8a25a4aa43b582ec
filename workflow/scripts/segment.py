"""Train and evaluate a segmentation network."""

from reprise.cli import run
from reprise.params.segment import SegmentTask
from reprise.params.training import load_weights
from reprise.training.job import job_parser, load_task, open_job
from reprise.training.segment import segment


def main() -> None:
    args = job_parser(__doc__, "segment").parse_args()
    task = load_task(args, "segment", SegmentTask)
    recipe = task.recipes[args.run]
    context = open_job(args, "segment", "segmentation", recipe, image_size=recipe.image_size)
    key = f"{args.params}: segment.{args.task}.images"
    segment(context, load_weights(args.params), args.out, task.images, key)


if __name__ == "__main__":
    run(main)
