"""Fine-tune a backbone with a new head: the whole network, or the head on a frozen backbone."""

import argparse
from dataclasses import replace
from pathlib import Path

from reprise.cli import run
from reprise.datasets.label_share import with_share_of_labels
from reprise.errors import RepriseError
from reprise.models.build import build_finetuned
from reprise.models.weights import load_pretrained
from reprise.params.base import value_at
from reprise.params.finetune import FinetuneTask
from reprise.params.reader import read_yaml
from reprise.training.classification import train_classifier, write_classifier
from reprise.training.job import config_key, job_parser, load_task, open_job


def main() -> None:
    parser = job_parser(__doc__, "finetune")
    parser.add_argument(
        "--backbone", type=Path, help="the backbone.safetensors that the run starts from, if any"
    )
    args = parser.parse_args()
    task = load_task(args, "finetune", FinetuneTask)
    check_backbone(args, task)
    recipe = task.training(args.run)
    frozen, labels = task.recipes[args.run].frozen, task.recipes[args.run].labels
    context = open_job(args, "finetune", "classification", recipe)
    context = replace(context, data=with_share_of_labels(context.data, labels, args.seed))
    model = build_finetuned(recipe, len(context.data.classes.names))
    if args.backbone:
        load_pretrained(model.backbone, args.backbone)
    if frozen:
        model.backbone.freeze()
    checkpoint = context.checkpoint(args.out, filter(None, [args.backbone]), frozen, labels)
    result = train_classifier(model, context, checkpoint, "train", recipe.feature_epochs)
    write_classifier(args.out, result, context.device)
    checkpoint.remove()


def check_backbone(args: argparse.Namespace, task: FinetuneTask) -> None:
    """Raise RepriseError unless --backbone is the file that the recipe's `start` names."""
    start, backbone = task.recipes[args.run].start, args.backbone
    if start == "none":
        expected = "none"
        matches = backbone is None
    else:
        seed = task.pretraining_seed(args.seed, pretrained_seeds(args, task))
        folder = Path("pretrain", str(task.pretraining), start, str(seed))
        expected = str(folder / "backbone.safetensors")
        matches = backbone is not None and backbone.absolute().as_posix().endswith(f"/{expected}")
    if not matches:
        raise RepriseError(
            f"{config_key(args, 'finetune')}.start is '{start}', so --backbone must be {expected}, "
            f"but is {backbone or 'none'}; run `make dvc.yaml`"
        )


def pretrained_seeds(args: argparse.Namespace, task: FinetuneTask) -> list[int]:
    """The seeds of the pretraining task. Raises RepriseError if there are none."""
    key = f"pretrain.{task.pretraining}.seeds"
    seeds = value_at(read_yaml(args.params), key)
    if not seeds:
        raise RepriseError(f"{args.params}: {key}: not found or empty; add the seeds")
    return list(seeds)


if __name__ == "__main__":
    run(main)
