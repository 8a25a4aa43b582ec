"""Fine-tune a backbone with a new head: the whole network, or the head on a frozen backbone."""

import argparse
from pathlib import Path

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.params.base import value_at
from reprise.params.finetune import FinetuneTask
from reprise.params.reader import read_yaml
from reprise.training.finetune import finetune
from reprise.training.job import config_key, job_parser, load_task, open_job


def main() -> None:
    parser = job_parser(__doc__, "finetune")
    parser.add_argument(
        "--backbone", type=Path, help="the backbone.safetensors that the run starts from, if any"
    )
    args = parser.parse_args()
    task = load_task(args, "finetune", FinetuneTask)
    check_backbone(args, task)
    recipe = task.recipes[args.run]
    context = open_job(args, "finetune", "classification", task.training(args.run))
    finetune(context, args.out, args.backbone, recipe.frozen, recipe.labels)


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
