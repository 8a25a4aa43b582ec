"""What each number came from: the SHA-256 of every data set, weight file and prediction."""

import hashlib
from pathlib import Path

import pandas as pd

from reprise.closure import closure
from reprise.errors import RepriseError
from reprise.evaluation.convergence import histories
from reprise.evaluation.holes import Holes
from reprise.files import sha256
from reprise.params import Params

COLUMNS = ["part", "run", "setting", "seed", "file", "bytes", "sha256"]
PREPARED = ("images.npy", "labels.npy", "index.csv", "dataset.json")
MASKS = ("segment", "street")
SCRIPTS = Path("workflow/scripts")
SCRIPT_OF = {"faces": "classify", "street": "segment"}  # the others have one of their own


def digests(results: Path, params: Params, holes: Holes | None = None) -> pd.DataFrame:
    """One row a file, or folder of predictions, that the numbers come from; COLUMNS.

    The part of a data set is "prepare", and its run the name of the set. `file` is below `results`;
    where the run is "code" it is the script of the part, and the digest that of `code_digest`.

    Raises:
        RepriseError: names the file that is missing; with `holes`, they learn it instead.
    """
    holes = Holes(strict=True) if holes is None else holes
    rows: list[list[object]] = []
    for name in sorted({block.data for block in params.stages.values()}):
        for file in PREPARED:
            with holes.leave_out("prepare"):
                path = results / "prepare" / name / file
                rows.append(_row(results, ("prepare", name, "", None), path))
    for part in params.stages:
        with holes.leave_out(part):
            script = SCRIPTS / f"{SCRIPT_OF.get(part, part)}.py"
            rows.append([part, "code", "", None, script.as_posix(), *code_digest(script)])
    for part, run, setting, seed, history in histories(results, params):
        files = ["model.safetensors", "predictions" if part in MASKS else "predictions.csv"]
        for file in [*(["backbone.safetensors"] if part == "pretrain" else files), history.name]:
            with holes.leave_out(part):
                rows.append(_row(results, (part, run, setting, seed), history.parent / file))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"seed": "Int64"})


def _row(results: Path, job: tuple[str, str, str, int | None], path: Path) -> list[object]:
    size, digest = digest_of(path)
    return [*job, path.relative_to(results).as_posix(), size, digest]


def code_digest(script: Path) -> tuple[int, str]:
    """Bytes and SHA-256 of a script with all files of Reprise that it imports.

    The digest is that of what `sha256sum` prints of them in the order of `reprise.closure`.
    """
    if not script.is_file():
        raise RepriseError(f"{script}: not found; run this in the folder of the project")
    return _together([script, *map(Path, closure(script))])


def digest_of(path: Path) -> tuple[int, str]:
    """Bytes and SHA-256 of a file; of a folder, those of the names and digests of its files.

    A folder's digest is that of what `sha256sum *` prints in it, in the order of the names.
    """
    if path.is_file():
        return path.stat().st_size, sha256(path)
    # an engine may leave hidden files of its own
    files = sorted(f for f in path.iterdir() if f.name[0] != ".") if path.is_dir() else []
    if not files:
        raise RepriseError(f"{path}: not found; run the stage that makes it first")
    return _together(files, path)


def _together(files: list[Path], folder: Path = Path()) -> tuple[int, str]:
    """Bytes of all, and the digest of what `sha256sum` prints of them in `folder`."""
    lines = "".join(f"{sha256(f)}  {f.relative_to(folder).as_posix()}\n" for f in files)
    return sum(f.stat().st_size for f in files), hashlib.sha256(lines.encode()).hexdigest()
