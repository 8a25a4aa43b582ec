"""The courses' own shell scripts, and the commands of docs/course.md, run on small course data."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.trained_project import ROOT

from reprise import cli
from reprise.__main__ import main
from reprise.datasets.classes import decode_mask
from reprise.datasets.synthetic import write_synthetic
from reprise.datasets.tables import read_rows

SCRIPTS = sorted((ROOT / "course").glob("*/*.sh"))


@pytest.fixture(scope="module")
def course_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small course data, whose val splits are used as the hidden test sets."""
    folder = tmp_path_factory.mktemp("course_data")
    for layout in ("dlcv_50", "office_home", "deepglobe"):
        write_synthetic(folder / layout, layout, 4)
    return folder


def arguments(script: Path, course_data: Path, out: Path) -> tuple[list[str], list[str]]:
    """The arguments of a course's script, and the names that its output must have."""
    text = script.read_text()
    if "Office" in text:
        root = course_data / "office_home" / "office"
        rows = [row[1] for _, row in read_rows(root / "val.csv")[1:]]
        return [str(root / "val.csv"), str(root / "val"), f"{out}/a.csv"], rows
    if "50 classes" in text:
        root = course_data / "dlcv_50" / "p1_data" / "val_50"
        return [str(root), f"{out}/a.csv"], sorted(path.name for path in root.iterdir())
    root = course_data / "deepglobe" / "p2_data" / "validation"
    names = sorted(path.name for path in root.glob("*_sat.jpg"))
    if "xxxx.jpg" in text:  # 2021 and 2022
        images = out / "images"
        images.mkdir()
        for name in names:
            shutil.copy(root / name, images / name.replace("_sat", ""))
        return [str(images), f"{out}/masks"], [name.replace("_sat.jpg", ".png") for name in names]
    return [str(root), f"{out}/masks"], [name.replace("_sat.jpg", "_mask.png") for name in names]


HEADERS = {
    "2021/hw1_1": "image_id, label", "2022/hw1_1": "filename, label",
    "2022/hw4_2": "id,filename,label", "2023/hw1_1": "filename,label",
    "2023/hw1_2": "id,filename,label", "2024/hw1_1": "filename,label",
}  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: "/".join(path.parts[-2:]))
def test_a_courses_script_predicts_course_data_from_any_folder(
    script: Path,
    project: Path,
    course_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words, names = arguments(script, course_data, tmp_path)
    if words[-1].endswith("masks"):
        Path(words[-1]).mkdir()  # the courses promise that it exists
    copy = project / "course" / script.parent.name / script.name
    # a Python that writes down its arguments; this process then runs them, as torch starts slowly
    log, stub = tmp_path / "log", tmp_path / "bin" / "python"
    stub.parent.mkdir()
    stub.write_text(f'#!/bin/sh\nprintf \'%s\\n\' "$PYTHONPATH" "$@" > {log}\n')
    stub.chmod(0o755)
    env = {"PATH": f"{stub.parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["bash", str(copy), *words], cwd=tmp_path, env=env, check=True)
    source, *command = log.read_text().splitlines()
    assert source == f"{project}/src" and command[:3] == ["-m", "reprise", "predict"]
    assert command[-len(words) * 2 :][1::2] == words
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", command[1:])
    cli.run(main)
    if words[-1].endswith("masks"):
        masks = sorted(Path(words[-1]).iterdir())
        assert [mask.name for mask in masks] == names
        assert all(decode_mask(np.asarray(Image.open(mask))).max() < 6 for mask in masks)
        return
    first, *rows = Path(words[-1]).read_text().splitlines()
    assert first == HEADERS["/".join([script.parent.name, script.stem])]
    column = [name.strip() for name in first.split(",")].index("label") - 1
    cells = [row.split(",") for row in rows]
    assert [row[column] for row in cells] == names
    assert all(row[-1].isdecimal() and int(row[-1]) < 8 for row in cells)


def test_a_courses_script_without_arguments_says_so(tmp_path: Path) -> None:
    for script in SCRIPTS:
        process = subprocess.run(
            ["sh", str(script)], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert process.returncode == 2 and "too few arguments" in process.stderr
        assert os.access(script, os.X_OK) and len(script.read_text().splitlines()) <= 4


def documented() -> list[str]:
    """The commands of docs/course.md that need a trained run and nothing else."""
    text = (ROOT / "docs" / "course.md").read_text()
    return re.findall(r"^\$ (python -m reprise .*|.*bash course/.*)$", text, re.M)


def test_the_commands_of_the_page_work(
    project: Path, course_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(documented()) == 7
    copy = tmp_path / "project"
    shutil.copytree(project, copy, symlinks=True)
    office = course_data / "office_home" / "office"
    for name in ("photos", "test_images"):
        shutil.copytree(office / "val", copy / name)
    for name in ("list.csv", "test.csv"):
        shutil.copy(office / "val.csv", copy / name)
    monkeypatch.chdir(copy)
    for line in documented():
        if line.startswith("python"):
            monkeypatch.setattr(sys, "argv", shlex.split(line)[2:])
            with pytest.raises(SystemExit) if "--help" in line else nullcontext():
                cli.run(main)
        elif line.startswith("REPRISE_RUN"):  # in a separate process
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            subprocess.run(line, shell=True, env={"PATH": path, "HOME": "."}, check=True)
        else:
            assert (copy / line.split()[1]).is_file()
    for name in ("classes.csv", "predictions.csv", "masks"):
        assert (copy / name).exists()
