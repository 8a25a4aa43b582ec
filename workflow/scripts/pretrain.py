"""Pretrain a backbone on a dataset with the method of its recipe, such as BYOL or supervised."""

from importlib import import_module

from reprise.cli import run
from reprise.models.weights import write_tensors
from reprise.params.pretrain import PretrainTask
from reprise.params.training import load_weights
from reprise.training.job import job_parser, load_task, open_job
from reprise.training.loop import write_history


def main() -> None:
    args = job_parser(__doc__, "pretrain").parse_args()
    recipe = load_task(args, "pretrain", PretrainTask).recipes[args.run]
    method = import_module(f"reprise.training.ssl.{recipe.method}")
    context = open_job(args, "pretrain", "classification", recipe)
    checkpoint = context.checkpoint(args.out)
    state, history = method.pretrain(context, checkpoint, load_weights(args.params))
    write_tensors(args.out / "backbone.safetensors", state)
    write_history(args.out / "history.csv", history, context.device)
    checkpoint.remove()


if __name__ == "__main__":
    run(main)
