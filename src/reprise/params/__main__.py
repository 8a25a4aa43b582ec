"""Check params.yaml, before DVC starts a command with names from it: `python -m reprise.params`."""

import argparse

from reprise.cli import run
from reprise.params.load import load_params


def main() -> None:
    """Check all of params.yaml."""
    argparse.ArgumentParser(description=main.__doc__).parse_args()
    load_params()


if __name__ == "__main__":
    run(main)
