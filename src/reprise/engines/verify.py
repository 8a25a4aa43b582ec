"""Build a preset in several clones, each with another engine, and compare every file.

The clones are temporary and hold the files that Git tracks or would add, with uncommitted changes.
The builds differ in engine, number of cores and PYTHONHASHSEED.
"""

import argparse
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from reprise.atomic_io import files_in, sha256, write_text
from reprise.cli import run
from reprise.engines.code import RUN_STAGES
from reprise.engines.preset import render
from reprise.errors import RepriseError, did_you_mean

ENGINES = ("snakemake", "dvc")
# folders and files of results/ in the order of the graph: the first difference explains the others
ORDER = ("prepare", *RUN_STAGES, "embed", "metrics.json", "intervals.json", "tables", "figures")
# of preset smoke, as `sha256sum` prints it
PORTABLE_DIGESTS = Path("presets/smoke-portable.sha256")
OF_CODE = ("checksums.csv", "report.html")  # they contain digests of the sources
TAIL = 30  # lines of a failed build that are printed


def main() -> None:
    """Build and compare; exit status 1 names the first file that differs."""
    args = _arguments()
    builds = []
    if args.present:
        if Path("params.yaml").read_text(encoding="utf-8") != render(args.preset, Path("presets")):
            raise RepriseError(f"params.yaml: not the preset {args.preset}, as --present needs")
        builds.append(digests(Path("results")))
    with tempfile.TemporaryDirectory(prefix="reprise-verify-") as temporary:
        for number, engine in enumerate(args.engines, 1):
            folder = clone(Path.cwd(), Path(temporary, str(number)), args.preset, args.portable)
            logging.info("build %d: %s, preset %s", number, engine, args.preset)
            seconds = build(folder, engine, number, max(1, args.cores + 1 - number), args.until)
            builds.append(digests(folder / "results"))
            logging.info("build %d: %d files in %.0f s", number, len(builds[-1]), seconds)
    hint = "look at the stage that writes it"
    if args.portable:
        builds = with_committed(builds, args.write)
        hint = "or, if recipes, code or words changed, replace the digests with --portable --write"
    if len(builds) < 2:
        raise RepriseError("--engines: nothing to compare one build with; add --present")
    for other in builds[1:]:
        first = {n: digest for n, digest in builds[0].items() if n in other or not args.until}
        if different := first_difference(first, other):
            raise RepriseError(f"results/{different}: differs; {hint}")
    logging.info("all %d files are identical", len(builds[-1]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="smoke")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--cores", type=int, default=4, help="of the first build; then one less")
    parser.add_argument("--until", metavar="STAGE", help="build only this stage and what it needs")
    parser.add_argument("--present", action="store_true", help="compare with results/ here, too")
    parser.add_argument(
        "--portable", action="store_true",
        help=f"build with runtime.numerics: portable, and compare with {PORTABLE_DIGESTS}, too",
    )  # fmt: skip
    parser.add_argument("--write", action="store_true", help="replace that file before")
    args = parser.parse_args()
    if args.portable and (args.preset != "smoke" or args.until or args.present):
        raise RepriseError(
            f"--portable: {PORTABLE_DIGESTS} is of all of preset smoke; omit --preset, --until and "
            "--present"
        )
    if args.write and not args.portable:
        raise RepriseError("--write: replaces the digests of --portable; add it")
    return args


def with_committed(builds: list[dict[str, str]], write: bool) -> list[dict[str, str]]:
    """The digests of PORTABLE_DIGESTS and of portable builds.

    Without those of OF_CODE, whose bytes differ after each edit. write: the file is replaced by the
    digests of the first build.
    """
    builds = [{n: d for n, d in build.items() if n not in OF_CODE} for build in builds]
    if write:
        write_text(PORTABLE_DIGESTS, "".join(f"{d}  {n}\n" for n, d in builds[0].items()))
    lines = PORTABLE_DIGESTS.read_text(encoding="utf-8").splitlines()
    return [{name: digest for digest, name in (line.split("  ") for line in lines)}, *builds]


def clone(root: Path, folder: Path, preset: str, portable: bool = False) -> Path:
    """Copy the working tree of `root` into a new Git repository with the params of a preset.

    portable: with `runtime.numerics: portable`.
    """
    listed = _output(["git", "ls-files", "-coz", "--exclude-standard"], root).split("\0")
    for name in filter(None, listed):
        is_output = name.startswith("results/") and name != "results/.gitignore"
        if (root / name).is_file() and not is_output:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    _output([sys.executable, "-m", "reprise.engines.preset", preset, "--force"], folder)
    if portable:
        params = folder / "params.yaml"
        text = params.read_text(encoding="utf-8")
        write_text(params, text.replace("numerics: fast", "numerics: portable"))
    _output(["git", "init", "--quiet"], folder)
    _output(["git", "add", "--all"], folder)
    author = ["-c", "user.name=verify", "-c", "user.email=verify@localhost"]
    _output(["git", *author, "commit", "--quiet", "--no-verify", "-m", "copy"], folder)
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
    """The stages of dvc.yaml that run a rule's script. Raises RepriseError if there is none."""
    stages = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    script = f"workflow/scripts/{rule}.py "
    names = [name for name, stage in stages.items() if name == rule or script in str(stage["cmd"])]
    if not names:
        raise RepriseError(f"--until {rule}: no such stage; {did_you_mean(rule, stages)}")
    return names


def digests(results: Path) -> dict[str, str]:
    """SHA-256 of every file below `results` that is not hidden, by its path there."""
    files = [file for file in sorted(files_in([results])) if file.name[0] != "."]
    return {file.relative_to(results).as_posix(): sha256(file) for file in files}


def first_difference(a: dict[str, str], b: dict[str, str]) -> str | None:
    """The first file, in the order of the stages, that differs or is missing in one of both."""
    different = [name for name in a.keys() | b.keys() if a.get(name) != b.get(name)]
    order = {stage: number for number, stage in enumerate(ORDER)}
    return min(different, key=lambda n: (order.get(n.split("/")[0], len(ORDER)), n), default=None)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The variables under which a clone runs: its own sources, this interpreter's commands."""
    commands = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return os.environ | {"PATH": commands, "PYTHONPATH": str(folder / "src")} | more


def _output(command: list[str], folder: Path, **more: str) -> str:
    ended = subprocess.run(
        command, cwd=folder, env=environment(folder, **more), text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if ended.returncode:
        print("\n".join(ended.stdout.splitlines()[-TAIL:]), file=sys.stderr)
        raise RepriseError(f"{' '.join(command)}: failed in {folder}; its last lines are above")
    return ended.stdout


if __name__ == "__main__":
    run(main)
