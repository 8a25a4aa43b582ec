"""What each number came from: the SHA-256 of every data set, weight file and prediction."""

import hashlib
from pathlib import Path

import pandas as pd

from reprise.errors import RepriseError
from reprise.evaluation.convergence import histories
from reprise.files import sha256
from reprise.params import Params

COLUMNS = ["part", "run", "setting", "seed", "file", "bytes", "sha256"]
PREPARED = ("images.npy", "labels.npy", "index.csv", "dataset.json")
MASKS = ("segment", "street")


def digests(results: Path, params: Params) -> pd.DataFrame:
    """One row a file, or folder of predictions, that the numbers come from; COLUMNS.

    The part of a data set is "prepare", and its run the name of the set. `file` is below `results`.

    Raises:
        RepriseError: names the file that is missing.
    """
    rows = []
    for name in sorted({block.data for block in params.stages.values()}):
        rows += [
            _row(results, ("prepare", name, "", None), results / "prepare" / name / file)
            for file in PREPARED
        ]
    for part, run, setting, seed, history in histories(results, params):
        files = ["model.safetensors", "predictions" if part in MASKS else "predictions.csv"]
        for file in ["backbone.safetensors"] if part == "pretrain" else files:
            rows.append(_row(results, (part, run, setting, seed), history.parent / file))
        rows.append(_row(results, (part, run, setting, seed), history))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"seed": "Int64"})


def _row(results: Path, job: tuple[str, str, str, int | None], path: Path) -> list[object]:
    size, digest = digest_of(path)
    return [*job, path.relative_to(results).as_posix(), size, digest]


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
    lines = "".join(f"{sha256(file)}  {file.name}\n" for file in files)
    return sum(file.stat().st_size for file in files), hashlib.sha256(lines.encode()).hexdigest()
