"""Tables, figures and the page of what is there, with holes marked: when a run can not be finished.

An engine stops before a table that would have a hole in it. This runs the scripts that need no
training one after the other, and goes on after one that found a hole; each names what it missed.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.evaluation.evaluate import data_sets
from reprise.evaluation.holes import REST
from reprise.evaluation.prepared import read_prepared
from reprise.figures.draw import figures
from reprise.params import Params, load_params
from reprise.pipeline.memory import forget

RESULTS = Path("results")
PAGE = RESULTS / "report.html"
SOURCES = ("classify", "finetune")  # of the features that `embed` shows


def main() -> None:
    """Make the page.

    Raises:
        RepriseError: there is a hole in it, or no data set to show anything of.
    """
    params = load_params()
    for name in data_sets(params):
        read_prepared(RESULTS / "prepare" / name)
    # what can not be made again must not stand there as if it were of these results
    for path in made():
        path.unlink()
    said: list[str] = []
    for words in steps(params):
        for line in errors(*words):
            why = line.partition(REST)[0]
            if why not in said:
                print(why, file=sys.stderr)
                said.append(why)
    if not said:
        print(f"reprise: {PAGE}: everything is in it")
        return
    # both engines make it all again: no table with a hole in it passes for a finished one
    forget([str(path) for path in made()])
    what = "has holes, marked in it" if PAGE.exists() else "could not be made"
    raise RepriseError(f"{PAGE}: {what}; the lines above say why")


def made() -> list[Path]:
    """Every file of an earlier page: tables, figures, digests, and the page itself."""
    folders = [RESULTS / name for name in ("tables", "figures", "vector")]
    inside = [path for folder in folders for path in sorted(folder.glob("[!.]*"))]
    files = [RESULTS / "metrics.json", RESULTS / "digests.csv", PAGE]
    return inside + [path for path in files if path.exists()]


def steps(params: Params) -> Iterator[list[str]]:
    """The scripts with their arguments, each after those whose files it reads."""
    yield ["architecture"]
    yield ["evaluate"]
    yield ["digests", "--out", str(RESULTS / "digests.csv")]
    for source in SOURCES:
        features = shown_features(params, source)
        for method in params.embed.methods:
            out = RESULTS / "embed" / source / f"{method}.csv"
            if late(out, features):
                words = ["--source", source, "--method", method]
                yield ["embed", *words, "--features", str(features), "--out", str(out)]
    yield ["plot", "--figures", *figures(params)]
    yield ["report", "--out", str(PAGE)]


def shown_features(params: Params, source: str) -> Path:
    """The features whose PCA and t-SNE are shown."""
    one = params.embed.finetune if source == "finetune" else params.embed.classify
    setting = params.embed.finetune.setting if source == "finetune" else ""
    return RESULTS / source / one.run / setting / str(one.seed) / "features.safetensors"


def late(out: Path, features: Path) -> bool:
    """Whether coordinates are missing, or older than their features."""
    both = [out, out.with_suffix(".layout.csv")]
    if not all(path.exists() for path in both):
        return True
    return features.exists() and features.stat().st_mtime > min(p.stat().st_mtime for p in both)


def errors(name: str, *words: str) -> list[str]:
    """Run a script of the workflow; what it said when it failed."""
    command = [sys.executable, f"workflow/scripts/{name}.py", *words]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    if not ended.returncode:
        return []
    return ended.stderr.splitlines() or [f"{name}: ended with exit status {ended.returncode}"]


if __name__ == "__main__":
    run(main)
