"""`reprise compare A B --html`: one page of what differs, of folders and of revisions."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.html_checker import read_html

from reprise.atomic_io import write_text
from reprise.compare import Side, changed_parameters
from reprise.engines.compare import find_commit, side
from reprise.errors import RepriseError
from reprise.params.load import Params
from reprise.report.compare_page import page, parameters_of
from reprise.report.sections import report

ROOT = Path(__file__).parents[2]
VALUES: dict[str, Any] = {"finetune": {"tiny": {"recipes": {"B": {"learning_rate": 0.01}}}}}
OTHER: dict[str, Any] = {"finetune": {"tiny": {"recipes": {"B": {"learning_rate": 0.2}}}}}


@pytest.fixture(scope="module")
def pair(
    whole_results: Path, params: Params, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Two results with reports: one number, one figure and one parameter differ."""
    folder = tmp_path_factory.mktemp("pair")
    a, b = (Path(shutil.copytree(whole_results, folder / name)) for name in ("a", "b"))
    numbers = json.loads((b / "metrics.json").read_text())
    numbers["finetune"]["tiny"]["B"]["test_accuracy"] -= 0.125
    write_text(b / "metrics.json", json.dumps(numbers))
    shutil.copy(b / "figures" / "iou.png", b / "figures" / "comparisons.png")
    for results, values in ((a, VALUES), (b, OTHER)):
        write_text(results / "report.html", report(results, params, "", values)[0])
    return a, b


@pytest.fixture(scope="module")
def html(pair: tuple[Path, Path]) -> str:
    return page(Side("before", pair[0]), Side("after <b>", pair[1]))


def test_the_page_shows_the_parameters_numbers_and_figures_that_differ(html: str) -> None:
    row = '<th scope="row">finetune.tiny.recipes.B.learning_rate</th>'
    assert f'{row}<td data-label="A" class="text">0.01</td>' in html
    assert '<th scope="row">finetune.tiny.B.test_accuracy</th>' in html and "-0.1250" in html
    assert html.count("<img ") == 2  # of the one figure that differs
    same = html.partition("The same in both: ")[2].partition("</p>")[0]
    assert "curves" in same and "comparisons" not in same
    assert "1 of " in html and "numbers differ" in html


def test_the_page_is_whole_and_escapes_names(html: str) -> None:
    checker = read_html(html)
    assert not {"link", "iframe", "object"} & {tag for tag, _ in checker.tags}
    assert "after &lt;b&gt;" in html and "after <b>" not in html
    assert all(image["alt"] for image in checker.attributes("img"))


def test_equal_results_have_nothing_to_show(pair: tuple[Path, Path]) -> None:
    html = page(Side("a", pair[0]), Side("b", pair[0]))
    assert "0 of " in html and html.count("<p>None.</p>") == 2 and "<img " not in html


def test_a_figure_that_one_side_lacks_is_said(pair: tuple[Path, Path], tmp_path: Path) -> None:
    lacking = Path(shutil.copytree(pair[0], tmp_path / "lacking"))
    for file in lacking.glob("*/curves.*"):
        file.unlink()
    html = page(Side("a", pair[0]), Side("b", lacking))
    assert html.count("<img ") == 1 and "Not drawn here" in html


def test_without_a_report_the_parameters_are_not_known(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    bare = Path(shutil.copytree(pair[0], tmp_path / "bare"))
    (bare / "report.html").unlink()
    html = page(Side("a", pair[0]), Side("bare", bare))
    assert "Not known of bare" in html and "Parameters that differ" in html


def test_the_report_keeps_the_values_that_it_depends_on(
    whole_results: Path, params: Params, tmp_path: Path
) -> None:
    values = VALUES | {"warning": "</script><b>", "runtime": {"device": "cpu"}}
    write_text(tmp_path / "report.html", report(whole_results, params, "", values)[0])
    kept = parameters_of(Side("x", tmp_path))
    assert kept == VALUES | {"warning": "</script><b>"}


def test_a_changed_parameter_is_a_row_and_an_absent_one_a_dash() -> None:
    a = {"x": {"y": 1, "list": [1, 2]}, "gone": "no"}
    rows = list(changed_parameters(a, {"x": {"y": 1, "list": [1]}, "new": {"z": None}}))
    assert rows == [["x.list", "[1, 2]", "[1]"], ["gone", '"no"', "-"], ["new.z", "-", "null"]]


def git(folder: Path, *words: str) -> str:
    name = ["-c", "user.name=x", "-c", "user.email=x@example.invalid", "-c", "core.autocrlf=off"]
    command = ["git", "-C", str(folder), *name, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A commit with the numbers of `a`, its figure in DVC's cache; an experiment of DVC."""
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "-q")
    (tmp_path / ".dvc").mkdir()
    write_text(tmp_path / ".dvc/config", "")
    for name in ("metrics.json", "intervals.json"):
        write_text(tmp_path / "results" / name, (pair[0] / name).read_text())
    picture = (pair[0] / "figures/curves.png").read_bytes()
    digest = hashlib.md5(picture).hexdigest()
    cached = tmp_path / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(picture)
    lock = "stages:\n  plot:\n    outs:\n    - path: results/figures/curves.png\n"
    write_text(tmp_path / "dvc.lock", f"{lock}      hash: md5\n      md5: {digest}\n")
    write_text(tmp_path / "params.yaml", json.dumps(VALUES | {"runtime": {}}))
    git(tmp_path, "add", "results", "params.yaml", "dvc.lock")
    git(tmp_path, "commit", "-q", "-m", "one")
    git(tmp_path, "update-ref", "refs/exps/ab/abcdef/loud-name", "HEAD")
    return tmp_path


@pytest.mark.parametrize("name", ["HEAD", "loud-name"])
def test_a_revision_or_an_experiment_stands_for_its_results(
    name: str, repository: Path, pair: tuple[Path, Path]
) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    one = side(name, repository / "out")
    assert one.name == f"{name} ({commit[:7]})" and find_commit(name) == commit
    assert (one.results / "metrics.json").read_bytes() == (pair[0] / "metrics.json").read_bytes()
    assert (one.results / "figures/curves.png").is_file()
    assert parameters_of(one) == VALUES  # the keys that a report keeps


def test_what_is_neither_a_path_nor_a_revision_is_refused(repository: Path) -> None:
    with pytest.raises(RepriseError, match="nothing: not found; name a folder of results"):
        side("nothing", repository / "out")
    assert find_commit("--all") is None
    git(repository, "rm", "-q", "-r", "results")
    git(repository, "commit", "-q", "-m", "two")
    with pytest.raises(RepriseError, match="HEAD: has no results"):
        side("HEAD", repository / "out")


def test_the_command_writes_the_page_and_overwrites_no_result(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "reprise.engines.compare", *map(str, pair), "--html"]
    where = {"cwd": ROOT, "capture_output": True, "text": True, "check": False}
    ended = subprocess.run([*command, str(tmp_path / "x.html")], **where)  # type: ignore[call-overload]
    assert ended.returncode == 0 and "x.html: what differs" in ended.stdout
    assert "<h1>" in (tmp_path / "x.html").read_text()
    bad = pair[0] / "metrics.json"
    ended = subprocess.run([*command, str(bad)], **where)  # type: ignore[call-overload]
    assert ended.returncode == 1 and str(bad) in ended.stderr and bad.read_text()[0] == "{"
