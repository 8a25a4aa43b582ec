"""`python -m reprise predict`: what a trained run answers to images of yours."""

import argparse

from reprise.cli import run
from reprise.prediction import command


def main() -> None:
    """The commands that a user of trained runs needs; the stages' scripts are the engines'."""
    parser = argparse.ArgumentParser(prog="python -m reprise", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command.add(commands.add_parser)
    given = parser.parse_args()
    given.command(given)


if __name__ == "__main__":
    run(main)
