"""`reprise bundle`: the results of a commit in one archive, and their replay.

The archive has what Git tracks, so that `make replay` in its folder installs the same packages,
computes the results anew and compares. Below bundle/ it has the tables, the report, the digests of
all results, dvc.lock, the licences of the images, and a model card of each run. The same results
give the same bytes.
"""

import argparse
import io
import json
import logging
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from reprise import __version__
from reprise.atomic_io import (
    atomic_file,
    check_file,
    files_in,
    read_json,
    refuse_overwrite,
    sha256,
    writing,
)
from reprise.compare import comparison
from reprise.datasets.archives import DAMAGED
from reprise.engines.git import git
from reprise.engines.snakemake_hooks import settled, uses_dvc
from reprise.engines.verify import digests, environment, first_difference
from reprise.errors import RepriseError, one_line
from reprise.export.card import model_card
from reprise.jobs import tasks
from reprise.params.base import PARAMS
from reprise.params.load import Params, load_params
from reprise.params.reader import preset_name, read_text
from reprise.predict.exported import describe
from reprise.predict.trained_run import open_run
from reprise.tar_io import extract

TOP, BUNDLE = "reprise-bundle", "bundle"
DIGESTS = f"{BUNDLE}/digests.txt"
WRITTEN = "an archive that `reprise bundle` wrote"
RESULTS = Path("results")
MOVED = ("results/", "dvc.lock")  # of what Git tracks: they go to bundle/, so that a replay is new
TABLES = ("metrics.json", "intervals.json", "checksums.csv", "report.html", "tables/", "latex/")
LOCKS = ("requirements/lock.txt", "requirements/data.txt")
README = """\
# Results of {name}, to be replayed

Made by Reprise {version} at commit {commit}. `results/` here has the tables and the report,
`digests.txt` the SHA-256 of every file of the results, `licences.md` whose images they are made
from, `cards/` a model card of each run. In the folder above:

```console
$ make replay
```

This installs the packages of `requirements/lock.txt` into `.venv`, computes all results anew, and
compares them with `digests.txt`. On another kind of CPU numbers may differ; then it says which
differences their intervals allow.{needs}
"""
NEEDS = """

The images of {names} are not in this archive. Register them first: `make data FROM=...`.
"""
Files = dict[str, bytes]


