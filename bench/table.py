"""The whole A-E table with three seeds: the project's jobs against five scripts of the reports.

Both sides train the fifteen jobs of the `earth` preset: ResNet-10 with the small stem on the
`newworld` tiles of 32 pixels, 20 epochs, batch 16, dihedral augmentation, an evaluation on the
select role after each epoch. Start-up of every process is in it on both sides.

Ours: workflow/scripts/finetune.py, two jobs at a time with one thread each, as
`snakemake --cores 2` runs them (the engine's own time is not in it). It also predicts the report
role and keeps features, which the other side does not. The reports: bench/course.py, one after
the other with torch's own number of threads. The backbones of B to E are random on both sides:
their values cost no time.
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
from reprise.data.store import PreparedSet, open_set
from reprise.models.backbone import resnet
from reprise.params import FinetuneCommon, load_params
from reprise.training.outputs import write_tensors

PARAMS = ROOT / "presets" / "earth.yaml"
SETTINGS, SEEDS, RUN = "ABCDE", (0, 1, 2), "earth"
AT_A_TIME = 2


def row(name: str, quick: bool) -> Measured:
    """Fifteen jobs on each side."""
    jobs = list(itertools.product(SETTINGS, SEEDS[:1] if quick else SEEDS))
    params = load_params(PARAMS)
    recipe = params.finetune.recipes[RUN].common
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        store = prepared(params.finetune.data, folder)
        data = open_set(store, "classification")
        as_table(data, folder / "files")
        weights = folder / "backbone.safetensors"
        torch.manual_seed(0)
        write_tensors(weights, resnet(recipe.backbone, recipe.stem).net.state_dict())

        def ours() -> None:
            with ThreadPoolExecutor(AT_A_TIME) as pool:
                list(pool.map(lambda job: finetune(*job, store, weights, folder / "ours"), jobs))

        def course(setting: str, seed: int, workers: int) -> float:
            out = folder / "course" / setting / str(seed)
            options = course_options(recipe, setting, seed, len(data.classes), workers)
            inputs = ["--files", str(folder / "files"), "--backbone", str(weights)]
            command = [sys.executable, "-m", "bench.course", *inputs, "--out", str(out), *options]
            return spend(command, ROOT).wall

        workers = better_workers(lambda count: course("D", 0, count), False)
        sides = {
            "ours": Side(
                "Reprise: workflow/scripts/finetune.py, two jobs at a time with one thread each",
                seconds_of(ours),
            ),
            "course": Side(
                f"one program a job, one after the other: files, PIL, DataLoader with {workers} "
                "workers, float32, forward through the backbone in every epoch",
                lambda: sum(course(*job, workers) for job in jobs),
            ),
        }
        interleave(sides, 1)  # fifteen jobs a side, and minutes
    title = f"Settings A to E, {len(jobs)} jobs"
    comparisons = [Comparison("programs in the manner of the reports", "ours", "course", 3)]
    note = (
        f"{recipe.epochs} epochs, batch {recipe.batch_size}; start-up is in it on both sides, and "
        "the whole table is built once on each."
    )
    return Measured(title, "s", sides, comparisons, [note])


def finetune(setting: str, seed: int, store: Path, weights: Path, out: Path) -> None:
    """One job of the project."""
    command = [sys.executable, "workflow/scripts/finetune.py", "--run", RUN, "--setting", setting]
    command += ["--seed", str(seed), "--data", str(store), "--params", str(PARAMS)]
    command += ["--out", str(out / setting / str(seed))]
    if setting != "A":
        command += ["--backbone", str(weights)]
    spend(command, ROOT, PYTHONPATH="src")


def course_options(
    recipe: FinetuneCommon, setting: str, seed: int, classes: int, workers: int
) -> list[str]:
    """The recipe as arguments of bench/course.py."""
    options = {
        "setting": setting, "seed": seed, "classes": classes, "hidden": recipe.hidden,
        "epochs": recipe.epochs, "batch": recipe.batch_size, "rate": recipe.learning_rate,
        "workers": workers,
    }  # fmt: skip
    named = [text for key, value in options.items() for text in (f"--{key}", str(value))]
    return [*named, "--network", recipe.backbone, recipe.stem]


def as_table(data: PreparedSet, folder: Path) -> None:
    """Write the images as files with one csv a role, as the assignments hand them out."""
    roles = ["train", "select"]
    as_files(data, roles, folder)
    for role in roles:
        files = sorted((folder / role).glob("*/*.png"))
        with (folder / f"{role}.csv").open("w", newline="") as stream:
            lines = [(path.relative_to(folder), int(path.parent.name)) for path in files]
            csv.writer(stream).writerows(lines)
