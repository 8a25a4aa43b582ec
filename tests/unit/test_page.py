"""Promises of `make page`: what is there is shown, each hole is marked, and the command says so."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from reprise.evaluation.holes import MARK
from reprise.params import Params

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(results: Path, params: Params) -> Path:
    """A folder with results of every part, and what the scripts need beside them."""
    values = yaml.safe_dump(params.model_dump(exclude_none=True))
    (results.parent / "params.yaml").write_text(values)
    (results.parent / "workflow").symlink_to(ROOT / "workflow")
    (results.parent / "src").symlink_to(ROOT / "src")
    return results.parent


def make_page(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reprise.pipeline.page"], cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def files(results: Path) -> dict[str, bytes]:
    return {
        path.relative_to(results).as_posix(): path.read_bytes()
        for path in sorted(results.rglob("*"))
        if path.is_file()
    }


def test_without_a_hole_it_makes_what_the_engines_make(folder: Path, whole_results: Path) -> None:
    (folder / "results" / "embed" / "finetune" / "tsne.csv").unlink()
    (folder / "results" / "figures" / "of_an_earlier_run.png").write_bytes(b"old")
    ended = make_page(folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "results/report.html: everything is in it" in ended.stdout
    made = files(folder / "results")
    assert MARK.encode() not in made.pop("report.html")
    whole = files(whole_results)
    assert made.keys() == whole.keys()
    assert [name for name in made if made[name] != whole[name]] == []


def test_it_goes_on_after_each_part_that_lacks_something(folder: Path) -> None:
    results = folder / "results"
    shutil.rmtree(results / "classify" / "cnn")
    lost = ["embed/classify/pca.csv", "faces/scratch/0/history.csv", "street/skip/0/predictions",
            "segment/fcn/0/masks/0012_final.png", "anything/tiny_one/scores.csv"]  # fmt: skip
    for name in lost:
        path = results / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    ended = make_page(folder)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    *reasons, last = ended.stderr.splitlines()
    assert last.endswith("results/report.html: has holes, marked in it; the lines above say why")
    assert len(set(reasons)) == len(reasons) and all(one.startswith("reprise: ") for one in reasons)
    page = (results / "report.html").read_text()
    marks = [page[at : page.index("<", at)] for at in range(len(page)) if page.startswith(MARK, at)]
    for name in [*lost[:4], "classify/cnn/0/predictions.csv", "figures/anything_tiny_one.png"]:
        assert any(name in mark for mark in marks), name
    # no figure of an earlier page stands for one that could not be drawn
    assert not list((results / "figures").glob("anything_*"))
    assert not list((results / "figures").glob("pca_classify*"))
    for name in ("finetune", "faces", "architecture"):
        assert MARK not in (results / "tables" / f"{name}.md").read_text()
    # to an engine, all of it is older than what it is made of
    for name in ("metrics.json", "tables/classify.csv", "figures/masks_segment.png", "report.html"):
        assert (results / name).stat().st_mtime == 1


def test_without_a_data_set_nothing_is_touched(folder: Path) -> None:
    (folder / "results" / "prepare" / "old" / "index.csv").unlink()
    before = files(folder / "results")
    ended = make_page(folder)
    assert ended.returncode == 1 and len(ended.stderr.splitlines()) == 1
    assert "prepare/old/index.csv: not found" in ended.stderr
    assert files(folder / "results") == before
