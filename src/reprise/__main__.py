"""`python -m reprise predict`: predict your own images with a trained run."""

import argparse

from reprise.cli import run
from reprise.predict import predict


def main() -> None:
    """The commands for users of trained runs; the engines run the scripts of the stages."""
    parser = argparse.ArgumentParser(prog="python -m reprise", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    predict.add_command(commands.add_parser)
    args = parser.parse_args()
    args.command(args)


if __name__ == "__main__":
    run(main)
