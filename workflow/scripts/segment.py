"""Train and evaluate a segmentation network."""

from reprise.cli import run
from reprise.datasets.prepared import PreparedDataset
from reprise.errors import RepriseError
from reprise.models.build import build_segmenter, load_weights_into
from reprise.params.segment import SegmentTask
from reprise.params.training import load_weights
from reprise.training.job import job_parser, load_task, open_job
from reprise.training.segmentation import load_targets, train_segmenter, write_segmenter


def main() -> None:
    args = job_parser(__doc__, "segment").parse_args()
    task = load_task(args, "segment", SegmentTask)
    recipe = task.recipes[args.run]
    context = open_job(args, "segment", "segmentation", recipe, image_size=recipe.image_size)
    images = test_rows(context.data, task.images, f"{args.params}: segment.{args.task}.images")
    targets = load_targets(context.data, recipe.merge_classes)
    model = build_segmenter(recipe, targets.n_classes)
    files = load_weights_into(model, recipe.model, recipe.weights, load_weights(args.params))
    checkpoint = context.checkpoint(args.out, files, task.images)
    result = train_segmenter(model, context, checkpoint, targets, images)
    write_segmenter(args.out, result, context.device)
    checkpoint.remove()


def test_rows(data: PreparedDataset, images: list[str], key: str) -> dict[str, int]:
    """Rows of the named images. Raises RepriseError for one that is not in the test split."""
    ids = data.index["id"]
    rows = {ids.iloc[row]: int(row) for row in data.require_rows("test")}
    for name in images:
        if name not in rows:
            examples = ", ".join(list(rows)[:5])
            raise RepriseError(
                f"{key}: image '{name}' is not in the test split; choose from {examples}, ..."
            )
    return {name: rows[name] for name in images}


if __name__ == "__main__":
    run(main)
