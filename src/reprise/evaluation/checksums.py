"""What the numbers come from: SHA-256 of every dataset, weight file, prediction and script."""

import hashlib
from pathlib import Path

import pandas as pd

from reprise.atomic_io import sha256, sha256_lines
from reprise.errors import RepriseError
from reprise.evaluation.markdown import Missing
from reprise.import_closure import closure, loaded_by_name
from reprise.jobs import jobs, tasks
from reprise.params.load import Params

COLUMNS = ["stage", "task", "run", "seed", "file", "bytes", "sha256"]
DATASET_FILES = ("images.npy", "labels.npy", "index.csv", "dataset.json")
JOB_FILES = {
    "pretrain": ("backbone.safetensors", "history.csv"),
    "finetune": ("model.safetensors", "predictions.csv", "history.csv"),
    "classify": ("model.safetensors", "predictions.csv", "history.csv"),
    "segment": ("model.safetensors", "predictions", "history.csv"),
}
SCRIPTS = Path("workflow/scripts")


def checksums(results: Path, params: Params, missing: Missing | None = None) -> pd.DataFrame:
    """The checksum of every file, or folder of predictions, that the numbers come from.

    Returns COLUMNS, one row per file, named below `results`. For a dataset the stage is "prepare"
    and the task its name. For the code of a stage the run is "code" and the file its script, with
    the checksum of `code_checksum`.

    `missing` collects what is missing, by stage; without it, RepriseError names the missing file.
    """
    missing = missing or Missing(strict=True)
    rows: list[list[object]] = []
    for name in sorted({task.data for _, _, task in tasks(params)}):
        for file in DATASET_FILES:
            with missing.collecting("prepare"):
                path = f"prepare/{name}/{file}"
                rows.append(["prepare", name, "", None, path, *checksum(results / path)])
    for stage in dict.fromkeys(stage for stage, _, _ in tasks(params)):
        runs = [(task, run) for _, _, task in tasks(params, stage) for run in task.runs]
        modules = {module for task, run in runs for module in loaded_by_name(task, run)}
        with missing.collecting(stage):
            script = SCRIPTS / f"{stage}.py"
            code = code_checksum(script, sorted(modules))
            rows.append([stage, "", "code", None, script.as_posix(), *code])
    for job in jobs(params):
        for file in JOB_FILES[job.stage]:
            with missing.collecting(job.stage):
                path, key = f"{job.path}/{file}", [job.stage, job.task, job.run, job.seed]
                rows.append([*key, path, *checksum(results / path)])
    return pd.DataFrame(rows, columns=COLUMNS).astype({"seed": "Int64"})


def code_checksum(script: Path, by_name: list[Path]) -> tuple[int, str]:
    """Bytes and SHA-256 of a script with all files of Reprise that it imports.

    The checksum is that of what `sha256sum` prints for them in the order of `import_closure`;
    `by_name` are modules that the script loads by name.
    """
    if not script.is_file():
        raise RepriseError(f"{script}: not found; run this in the folder of the project")
    return _together([script, *map(Path, closure(script, by_name))])


def checksum(path: Path) -> tuple[int, str]:
    """Bytes and SHA-256 of a file; of a folder, those of the names and checksums of its files.

    A folder's checksum is that of what `sha256sum *` prints in it, in the order of the names.
    """
    if path.is_file():
        return path.stat().st_size, sha256(path)
    files = sorted(path.glob("[!.]*"))  # the engines may leave hidden files
    if not files:
        raise RepriseError(f"{path}: not found; run the stage that writes it first")
    return _together(files, path)


def _together(files: list[Path], folder: Path = Path()) -> tuple[int, str]:
    """Bytes of all files, and the SHA-256 of what `sha256sum` prints for them in `folder`."""
    lines = sha256_lines(files, folder).encode()
    return sum(f.stat().st_size for f in files), hashlib.sha256(lines).hexdigest()
