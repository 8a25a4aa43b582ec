"""Tables, figures and report from the files that exist, with the missing ones marked.

An engine stops before a table with a missing number. This runs the scripts that need no training
one after the other, and continues after one that missed a file; each names what it missed.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from reprise.cli import run
from reprise.datasets.prepared import read_prepared
from reprise.engines.snakemake_hooks import mark_outdated
from reprise.errors import RepriseError
from reprise.evaluation.markdown import REST
from reprise.figures import figures
from reprise.jobs import Job, tasks
from reprise.params.load import Params, load_params

RESULTS = Path("results")
REPORT = RESULTS / "report.html"


def main() -> None:
    """Write the report. Raises RepriseError if something is missing in it, or a dataset is."""
    params = load_params()
    for name in dict.fromkeys(task.data for _, _, task in tasks(params)):
        read_prepared(RESULTS / "prepare" / name)
    # what cannot be made again must not remain as if it were of these results
    for path in derived_files():
        path.unlink()
    reasons: list[str] = []
    for words in steps(params):
        for line in errors(*words):
            reason = line.partition(REST)[0]
            if reason not in reasons:
                print(reason, file=sys.stderr)
                reasons.append(reason)
    if not reasons:
        print(f"reprise: {REPORT}: complete")
        return
    # both engines make it all again: an incomplete table does not pass for a finished one
    mark_outdated([str(path) for path in derived_files()])
    what = "is incomplete; it marks what is missing" if REPORT.exists() else "could not be written"
    raise RepriseError(f"{REPORT}: {what}; see the lines above")


def derived_files() -> list[Path]:
    """Every file of an earlier report: tables, figures, checksums, metrics, and the page itself."""
    folders = [RESULTS / name for name in ("tables", "figures", "vector")]
    inside = [path for folder in folders for path in sorted(folder.glob("[!.]*"))]
    names = ("metrics.json", "intervals.json", "checksums.csv", REPORT.name)
    return inside + [path for path in (RESULTS / name for name in names) if path.exists()]


def steps(params: Params) -> Iterator[list[str]]:
    """The scripts with their arguments, each after those whose files it reads."""
    yield ["model_summary"]
    yield ["evaluate"]
    yield ["checksums", "--out", str(RESULTS / "checksums.csv")]
    for name, embed in params.embed.items():
        job = Job(embed.stage, embed.task, embed.run, embed.seed)
        features = job.folder(RESULTS) / "features.safetensors"
        for method in embed.methods:
            out = RESULTS / "embed" / name / f"{method}.csv"
            if is_outdated(out, features):
                words = ["--name", name, "--method", method]
                yield ["embed", *words, "--features", str(features), "--out", str(out)]
    yield ["plot", "--figures", *figures(params)]
    yield ["report", "--out", str(REPORT)]


def is_outdated(out: Path, features: Path) -> bool:
    """Whether coordinates are missing, or older than their features."""
    both = [out, out.with_suffix(".layout.csv")]
    if not all(path.exists() for path in both):
        return True
    return features.exists() and features.stat().st_mtime > min(p.stat().st_mtime for p in both)


def errors(name: str, *words: str) -> list[str]:
    """Run a script of the workflow; the lines that it printed if it failed."""
    command = [sys.executable, f"workflow/scripts/{name}.py", *words]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    if not ended.returncode:
        return []
    return ended.stderr.splitlines() or [f"{name}: ended with exit status {ended.returncode}"]


if __name__ == "__main__":
    run(main)
