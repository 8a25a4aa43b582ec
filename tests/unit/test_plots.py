""".dvc/plots: `dvc plots` draws the results of a run, or of two revisions, without a network."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import vl_convert
import yaml
from support import prestarted

from reprise.jobs import tasks
from reprise.params.load import Params

ROOT = Path(__file__).parents[2]
SCORE = "Validation score of every epoch"
LOSS = "Training loss of every epoch"
CONFUSION = "Confusion matrices of the test split"


def call(folder: Path, *command: str) -> str:
    names = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    environment = os.environ | dict.fromkeys(names, "x@localhost")
    environment["PATH"] = prestarted.path()
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def dvc(folder: Path, *arguments: str) -> str:
    return call(folder, "dvc", *arguments)


@pytest.fixture(scope="module")
def project(whole_results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of Git and DVC with the project's plots over the results of the tests."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(whole_results / "tables", folder / "results" / "tables")
    shutil.copytree(whole_results / "figures", folder / "results" / "figures")
    call(folder, "git", "init", "-q")
    dvc(folder, "init", "-q")
    shutil.copytree(ROOT / ".dvc" / "plots", folder / ".dvc" / "plots")
    shutil.copy(ROOT / ".dvc" / "config", folder / ".dvc" / "config")
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"plots": plots}, sort_keys=False))
    call(folder, "git", "add", "--all")
    call(folder, "git", "commit", "-qm", "one")
    return folder


def charts(text: str) -> dict[str, str]:
    """The charts that DVC gives as JSON, drawn: name -> SVG."""
    plots = json.loads(text)
    assert "errors" not in plots
    drawn = {}
    for name, (entry, *more) in plots["data"].items():
        if entry["type"] == "vega":
            assert not more
            content = entry["content"]
            spec = content if isinstance(content, dict) else json.loads(content)
            drawn[name] = vl_convert.vegalite_to_svg(spec)
    return drawn


def test_every_chart_draws_every_task_and_run(project: Path, params: Params) -> None:
    drawn = charts(dvc(project, "plots", "show", "--json"))
    assert drawn.keys() == {SCORE, LOSS, CONFUSION}
    for name in (SCORE, LOSS):
        for stage, task, block in tasks(params):
            assert f">{stage} {task}<" in drawn[name]
            assert all(f">{run}<" in drawn[name] for run in block.runs)
    matrices = drawn[CONFUSION]
    for title in ("finetune tiny C (workspace)", "segment skips merged (workspace)"):
        assert f">{title}<" in matrices
    assert "dry &lt;b>|" in matrices or "dry &lt;b&gt;|" in matrices


def test_two_revisions_are_told_apart(project: Path) -> None:
    path = project / "results" / "tables" / "histories.csv"
    before = path.read_text()
    try:
        table = pd.read_csv(path)
        table["score"] = table["score"] - 0.1
        table.to_csv(path, index=False)
        drawn = charts(dvc(project, "plots", "diff", "HEAD", "--json"))
    finally:
        path.write_text(before)
    chart = drawn[SCORE]
    assert ">HEAD<" in chart and ">workspace<" in chart
    # the lines of the two differ, and one of them is dashed
    assert len(set(re.findall(r'stroke-dasharray="([^"]+)"', chart))) >= 1


def test_the_page_needs_no_network(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reprise.engines.repository import VEGA, vega

    monkeypatch.chdir(project)
    VEGA.write_text(vega())
    dvc(project, "plots", "show")
    page = (project / "dvc_plots" / "index.html").read_text()
    (source,) = re.findall(r'<script src="([^"]+)"', page)
    assert (project / "dvc_plots" / source).resolve() == (project / VEGA).resolve()
    assert "vegaEmbed" in VEGA.read_text()
    links = [link for link in re.findall(r"https?://[^\"'\s<]+", page)]
    assert {link.rsplit("/", 1)[0] for link in links} <= {"https://vega.github.io/schema/vega-lite"}
    assert page.count("<img") == len(list((project / "results" / "figures").glob("*.png")))
