"""A project with tiny runs of the courses' recipes, really trained, on samples of their data."""

import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML

from reprise import cli
from reprise.__main__ import main
from reprise.pipeline.preset import render

ROOT = Path(__file__).parents[2]
CLASSIFIER = {"model": "cnn", "weights": "none", "image_size": 32, "epochs": 2, "batch_size": 16}
CLASSIFIER |= {"learning_rate": 0.001, "features": [1]}
SEGMENTER = {"model": "fcn32s", "weights": "none", "width": 0.0625, "image_size": 64, "epochs": 1}
SEGMENTER |= {"batch_size": 4, "learning_rate": 0.001}
# the runs that the courses' shell scripts name, and two more
CLASSIFIERS = ["dlcv2021_resnet101_single", "dlcv2022_resnext101", "dlcv2023_resnet101"]
SEGMENTERS = ["dlcv2021_deeplabv3", "dlcv2022_deeplabv3", "dlcv2023_deeplabv3", "dlcv2024_unet"]


def tiny() -> dict[str, Any]:
    """The preset course-smoke with the courses' runs on networks that train in a second."""
    values: dict[str, Any] = YAML(typ="safe", pure=True).load(
        render("course-smoke", ROOT / "presets")
    )
    for run in CLASSIFIERS:
        values["classify"]["recipes"][run] = dict(CLASSIFIER)
    values["classify"]["recipes"]["dlcv2021_resnet101"] = CLASSIFIER | {"vote": 2}
    for run in SEGMENTERS:
        values["segment"]["recipes"][run] = dict(SEGMENTER)
    small = {"backbone": "resnet10", "stem": "small", "imagenet_layer": False, "epochs": 8}
    small |= {"learning_rate": 0.003, "schedule": "constant"}
    for run in ("dlcv2023", "dlcv2024"):
        values["finetune"]["recipes"][run]["common"] |= small
    values["street"]["recipes"]["cs6550_fcn8s_noskip_3"] |= {"model": "fcn8s_noskip", "epochs": 1}
    return values


def train_project(folder: Path) -> None:
    """Fill a folder with a project whose runs are trained by the stages' own scripts."""
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny()))
    shutil.copytree(ROOT / "course", folder / "course")
    (folder / "src").symlink_to(ROOT / "src")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("fifty", "office", "satellite", "camvid"):
            job(patch, f"prepare.py --set {name}", f"prepare/{name}")
        for run in [*CLASSIFIERS, "dlcv2021_resnet101"]:
            train(patch, "classify.py --stage classify", "classify", run, "fifty")
        for run in ("dlcv2023", "dlcv2024"):
            train(patch, "finetune.py --setting C", "finetune", run, "office", "C/")
        for run in SEGMENTERS:
            train(patch, "segment.py --stage segment", "segment", run, "satellite")
        run = "cs6550_fcn8s_noskip_3"
        train(patch, "segment.py --stage street", "street", run, "camvid")


def train(
    patch: pytest.MonkeyPatch, start: str, part: str, run: str, data: str, below: str = ""
) -> None:
    line = f"{start} --run {run} --seed 0 --data results/prepare/{data}"
    job(patch, line, f"{part}/{run}/{below}0")


def job(patch: pytest.MonkeyPatch, line: str, name: str) -> None:
    """What an engine runs for a job, in this process."""
    script, *words = line.split()
    words += ["--out", f"results/{name}", "--log", f"logs/{name}.log"]
    patch.setattr(sys, "argv", [script, *words])
    runpy.run_path(str(ROOT / "workflow" / "scripts" / script), run_name="__main__")


def predict(project: Path, *words: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        line = ["reprise", "predict", *map(str, words), "--project", str(project)]
        patch.setattr(sys, "argv", line)
        cli.run(main)
