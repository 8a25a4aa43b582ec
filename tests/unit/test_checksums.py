"""Checksums are those that sha256sum prints."""

import hashlib
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from reprise.atomic_io import sha256
from reprise.errors import RepriseError
from reprise.evaluation.checksums import checksum, checksums, code_checksum
from reprise.evaluation.markdown import Missing
from reprise.import_closure import closure
from reprise.params.load import Params


def test_a_checksum_of_a_folder_is_that_of_sha256sum(tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        (tmp_path / name).write_text(name)
    lines = subprocess.run("sha256sum *", shell=True, cwd=tmp_path, capture_output=True, check=True)
    assert checksum(tmp_path) == (10, hashlib.sha256(lines.stdout).hexdigest())
    with pytest.raises(RepriseError, match="nothing: not found"):
        checksum(tmp_path / "nothing")


def test_code_is_the_script_and_everything_that_it_imports() -> None:
    script = Path("workflow/scripts/evaluate.py")
    files = [script.as_posix(), *closure(script)]
    lines = subprocess.run(["sha256sum", *files], capture_output=True, check=True).stdout
    size = sum(Path(file).stat().st_size for file in files)
    assert code_checksum(script, []) == (size, hashlib.sha256(lines).hexdigest())
    with pytest.raises(RepriseError, match=r"none\.py: not found"):
        code_checksum(Path("none.py"), [])


def test_every_dataset_script_and_job_has_its_rows(evaluated_results: Path, params: Params) -> None:
    table = checksums(evaluated_results, params)
    sizes = table.groupby("stage").size().to_dict()
    assert sizes == {
        "prepare": 6 * 4,  # images, labels, index, description
        "pretrain": 1 + 6 * 2,  # the script; backbone and history of a job
        "finetune": 1 + 15 * 3,  # model, predictions and history
        "classify": 1 + 4 * 3,
        "segment": 1 + 3 * 3,
    }
    files = table[table["run"] != "code"].set_index("file")["sha256"]
    name = "finetune/tiny/C/1/predictions.csv"
    assert files[name] == sha256(evaluated_results / name)
    folder = "segment/skips/merged/0/predictions"
    assert files[folder] == checksum(evaluated_results / folder)[1]
    assert pd.read_csv(evaluated_results / "checksums.csv")["file"].tolist() == list(table["file"])


def test_a_missing_file_is_named_or_collected(evaluated: Path, params: Params) -> None:
    path = evaluated / "classify/baseline/cnn/0/model.safetensors"
    path.unlink()
    with pytest.raises(RepriseError, match=r"cnn/0/model\.safetensors: not found"):
        checksums(evaluated, params)
    missing = Missing()
    table = checksums(evaluated, params, missing)
    (reason,) = missing.reasons("classify")
    assert str(path) in reason and len(table) == 24 + 13 + 46 + 12 + 10