def main() -> None:
    """Write the results of a commit as one archive; or compute those of an archive anew."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path(f"{TOP}.tar"), help="archive to write")
    parser.add_argument(
        "--replay", type=Path, metavar="PATH", help="archive, or folder of one, to compute anew"
    )
    parser.add_argument("--cores", type=int, default=4, help="of the replay")
    args = parser.parse_args()
    if args.cores < 1:
        raise RepriseError(f"--cores {args.cores}: pass at least 1")
    if args.replay is None:
        write(args.out)
    elif args.replay.is_dir():
        replay(args.replay, args.cores)
    else:
        with tempfile.TemporaryDirectory(prefix="reprise-replay-") as folder:
            replay(unpack(args.replay, Path(folder)), args.cores)


def write(out: Path) -> None:
    """Write the archive. Raises RepriseError unless the results are those of a commit."""
    if not uses_dvc():
        raise RepriseError("no .dvc or no Git here: a bundle is of a commit")
    if changed := git("status", "--porcelain", "--untracked-files=no"):
        file = changed.splitlines()[0].split(maxsplit=1)[1]
        raise RepriseError(f"{file}: differs from the last commit; commit it, or `make baseline`")
    if not settled():
        raise RepriseError("results/: not up to date; run `make run` first")
    tracked = [name for name in git("ls-files", "-z").split("\0") if name]
    files = {name: Path(name) for name in tracked if not name.startswith(MOVED)}
    refuse_overwrite([out], [*map(Path, tracked), *files_in([RESULTS])])
    added = added_files(load_params())
    with writing(out), atomic_file(out) as temporary, tarfile.open(temporary, "w") as archive:
        for name in sorted([*files, *added]):
            add(archive, name, files.get(name), added.get(name, b""))
    logging.info("%s: %d files, sha256 %s", out, len(files) + len(added), sha256(out))


def added_files(params: Params) -> Files:
    """What is not as Git tracks it, by path in the archive."""
    present = digests(RESULTS)
    shown = [name for name in present if name.startswith(TABLES)]
    files = {f"results/{name}": (RESULTS / name).read_bytes() for name in shown}
    files["digests.txt"] = "".join(f"{v}  results/{k}\n" for k, v in present.items()).encode()
    if Path("dvc.lock").is_file():
        files["dvc.lock"] = Path("dvc.lock").read_bytes()
    commit, name = git("rev-parse", "HEAD").strip(), preset_name(read_text(PARAMS))
    about = {
        "commit": commit,
        "preset": name,
        "reprise": __version__,
        "machine": read_json(RESULTS / "intervals.json").get("machine", {}),
        "files": len(present),
    }
    files["bundle.json"] = (json.dumps(about, indent=2, sort_keys=True) + "\n").encode()
    files["licences.md"] = licences(params).encode()
    registered = [name for name, d in params.datasets.items() if getattr(d, "registered_as", None)]
    needs = NEEDS.format(names=", ".join(registered)).rstrip() if registered else ""
    readme = README.format(name=name, version=__version__, commit=commit, needs=needs)
    files["README.md"] = readme.encode()
    files |= {f"cards/{path}": card.encode() for path, card in cards(params)}
    return {f"{BUNDLE}/{path}": content for path, content in files.items()}


def licences(params: Params) -> str:
    """Source and licence of each dataset, and the published weights that runs start from."""
    lines = ["# Licences", "", "The code: `LICENSE`, in the folder above.", ""]
    lines += ["| Dataset | Source | Licence |", "|---|---|---|"]
    for name in params.datasets:
        info = read_json(RESULTS / "prepare" / name / "dataset.json")
        cells = [info.get(key) or "not recorded" for key in ("source", "licence")]
        lines.append(f"| {name} | {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    for name, file in params.weights.items():
        lines += ["", f"Published weights `{name}`: {file.path}, sha256 {file.sha256}."]
    return "\n".join(lines) + "\n"


def cards(params: Params) -> Iterator[tuple[str, str]]:
    """File name and text of the model card of each run that predicts: of its first seed."""
    for stage, task, block in tasks(params, "finetune", "classify", "segment"):
        for name in block.runs if block.seeds else ():
            run = open_run(f"{stage}/{task}/{name}/{block.seeds[0]}", Path())
            weights = f"{run.job.path}/model.safetensors"
            files = {f"results/{weights}": sha256(RESULTS / weights)}
            metadata = describe(run, params.runtime.precision, __version__, files)
            text = model_card(run, params, metadata, Path(), files)
            yield f"{stage}_{task}_{name}.md", text


def add(archive: tarfile.TarFile, name: str, path: Path | None, content: bytes) -> None:
    """Add a file without its owner and its time."""
    entry = tarfile.TarInfo(f"{TOP}/{name}")
    entry.mode = 0o644
    if path and path.is_symlink():
        entry.type, entry.linkname = tarfile.SYMTYPE, os.readlink(path)
    elif path:
        content = path.read_bytes()
        entry.mode = 0o755 if os.access(path, os.X_OK) else 0o644
    entry.size = 0 if entry.issym() else len(content)
    archive.addfile(entry, None if entry.issym() else io.BytesIO(content))


def unpack(path: Path, folder: Path) -> Path:
    """The folder of an unpacked archive. Raises RepriseError if it is none of `reprise bundle`."""
    check_file(path, f"pass {WRITTEN}")
    try:
        with tarfile.open(path) as archive:
            extract(archive, folder)
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno:  # a full disk, say
            raise
        reason = f"not {WRITTEN}, or not all of it ({one_line(error, 100)})"
        raise RepriseError(f"{path}: {reason}; copy it again") from None
    if not (folder / TOP / DIGESTS).is_file():
        raise RepriseError(f"{path}: not {WRITTEN}; it has no {TOP}/{DIGESTS}")
    return folder / TOP


def replay(folder: Path, cores: int) -> None:
    """Compute the results of an unpacked archive anew, and compare them.

    Raises RepriseError if a file differs, after a table of the numbers that do.
    """
    expected = read_digests(folder / DIGESTS)
    for line in other_packages(folder):
        logging.warning("%s", line)
    command = ["snakemake", "--cores", str(cores), "--quiet", "rules"]
    ended = subprocess.run(command, cwd=folder, env=environment(folder.absolute()), check=False)
    if ended.returncode:
        raise RepriseError(f"{folder}: the replay failed; the reason is above")
    new = digests(folder / RESULTS)
    first = first_difference(expected, new)
    if first is None:
        print(f"reprise: all {len(new)} files of the results are identical")
        return
    different = sum(new.get(name) != expected.get(name) for name in new.keys() | expected.keys())
    print(comparison(folder / BUNDLE / RESULTS, folder / RESULTS))
    raise RepriseError(
        f"{different} of {len(expected)} files differ, the first is results/{first}; on another "
        "kind of CPU that is expected (docs/determinism.md)"
    )


def read_digests(path: Path) -> dict[str, str]:
    """SHA-256 by path below results/. Raises RepriseError if there is no such file."""
    lines = [line.partition("  results/") for line in read_lines(path)]
    if not lines or not all(name for _, _, name in lines):
        raise RepriseError(f"{path}: does not list the files of results/; unpack the archive again")
    return {name: digest for digest, _, name in lines}


def read_lines(path: Path) -> list[str]:
    """The lines of a file of an archive. Raises RepriseError if it is missing or not text."""
    check_file(path, f"pass {WRITTEN}")
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise RepriseError(f"{path}: is not text; unpack the archive again") from None


def other_packages(folder: Path) -> list[str]:
    """A line for each pinned package of an archive that is installed in another version."""
    lines = []
    for pinned in (line for name in LOCKS for line in read_lines(folder / name)):
        package, _, expected = pinned.partition("==")
        if not expected or pinned.startswith("#"):
            continue
        try:
            installed = version(package)
        except PackageNotFoundError:
            installed = "not installed"
        if installed != expected:
            lines.append(f"{package}: the archive was made with {expected}, here is {installed}")
    return lines
