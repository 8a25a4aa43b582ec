"""`reprise COMMAND`, also `python -m reprise COMMAND`: what users do besides running an engine.

A command is a module with a function `main` that reads its own arguments. Only that module is
imported, so `reprise --help` does not wait for torch.
"""

import argparse
import sys
from importlib import import_module

from reprise import __version__
from reprise.cli import run
from reprise.errors import RepriseError, did_you_mean

# name: module, and what it does
COMMANDS = {
    "preset": ("reprise.engines.preset", "write params.yaml and dvc.yaml from a preset"),
    "data": ("reprise.engines.data", "check and register a folder or archive of images"),
    "weights": ("reprise.models.weights", "download and verify a file of published weights"),
    "show": ("reprise.engines.show", "print the tables of the last run, or rebuild its report"),
    "plan": ("reprise.engines.plan", "what would run, and why"),
    "exps": ("reprise.engines.exps", "experiments: the values and numbers that differ"),
    "compare": ("reprise.engines.compare", "numbers that differ, and which may by chance"),
    "predict": ("reprise.predict.predict", "predict images with a trained run or exported model"),
    "export": ("reprise.export.export", "a trained run as a folder that works without the project"),
    "search": ("reprise.engines.search", "the best of DVC's experiments on val, of how many"),
    "bundle": ("reprise.export.bundle", "results as an archive that others replay and compare"),
    "gc": ("reprise.engines.collect", "show or delete what no commit or parameter needs"),
    "verify": ("reprise.engines.verify", "rebuild a preset in clones and compare every file"),
}
PACKAGES = "install it, or all of Reprise's packages with `pip install 'reprise[engines]'`"


def main() -> None:
    """Run the command that the first argument names, with the arguments after it.

    Raises RepriseError for an unknown command, and for a package that is not installed.
    """
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name not in COMMANDS:
        if not name.startswith("-"):
            raise RepriseError(f"reprise {name}: not a command; {did_you_mean(name, COMMANDS)}")
        _parser().parse_args([name])
        return
    sys.argv = [f"reprise {name}", *sys.argv[2:]]
    try:
        import_module(COMMANDS[name][0]).main()
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        if missing == "reprise":
            raise
        raise RepriseError(f"reprise {name}: needs the package '{missing}'; {PACKAGES}") from None


def _parser() -> argparse.ArgumentParser:
    """The options of `reprise` itself."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {about}" for name, (_, about) in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog="reprise",
        usage="reprise COMMAND [--help] ...",
        description="\n".join(["commands:", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"reprise {__version__}")
    return parser


def command() -> None:
    """The program `reprise`: `main`, with one line for an error."""
    run(main)


if __name__ == "__main__":
    command()
