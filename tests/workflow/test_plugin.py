"""A package of somebody else in a whole run of an engine, installed as packages are."""

import subprocess
import sysconfig
import venv
from pathlib import Path

import pandas as pd
import pytest
import yaml
from support.plugin import COLORS, NAME, PULL, install

from reprise.atomic_io import read_json
from reprise.engines.verify import clone, environment

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.workflow, pytest.mark.slow]
COMMON = {"backbone": "resnet10", "stem": "small", "head_hidden_dim": 8, "epochs": 1}
COMMON |= {"batch_size": 4, "learning_rate": 0.001, "augment": {}, "feature_epochs": [1]}
VALUES = {
    "runtime": {"device": "cpu", "precision": "float32"},
    "datasets": {"two": {"source": "stripes", "count": 16}},
    "pretrain": {"a": {"data": "two", "runs": ["pull"], "seeds": [0], "recipes": {"pull": PULL}}},
    "finetune": {
        "f": {"data": "two", "pretraining": "a", "pretraining_seeds": "paired", "seeds": [0],
              "runs": ["P"], "common": COMMON, "recipes": {"P": {"start": "pull", "frozen": True}}},
    },
    "classify": {"b": {"data": "two", "runs": ["c"], "seeds": [0], "recipes": {"c": COLORS}}},
}  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone next to an environment that has the package and those of this one."""
    folder = tmp_path_factory.mktemp("plugin")
    project = clone(ROOT, folder / "project", "own")
    venv.create(folder / "venv", symlinks=True)
    (site,) = (folder / "venv/lib").glob("python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install(site)
    (project / "params.yaml").write_text(yaml.safe_dump(VALUES))
    python(project, "-m", "reprise.engines.repository", "dvc.yaml")
    python(project, "-m", "snakemake", "--cores", "2", "--quiet", "rules")
    return project


def python(project: Path, *words: str) -> str:
    commands = project.parent / "venv/bin"
    values = environment(project)
    ended = subprocess.run(
        [commands / "python", *words], cwd=project, capture_output=True, text=True, check=False,
        env=values | {"PATH": f"{commands}:{values['PATH']}"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    return ended.stdout + ended.stderr


def test_each_of_its_parts_reaches_the_report(project: Path) -> None:
    results = project / "results"
    page = (results / "report.html").read_text()
    for name in ("pull", "colors", "Balanced accuracy"):
        assert name in page, name
    for table, run in (("classify_b", "c"), ("finetune_f", "P")):
        row = pd.read_csv(results / f"tables/{table}.csv").set_index("run").loc[run]
        predicted = pd.read_csv(results / f"{table.replace('_', '/')}/{run}/0/predictions.csv")
        test = predicted[predicted["split"] == "test"]
        right = test["prediction"] == test["label"]
        assert row["test_balanced"] == pytest.approx(right.groupby(test["label"]).mean().mean())
    assert "test_balanced" in read_json(results / "intervals.json")["classify"]["b"]["c"]


def test_both_engines_know_its_files(project: Path) -> None:
    """An edit of a metric makes the scores stale, and what follows from them."""
    assert "up to date" in python(project, "-m", "dvc", "status")
    (metric,) = (project.parent / "venv/lib").glob(f"*/site-packages/{NAME}/metrics/balanced.py")
    metric.write_text(metric.read_text() + "# edited\n")
    planned = python(project, "-m", "snakemake", "-n", "--quiet", "progress")
    assert "evaluate" in planned
