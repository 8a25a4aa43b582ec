"""The whole A-E table with three seeds: the project's jobs against scripts as in the homeworks.

Both sides train the fifteen jobs of the `earth` preset: ResNet-10 with the small stem on the
`newworld` tiles of 32 pixels, 20 epochs, batch 16, dihedral augmentation, validation after each
epoch. Start-up of every process is included on both sides.

Ours: workflow/scripts/finetune.py, two jobs at a time with one thread each, as
`snakemake --cores 2` runs them (the engine's time is not included). It also predicts the test
split and saves features, which the other side does not. The homeworks: bench/course.py, one after
the other with torch's default number of threads. The backbones of B to E are random on both sides:
their values do not affect the time.
"""

import csv
import itertools
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from bench.measure import ROOT, Comparison, Measured, Side, better_workers, interleave
from bench.sets import as_files, prepared
from bench.timing import seconds_of, spend
from reprise.datasets.prepared import PreparedDataset, read_prepared
from reprise.models.build import build_backbone
from reprise.models.weights import write_tensors
from reprise.params.base import load_block
from reprise.params.finetune import FinetuneCommon, FinetuneTask

PARAMS = ROOT / "presets" / "earth.yaml"
TASK, SEEDS = "earth", (0, 1, 2)
PARALLEL_JOBS = 2


def row(name: str, quick: bool) -> Measured:
    """Fifteen jobs on each side."""
    task = load_block(PARAMS, f"finetune.{TASK}", FinetuneTask)
    jobs = list(itertools.product(task.runs, SEEDS[:1] if quick else SEEDS))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        dataset = prepared(task.data, folder)
        data = read_prepared(dataset, "classification")
        as_table(data, folder / "files")
        torch.manual_seed(0)
        random = build_backbone(task.common.backbone, task.common.stem).net.state_dict()
        for start, seed in itertools.product(("byol", "supervised"), SEEDS):
            write_tensors(backbone_file(folder, task, start, seed), random)

        def ours() -> None:
            def job(run: str, seed: int) -> None:
                start = task.recipes[run].start
                file = None if start == "none" else backbone_file(folder, task, start, seed)
                finetune(run, seed, dataset, file, folder / "ours" / run / str(seed))

            with ThreadPoolExecutor(PARALLEL_JOBS) as pool:
                list(pool.map(lambda names: job(*names), jobs))

        def course(run: str, seed: int, workers: int) -> float:
            out = folder / "course" / run / str(seed)
            options = course_options(task.common, run, seed, len(data.classes.names), workers)
            file = backbone_file(folder, task, "byol", seed)
            inputs = ["--files", str(folder / "files"), "--backbone", str(file)]
            command = [sys.executable, "-m", "bench.course", *inputs, "--out", str(out), *options]
            return spend(command, ROOT).wall

        workers = better_workers(lambda count: course("D", 0, count), False)
        sides = {
            "ours": Side(
                "Reprise: workflow/scripts/finetune.py, two jobs at a time with one thread each",
                seconds_of(ours),
            ),
            "course": Side(
                f"one program a job, in sequence: files, PIL, DataLoader with {workers} "
                "workers, float32, forward through the backbone in every epoch",
                lambda: sum(course(*names, workers) for names in jobs),
            ),
        }
        interleave(sides, 1)  # fifteen jobs a side, and minutes
    title = f"Settings A to E, {len(jobs)} jobs"
    comparisons = [Comparison("programs as in the homeworks", "ours", "course", 3)]
    note = (
        f"{task.common.epochs} epochs, batch {task.common.batch_size}; start-up is included on "
        "both sides, and each builds the whole table once."
    )
    return Measured(title, "s", sides, comparisons, [note])


def backbone_file(folder: Path, task: FinetuneTask, start: str, seed: int) -> Path:
    """The file of a pretrained backbone, where finetune.py expects it."""
    pretraining = folder / "pretrain" / str(task.pretraining) / start
    return pretraining / str(task.pretraining_seed(seed, SEEDS)) / "backbone.safetensors"


def finetune(run: str, seed: int, dataset: Path, backbone: Path | None, out: Path) -> None:
    """One job of the project."""
    command = [sys.executable, "workflow/scripts/finetune.py", "--task", TASK, "--run", run]
    command += ["--seed", str(seed), "--data", str(dataset), "--params", str(PARAMS)]
    command += ["--out", str(out)]
    if backbone:
        command += ["--backbone", str(backbone)]
    spend(command, ROOT, PYTHONPATH="src")


def course_options(
    recipe: FinetuneCommon, run: str, seed: int, classes: int, workers: int
) -> list[str]:
    """The recipe as arguments of bench/course.py."""
    options = {
        "setting": run, "seed": seed, "classes": classes, "hidden": recipe.head_hidden_dim,
        "epochs": recipe.epochs, "batch": recipe.batch_size, "rate": recipe.learning_rate,
        "workers": workers,
    }  # fmt: skip
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    return [*words, "--network", recipe.backbone, recipe.stem]


def as_table(data: PreparedDataset, folder: Path) -> None:
    """Write the images as files with one csv a split, as in the assignments."""
    splits = ["train", "val"]
    as_files(data, splits, folder)
    for split in splits:
        files = sorted((folder / split).glob("*/*.png"))
        with (folder / f"{split}.csv").open("w", newline="") as stream:
            lines = [(path.relative_to(folder), int(path.parent.name)) for path in files]
            csv.writer(stream).writerows(lines)
