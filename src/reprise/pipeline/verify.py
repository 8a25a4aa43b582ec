"""Build a preset again, each time in a clone of its own with another engine, and compare files.

The clones lie in a temporary folder and hold what Git knows of this one and what it would add,
uncommitted changes included. The builds differ in engine, number of cores and PYTHONHASHSEED. With
`--present`, the first build is what lies in results/ here.
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

import yaml

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.files import sha256
from reprise.pipeline.preset import render

ENGINES = ("snakemake", "dvc")
# the order in which a difference is looked for: the first one explains those behind it
STAGES = ["prepare", "pretrain", "finetune", "classify", "faces", "segment", "street", "embed"]
STAGES += ["metrics.json", "tables", "figures"]
TAIL = 30  # lines of a failed build that are shown


def main() -> None:
    """Build and compare; exit status 1 names the first file that differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="smoke")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument(
        "--cores", type=int, default=4, help="of the first Snakemake; then one less"
    )
    parser.add_argument("--until", metavar="STAGE", help="build only what this stage needs, and it")
    parser.add_argument(
        "--present", action="store_true", help="compare with results/ as it is here"
    )
    given = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="reprise-verify-") as name:
        made = [_present(given.preset)] if given.present else []
        for number, engine in enumerate(given.engines, 1):
            folder = clone(Path.cwd(), Path(name) / str(number), given.preset)
            cores = max(1, given.cores + 1 - number)
            logging.info("build %d: %s, preset %s", number, engine, given.preset)
            seconds = build(folder, engine, number, cores, given.until)
            made.append(digests(folder / "results"))
            logging.info("build %d: %d files in %.0f s", number, len(made[-1]), seconds)
    if len(made) < 2:
        raise RepriseError("--engines: one build has nothing to compare with; add --present")
    for other in made[1:]:
        common = other if given.until else other | made[0]
        first = {name: made[0][name] for name in made[0] if name in common}
        if different := first_difference(first, other):
            raise RepriseError(f"results/{different}: two builds differ; look at its stage first")
    logging.info("all %d files are the same, byte for byte", len(made[-1]))


def _present(preset: str) -> dict[str, str]:
    """Digests of the files in results/ here, which must be the whole run of the preset."""
    if Path("params.yaml").read_text() != render(preset, Path("presets")):
        raise RepriseError(f"params.yaml: not the preset {preset}; --present compares with its run")
    return digests(Path("results"))


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


def build(
    folder: Path, engine: str, hash_seed: int = 0, cores: int = 2, until: str | None = None
) -> float:
    """Run an engine in a clone; seconds that it took. Raises RepriseError with its last lines."""
    start = time.monotonic()
    if engine == "snakemake":
        command = ["snakemake", "--cores", str(cores), "--quiet", "rules"]
        command += ["--until", until] if until else []
    else:
        command = ["dvc", "repro", *(_stages(folder, until) if until else [])]
    _output(command, folder, PYTHONHASHSEED=str(hash_seed))
    return time.monotonic() - start


def _stages(folder: Path, rule: str) -> list[str]:
    """The stages of dvc.yaml that a rule became. Raises RepriseError when there is none."""
    names = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"]
    found = [name for name in names if name == rule or name.startswith(f"{rule}_")]
    if not found:
        raise RepriseError(f"--until {rule}: no such stage; there are {', '.join(names)}")
    return found


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
