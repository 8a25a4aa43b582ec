"""The stage finetune: one job, as its script and the library run it."""

from dataclasses import replace
from pathlib import Path

from reprise.datasets.label_share import with_share_of_labels
from reprise.models.build import build_finetuned
from reprise.models.weights import load_pretrained
from reprise.params.finetune import FinetuneCommon
from reprise.training.classification import train_classifier, write_classifier
from reprise.training.job import JobContext


def finetune(
    context: JobContext[FinetuneCommon],
    out: Path,
    backbone: Path | None = None,
    frozen: bool = False,
    labels: float = 1.0,
) -> None:
    """Fine-tune a backbone with a new head, and write the outputs to `out`.

    backbone: the backbone.safetensors that it starts from; None: from scratch. frozen: train only
    the head. labels: the share of the labels (see `with_share_of_labels`). Raises RepriseError for
    a backbone that does not fit, and as `train_classifier` does.
    """
    recipe = context.recipe
    context = replace(context, data=with_share_of_labels(context.data, labels, context.seed))
    model = build_finetuned(recipe, len(context.data.classes.names))
    if backbone:
        load_pretrained(model.backbone, backbone)
    if frozen:
        model.backbone.freeze()
    checkpoint = context.checkpoint(out, filter(None, [backbone]), frozen, labels)
    result = train_classifier(model, context, checkpoint, "train", recipe.feature_epochs)
    if context.device.processes.finish():
        write_classifier(out, result, context.device)
        checkpoint.remove()
