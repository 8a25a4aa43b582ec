"""`python -m reprise`: predict your own images with a trained run, or compare two results."""

import argparse
import sys
from importlib import import_module

from reprise.cli import run

COMMANDS = {"predict": "reprise.predict.predict", "compare": "reprise.compare"}


def main() -> None:
    """The commands for users of trained runs; the engines run the scripts of the stages."""
    parser = argparse.ArgumentParser(prog="python -m reprise", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    # only the module of the command: `compare` does not wait two seconds for torch
    named = COMMANDS.keys() & sys.argv[1:2] or COMMANDS
    for name in (name for name in COMMANDS if name in named):
        import_module(COMMANDS[name]).add_command(commands.add_parser)
    args = parser.parse_args()
    args.command(args)


if __name__ == "__main__":
    run(main)
