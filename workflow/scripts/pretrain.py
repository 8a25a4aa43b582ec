"""Pretrain a backbone on a dataset with the method of its recipe, such as BYOL or supervised."""

from reprise.cli import run
from reprise.params.pretrain import PretrainTask
from reprise.params.training import load_weights
from reprise.training.job import job_parser, load_task, open_job
from reprise.training.pretrain import pretrain


def main() -> None:
    args = job_parser(__doc__, "pretrain").parse_args()
    recipe = load_task(args, "pretrain", PretrainTask).recipes[args.run]
    context = open_job(args, "pretrain", "classification", recipe)
    pretrain(context, load_weights(args.params), args.out)


if __name__ == "__main__":
    run(main)
