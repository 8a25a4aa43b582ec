"""Build the preset smoke twice, each in its own clone with its own engine, and compare every file.

The clones lie in a temporary folder and hold what Git knows of this one and what it would add,
uncommitted changes included. The second build has another engine and another PYTHONHASHSEED.
"""

import argparse
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.files import sha256

COMMANDS = {
    "snakemake": ["snakemake", "--cores", "2", "--quiet", "rules"],
    "dvc": ["dvc", "repro"],
}
# the order in which a difference is looked for: the first one explains those behind it
STAGES = ["prepare", "pretrain", "finetune", "classify", "faces", "segment", "street", "embed"]
STAGES += ["metrics.json", "tables", "figures"]
TAIL = 30  # lines of a failed build that are shown


def main() -> None:
    """Build twice and compare; exit status 1 names the first file that differs."""
    parser = argparse.ArgumentParser(description="Rebuild the preset smoke and compare digests.")
    parser.add_argument("--preset", default="smoke")
    parser.add_argument("--engines", nargs=2, choices=COMMANDS, default=["snakemake", "dvc"])
    given = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="reprise-verify-") as name:
        made = []
        for number, engine in enumerate(given.engines, 1):
            folder = clone(Path.cwd(), Path(name) / str(number), given.preset)
            logging.info("build %d: %s, preset %s", number, engine, given.preset)
            seconds = build(folder, engine, hash_seed=number)
            made.append(digests(folder / "results"))
            logging.info("build %d: %d files in %.0f s", number, len(made[-1]), seconds)
    if different := first_difference(*made):
        raise RepriseError(f"results/{different}: the two builds differ; look at its stage first")
    logging.info("all %d files are the same, byte for byte", len(made[0]))


def clone(root: Path, folder: Path, preset: str) -> Path:
    """Copy the working tree of `root` into a new Git repository with the params of a preset."""
    listed = _output(["git", "ls-files", "-coz", "--exclude-standard"], root)
    made = re.compile(r"results/(?!\.gitignore)")
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file() and not made.match(name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    _output([sys.executable, "-m", "reprise.pipeline.preset", preset, "--force"], folder)
    _output(["git", "init", "--quiet"], folder)
    _output(["git", "add", "--all"], folder)
    who = ["-c", "user.name=verify", "-c", "user.email=verify@localhost"]
    _output(["git", *who, "commit", "--quiet", "--no-verify", "-m", "copy"], folder)
    return folder


def build(folder: Path, engine: str, hash_seed: int = 0) -> float:
    """Run an engine in a clone; seconds that it took. Raises RepriseError with its last lines."""
    start = time.monotonic()
    _output(COMMANDS[engine], folder, PYTHONHASHSEED=str(hash_seed))
    return time.monotonic() - start


def digests(results: Path) -> dict[str, str]:
    """SHA-256 of every file below `results` that a stage made, by its path there."""
    return {
        path.relative_to(results).as_posix(): sha256(path)
        for path in sorted(results.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def first_difference(one: dict[str, str], two: dict[str, str]) -> str | None:
    """The first file, in the order of the stages, that differs or is missing in one of both."""
    different = [name for name in one.keys() | two.keys() if one.get(name) != two.get(name)]

    def place(name: str) -> tuple[int, str]:
        stage = name.split("/")[0]
        return STAGES.index(stage) if stage in STAGES else len(STAGES), name

    return min(different, key=place, default=None)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The variables under which a clone runs: its own sources, this interpreter's commands."""
    commands = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return os.environ | {"PATH": commands, "PYTHONPATH": str(folder / "src")} | more


def _output(command: list[str], folder: Path, **more: str) -> str:
    made = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if made.returncode:
        tail = "\n".join(made.stdout.splitlines()[-TAIL:])
        print(tail, file=sys.stderr)
        raise RepriseError(f"{' '.join(command)}: failed in {folder}; its last lines are above")
    return made.stdout


if __name__ == "__main__":
    run(main)
