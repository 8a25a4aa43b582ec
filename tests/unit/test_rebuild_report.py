"""engines/show: what exists is shown, each gap is marked, and the command says so."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from support import prestarted

from reprise.evaluation.markdown import MARK
from reprise.params.load import Params

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(results: Path, params: Params) -> Path:
    """A folder with results of every stage, and what the scripts need next to them."""
    values = yaml.safe_dump(params.model_dump(mode="json", exclude_none=True))
    (results.parent / "params.yaml").write_text(values)
    (results.parent / "workflow").symlink_to(ROOT / "workflow")
    (results.parent / "presets").symlink_to(ROOT / "presets")
    (results.parent / "src").symlink_to(ROOT / "src")
    return results.parent


def rebuild(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["python", "-m", "reprise.engines.show", "page"], cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "PATH": prestarted.path()},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def files(results: Path) -> dict[str, bytes]:
    return {
        path.relative_to(results).as_posix(): path.read_bytes()
        for path in sorted(results.rglob("*"))
        if path.is_file()
    }


def test_with_all_outputs_it_writes_what_the_engines_write(
    folder: Path, whole_results: Path
) -> None:
    (folder / "results" / "embed" / "byol_finetuned" / "tsne.csv").unlink()
    (folder / "results" / "figures" / "of_an_earlier_run.png").write_bytes(b"old")
    ended = rebuild(folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "results/report.html: complete" in ended.stdout
    rebuilt = files(folder / "results")
    assert MARK.encode() not in rebuilt.pop("report.html")
    expected = files(whole_results)
    assert rebuilt.keys() == expected.keys()
    assert [name for name in rebuilt if rebuilt[name] != expected[name]] == []


def test_it_continues_after_each_script_that_misses_something(folder: Path) -> None:
    results = folder / "results"
    shutil.rmtree(results / "classify" / "baseline" / "cnn")
    lost = ["embed/cnn/pca.csv", "classify/transfer/scratch/0/history.csv",
            "segment/skips/skip/0/predictions", "segment/baseline/fcn/0/masks/0012_final.png",
            "segment_anything/baseline/tiny_one/scores.csv"]  # fmt: skip
    for name in lost:
        path = results / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    ended = rebuild(folder)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    *reasons, last = ended.stderr.splitlines()
    assert "results/report.html: is incomplete; it marks what is missing" in last
    assert len(set(reasons)) == len(reasons)
    assert all(reason.startswith("reprise: ") for reason in reasons)
    page = (results / "report.html").read_text()
    marks = [page[at : page.index("<", at)] for at in range(len(page)) if page.startswith(MARK, at)]
    drawn = "figures/segment_anything_baseline_tiny_one.png"
    for name in [*lost[:4], "classify/baseline/cnn/0/predictions.csv", drawn]:
        assert any(name in mark for mark in marks), name
    # no figure of an earlier report replaces one that could not be drawn
    assert not list((results / "figures").glob("segment_anything_*"))
    assert not list((results / "figures").glob("pca_cnn*"))
    for name in ("finetune_tiny", "networks"):
        assert MARK not in (results / "tables" / f"{name}.md").read_text()
    # to an engine, all of it is older than its inputs
    for name in ("metrics.json", "intervals.json", "tables/classify_baseline.csv", "report.html"):
        assert (results / name).stat().st_mtime == 1


def test_without_a_dataset_nothing_is_changed(folder: Path) -> None:
    (folder / "results" / "prepare" / "old" / "index.csv").unlink()
    before = files(folder / "results")
    ended = rebuild(folder)
    assert ended.returncode == 1 and len(ended.stderr.splitlines()) == 1
    assert "prepare/old/index.csv: not found" in ended.stderr
    assert files(folder / "results") == before


def test_a_report_stays_until_there_is_a_new_one(folder: Path) -> None:
    results = folder / "results"
    (results / "report.html").write_text("of an earlier call")
    old = files(results)
    # the page cannot be written, after the tables and figures were
    (folder / "workflow").unlink()
    shutil.copytree(ROOT / "workflow", folder / "workflow", ignore=shutil.ignore_patterns("code"))
    (folder / "workflow/scripts/report.py").write_text("import sys\nsys.exit('reprise: full')\n")
    for name in ("evaluate", "model_summary", "checksums", "plot"):
        (folder / f"workflow/scripts/{name}.py").write_text("open('results/metrics.json', 'w')\n")
    ended = rebuild(folder)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("reprise: results/report.html: could not be")
    assert files(results) == old
    # a call that was killed has moved them away
    (folder / ".snakemake/page").mkdir(parents=True)
    (results / "report.html").rename(folder / ".snakemake/page/report.html")
    assert rebuild(folder).returncode == 1
    assert files(results) == old
