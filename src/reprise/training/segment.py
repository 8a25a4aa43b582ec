"""The stage segment: one job, as its script and the library run it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from reprise.datasets.prepared import PreparedDataset
from reprise.errors import RepriseError
from reprise.models.build import build_segmenter, load_weights_into
from reprise.params.segment import SegmentRecipe
from reprise.params.training import WeightsFile
from reprise.training.job import JobContext
from reprise.training.segmentation import load_targets, train_segmenter, write_segmenter


def segment(
    context: JobContext[SegmentRecipe],
    files: Mapping[str, WeightsFile],
    out: Path,
    images: Sequence[str] = (),
    key: str = "images",
) -> None:
    """Train and evaluate a segmentation network, and write the outputs to `out`.

    files: the block `weights`. images: ids of test images whose masks are kept; key: of these in
    params.yaml, for messages. Raises RepriseError for an image that is not in the test split, for
    weights that do not fit, and as `train_segmenter` does.
    """
    recipe = context.recipe
    shown = test_rows(context.data, images, key)
    targets = load_targets(context.data, recipe.merge_classes)
    model = build_segmenter(recipe, targets.n_classes)
    read = load_weights_into(model, recipe.model, recipe.weights, files)
    checkpoint = context.checkpoint(out, read, list(images))
    result = train_segmenter(model, context, checkpoint, targets, shown)
    if context.device.processes.finish():
        write_segmenter(out, result, context.device)
        checkpoint.remove()


def test_rows(data: PreparedDataset, images: Sequence[str], key: str) -> dict[str, int]:
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
