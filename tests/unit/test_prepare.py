"""The script `prepare`: the module of a dataset's source is found by name."""

import subprocess
from pathlib import Path
from typing import get_args

import pytest
from support import prestarted

from reprise.datasets import earth, orl
from reprise.datasets.prepared import SPLITS, read_prepared
from reprise.datasets.writer import write_dataset
from reprise.params.datasets import (
    CourseDataset,
    ImagesDataset,
    MapDataset,
    OrlDataset,
    TileDataset,
)
from reprise.params.load import load_params

ROOT = Path(__file__).parents[2]
PARAMS = """\
datasets:
  glasses: {source: orl, val: 0.15, test: 0.25, seed: 2}
  broken: {source: orl, val: 0.15, tests: 0.25}
"""


def run_prepare(folder: Path, dataset: str) -> "subprocess.CompletedProcess[str]":
    (folder / "params.yaml").write_text(PARAMS)
    script = ROOT / "workflow/scripts/prepare.py"
    return subprocess.run(
        ["python", str(script), "--dataset", dataset, "--out", "out"], cwd=folder,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": prestarted.path()}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


def test_a_dataset_is_prepared_from_its_block_of_params_alone(tmp_path: Path) -> None:
    finished = run_prepare(tmp_path, "glasses")
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == "glasses: 400 images in 2 classes\n"
    data = read_prepared(tmp_path / "out", "classification")
    assert (data.name, len(data.images), data.classes.names[1]) == ("glasses", 400, "glasses")


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("glases", "params.yaml: datasets.glases: not found; did you mean 'glasses'?"),
        ("broken", "params.yaml: datasets.broken: unknown key 'tests'; did you mean 'test'?"),
    ],
)
def test_a_mistake_ends_in_one_line(tmp_path: Path, dataset: str, message: str) -> None:
    finished = run_prepare(tmp_path, dataset)
    assert finished.returncode == 1 and finished.stderr == f"reprise: {message}\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "block", [CourseDataset, ImagesDataset, MapDataset, OrlDataset, TileDataset]
)
def test_every_source_has_its_module(block: type[CourseDataset]) -> None:
    (source,) = get_args(block.model_fields["source"].annotation)
    module = ROOT / f"src/reprise/datasets/{source.partition('_')[0]}.py"
    assert "def prepare(" in module.read_text()


def test_the_page_has_the_splits_of_the_default_datasets(tmp_path: Path) -> None:
    page = (ROOT / "docs/add-a-dataset.md").read_text()
    params = load_params(ROOT / "presets/earth.yaml")
    for name, recipe in params.datasets.items():
        source = {"orl": orl, "earth": earth}[recipe.source.partition("_")[0]]
        write_dataset(tmp_path / name, name, source.prepare(recipe))
        data = read_prepared(tmp_path / name)
        made = data.info["split"]
        images = " / ".join(str(len(data.rows(split))) for split in SPLITS)
        groups = " / ".join(str(made["groups"][split]) for split in SPLITS)
        gap = f"{made['least_gap_pixels']} pixels" if "least_gap_pixels" in made else "-"
        missing = [
            f"{zone.split()[0]} in {split}"
            for split, zones in made["missing_classes"].items()
            for zone in zones
        ]
        cells = [name, images, f"{groups} {data.group_words['many']}", f"{made['distance']:.3f}"]
        assert f"| {' | '.join([*cells, gap, '; '.join(missing) or 'none'])} |" in page
        for task in params.segment.values():
            if task.data == name:
                assert {data.index["split"][data.row(image)] for image in task.images} == {"test"}
