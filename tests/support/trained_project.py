"""A project with tiny runs of the homeworks' recipes, trained on samples of the courses' data."""

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
from reprise.engines.preset import render
from reprise.jobs import Job, jobs
from reprise.params.load import parse

ROOT = Path(__file__).parents[2]
CLASSIFIER = {"model": "cnn", "weights": "none", "image_size": 32, "epochs": 2, "batch_size": 16}
CLASSIFIER |= {"learning_rate": 0.001, "feature_epochs": [1]}
SEGMENTER = {"model": "fcn32s", "weights": "none", "width_mult": 0.0625, "image_size": 64}
SEGMENTER |= {"epochs": 1, "batch_size": 4, "learning_rate": 0.001}
BACKBONE = {"backbone": "resnet10", "stem": "small", "keep_imagenet_fc": False, "epochs": 8}
BACKBONE |= {"learning_rate": 0.003, "schedule": "constant"}
# the runs that the courses' shell scripts name, and two more
RUNS = {
    ("finetune", "dlcv2023"): ["C"],
    ("finetune", "dlcv2024"): ["C"],
    ("classify", "dlcv2021"): ["resnet101"],
    ("classify", "dlcv2022"): ["resnext101"],
    ("classify", "dlcv2023"): ["resnet101"],
    ("segment", "dlcv2021"): ["deeplabv3"],
    ("segment", "dlcv2022"): ["deeplabv3"],
    ("segment", "dlcv2023"): ["deeplabv3"],
    ("segment", "dlcv2024"): ["unet"],
    ("segment", "cs6550"): ["fcn8s_noskip_3"],
}


def tiny() -> dict[str, Any]:
    """The preset course-smoke with the courses' runs on networks that train in a second."""
    preset = render("course-smoke", ROOT / "presets")
    values: dict[str, Any] = YAML(typ="safe", pure=True).load(preset)
    tiny_recipes = {"classify": CLASSIFIER, "segment": SEGMENTER}
    for (stage, task), runs in RUNS.items():
        for run in runs if stage in tiny_recipes and task != "cs6550" else ():
            values[stage][task]["recipes"][run] = dict(tiny_recipes[stage])
    values["classify"]["dlcv2021"]["recipes"]["resnet101"]["ensemble_epochs"] = 2
    for task in ("dlcv2023", "dlcv2024"):
        values["finetune"][task]["common"] |= BACKBONE
        values["finetune"][task]["recipes"]["C"]["start"] = "none"
    noskip = values["segment"]["cs6550"]["recipes"]["fcn8s_noskip_3"]
    noskip |= {"model": "fcn8s_noskip", "epochs": 1}
    return values


def train_project(folder: Path) -> None:
    """Fill a folder with a project whose runs are trained by the stages' own scripts."""
    values = tiny()
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    shutil.copytree(ROOT / "course", folder / "course")
    (folder / "src").symlink_to(ROOT / "src")
    trained = [job for job in jobs(parse(values)) if job.run in RUNS.get((job.stage, job.task), ())]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in sorted({values[job.stage][job.task]["data"] for job in trained}):
            run_script(patch, f"prepare.py --dataset {name}", f"prepare/{name}")
        for job in trained:
            train(patch, job, values[job.stage][job.task]["data"])


def train(patch: pytest.MonkeyPatch, job: Job, data: str) -> None:
    """Train one job."""
    line = f"{job.stage}.py --task {job.task} --run {job.run} --seed {job.seed}"
    run_script(patch, f"{line} --data results/prepare/{data}", job.path)


def run_script(patch: pytest.MonkeyPatch, line: str, name: str) -> None:
    """Run the command of an engine for a job, in this process."""
    script, *words = line.split()
    words += ["--out", f"results/{name}", "--log", f"logs/{name}.log"]
    patch.setattr(sys, "argv", [script, *words])
    runpy.run_path(str(ROOT / "workflow" / "scripts" / script), run_name="__main__")


def predict(project: Path, *words: object) -> None:
    """Run `python -m reprise predict` on a project, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        line = ["reprise", "predict", *map(str, words), "--project", str(project)]
        patch.setattr(sys, "argv", line)
        cli.run(main)


def error_of(project: Path, caplog: pytest.LogCaptureFixture, *words: object) -> str:
    """The one line that a wrong `predict` command ends in."""
    caplog.clear()
    with pytest.raises(SystemExit) as ended:
        predict(project, *words)
    assert ended.value.code == 1
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1 and errors[0].exc_info is None
    return errors[0].getMessage()
