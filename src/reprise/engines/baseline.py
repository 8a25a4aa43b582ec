"""The committed results: whether another kind of machine made them, and how to replace them.

`dvc metrics diff` compares with the last commit. Where that has the numbers of another kind of
machine, it lists differences of the machine. `make baseline` commits this machine's results, so
that from then on it lists what a change of a parameter does.
"""

import argparse
import json
from pathlib import Path

from reprise.cli import run
from reprise.engines.git import git
from reprise.engines.snakemake_hooks import DECIDING, settled, uses_dvc
from reprise.errors import RepriseError

INTERVALS = Path("results/intervals.json")
RESULTS = ["results", "dvc.lock"]  # what the commit replaces; Git ignores most of results/
SOURCES = [path.as_posix() for path in DECIDING if path.as_posix() not in RESULTS]
MESSAGE = "Baseline: the results of this machine"


def main() -> None:
    """Commit the results of this machine, which `dvc metrics diff` then compares with."""
    argparse.ArgumentParser(description=main.__doc__).parse_args()
    print(commit_results())


def commit_results() -> str:
    """Commit the results, and nothing else; what was done, in one line.

    Raises RepriseError if they are not those of the committed parameters and sources.
    """
    if not uses_dvc():
        raise RepriseError("no .dvc or no Git here: there is no commit to compare with")
    if changed := git("status", "--porcelain", "--", *SOURCES):
        file = changed.splitlines()[0].split(maxsplit=1)[1]
        raise RepriseError(f"{file}: differs from the last commit; commit or restore it first")
    if not settled():
        raise RepriseError("results/: not up to date; run `make run` first")
    git("add", "--all", "--", *RESULTS)
    if not git("status", "--porcelain", "--", *RESULTS):
        return "reprise: the committed results are already those of this machine"
    git("commit", "--quiet", "--message", MESSAGE, "--", *RESULTS)
    commit = git("rev-parse", "--short", "HEAD").strip()
    return f"reprise: {commit}: results of this machine; `dvc metrics diff` compares with them"


def machine_note(intervals: Path = INTERVALS) -> str:
    """One line if the committed results come from another kind of machine; otherwise "".

    Nothing is said where there is no commit, or where one side does not record its machine.
    """
    try:
        committed = json.loads(git("show", f"HEAD:./{intervals.as_posix()}")).get("machine", {})
        present = json.loads(intervals.read_text(encoding="utf-8")).get("machine", {})
    except (RepriseError, OSError, json.JSONDecodeError):
        return ""
    fields = [
        f"{name} {' and '.join(committed[name])}, here {' and '.join(present[name])}"
        for name in committed
        if committed[name] and present.get(name) and committed[name].keys() != present[name].keys()
    ]
    if not fields:
        return ""
    return (
        f"The committed tables come from another kind of machine ({'; '.join(fields)}), so numbers "
        "may differ: see docs/determinism.md. `make baseline` commits yours."
    )


if __name__ == "__main__":
    run(main)
