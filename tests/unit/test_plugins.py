"""A package of somebody else adds a method, a network, a source of datasets and a metric."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.plugin import COLORS, NAME, PULL, install

from reprise import plugins
from reprise.errors import RepriseError

ROOT = Path(__file__).parents[2]
VALUES = {
    "runtime": {"device": "cpu", "precision": "float32"},
    "datasets": {"two": {"source": "stripes", "count": 16}},
    "pretrain": {"a": {"data": "two", "runs": ["pull"], "seeds": [0], "recipes": {"pull": PULL}}},
    "classify": {"b": {"data": "two", "runs": ["c"], "seeds": [0], "recipes": {"c": COLORS}}},
}
SCRIPT = """\
import sys
from pathlib import Path
from reprise.engines.code import job_sources
from reprise.params.load import load_params
for name, files in job_sources(load_params()).items():
    print(name, *[Path(file).name for file in files if "elsewhere" in file])
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that uses the package, which is installed in one of its folders."""
    folder = tmp_path_factory.mktemp("plugin")
    install(folder / "site")
    for name in ("src", "workflow"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "params.yaml").write_text(yaml.safe_dump(VALUES))
    return folder


def python(folder: Path, *words: str, ends: int = 0) -> str:
    paths = os.pathsep.join([str(folder / "src"), str(folder / "site")])
    ended = subprocess.run(
        [sys.executable, *words], cwd=folder, env=os.environ | {"PYTHONPATH": paths},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == ends, ended.stderr
    return ended.stdout + ended.stderr


def test_the_stages_prepare_pretrain_and_classify_with_it(project: Path) -> None:
    data = "results/prepare/two"
    python(project, "workflow/scripts/prepare.py", "--dataset", "two", "--out", data)
    for stage, task, run in (("pretrain", "a", "pull"), ("classify", "b", "c")):
        job = f"--task {task} --run {run} --seed 0 --data {data} --out results/{stage}"
        python(project, f"workflow/scripts/{stage}.py", *job.split())
    assert (project / "results/pretrain/backbone.safetensors").is_file()
    table = (project / "results/classify/predictions.csv").read_text().splitlines()[1:]
    rows = [line.split(",") for line in table]
    assert [row[3] for row in rows] == [row[2] for row in rows]  # bright is not dark


def test_its_files_are_sources_of_the_jobs_that_use_it(project: Path) -> None:
    """So an edit of the package makes them stale, as one of Reprise's own files does."""
    listed = dict(
        line.split(maxsplit=1) if " " in line else (line, "")
        for line in python(project, "-c", SCRIPT).splitlines()
    )
    names = "balanced.py colors.py pull.py stripes.py"
    for job in ("prepare/two", "pretrain/a/pull", "classify/b/c", "evaluate"):
        assert set(names.split()) <= set(listed[job].split()), job
    assert listed["embed"] == ""


def test_a_wrong_value_of_it_is_one_line_with_the_key(project: Path) -> None:
    values = yaml.safe_load((project / "params.yaml").read_text())
    values["pretrain"]["a"]["recipes"]["pull"]["waight"] = 1.0
    (project / "wrong.yaml").write_text(yaml.safe_dump(values))
    code = "from reprise.params.load import load_params as l; from pathlib import Path; l(Path('wrong.yaml'))"  # noqa: E501
    text = python(project, "-c", code, ends=1).splitlines()[-1]
    assert "wrong.yaml: pretrain.a.recipes: " in text and "did you mean 'weight'?" in text


def test_a_package_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = install(tmp_path, "vanished")
    for path in sorted(package.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    package.rmdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.packages.cache_clear()
    with pytest.raises(RepriseError, match="names 'vanished', which is not an installed package"):
        plugins.packages()
    plugins.packages.cache_clear()


def test_what_reprise_has_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = install(tmp_path, f"{NAME}2")
    (package / "models/cnn.py").write_text("CLASSIFIERS = ('cnn',)\n")
    (package / "ssl/byol.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.packages.cache_clear()
    try:
        assert plugins.module_name("models", "cnn") == "reprise.models.cnn"
        assert plugins.module_name("ssl", "byol") == "reprise.training.ssl.byol"
        assert plugins.module_name("ssl", "pull") == f"{NAME}2.ssl.pull"
        assert plugins.file_of("ssl", "byol") is None
    finally:
        plugins.packages.cache_clear()
