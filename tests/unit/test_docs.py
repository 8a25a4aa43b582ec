"""The commands of the how-to pages work; those that train or need an engine are only looked up."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml
from support import prestarted

from reprise.params.load import Params, load_params

ROOT = Path(__file__).parents[2]
PAGES = ["add-a-dataset", "add-a-figure", "add-a-method", "add-a-model", "change-and-compare"]
PAGES += ["read-the-report"]
OTHER_PAGES = [
    "benchmarks",
    "benchmarks-gpu",
    "cluster",
    "course",
    "coverage",
    "determinism",
    "engines",
    "export",
    "glossary",
    "growth",
    "homeworks",
    "library",
    "networks",
    "overview",
    "reader-test",
    "reliability",
    "replay",
    "results",
    "rulegraph",
    "search",
    "share",
    "style",
    "your-images",
]


def commands(page: str) -> list[str]:
    """The commands of a page's console blocks."""
    text = (ROOT / "docs" / f"{page}.md").read_text()
    return re.findall(
        r"^\$ (.*)$", "\n".join(re.findall(r"```console\n(.*?)```", text, re.S)), re.M
    )


def every(start: str) -> list[str]:
    """The commands of all pages that begin with `start`."""
    return sorted({line for page in PAGES for line in commands(page) if line.startswith(start)})


@pytest.mark.parametrize("page", PAGES)
def test_a_how_to_page_has_commands(page: str) -> None:
    assert commands(page)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 110


def test_the_readme_names_every_page() -> None:
    pages = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
    assert pages == sorted(PAGES + OTHER_PAGES)
    text = (ROOT / "README.md").read_text()
    assert [page for page in pages if f"docs/{page}.md" not in text] == []


@pytest.mark.parametrize("page", [*(f"docs/{name}" for name in PAGES + OTHER_PAGES), "README"])
def test_every_file_that_a_page_names_exists(page: str) -> None:
    path = ROOT / f"{page}.md"
    text = path.read_text()
    named = re.findall(r"`((?:src|workflow|tests|presets)/[\w/.]+\.\w+)`", text)
    assert [name for name in named if not (ROOT / name).is_file()] == []
    links = re.findall(r"\]\(([\w./-]+)(?:#[\w-]*)?\)", text)
    assert [link for link in links if not (path.parent / link).is_file()] == []


@pytest.mark.parametrize(
    "page", ["README", "docs/course", "docs/determinism", "docs/engines", "docs/style"]
)
def test_every_link_to_a_heading_finds_it(page: str) -> None:
    path = ROOT / f"{page}.md"
    for file, anchor in re.findall(r"\]\(([\w./-]*)#([\w-]+)\)", path.read_text()):
        text = (path.parent / file if file else path).read_text()
        headings = [line.lstrip("# ").lower() for line in text.splitlines() if line[:1] == "#"]
        assert anchor in [re.sub(r"[^\w -]", "", head).replace(" ", "-") for head in headings]


@pytest.mark.parametrize("line", every("sed "))
def test_an_edit_changes_params_and_leaves_them_valid(line: str, tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    shutil.copy(ROOT / "presets" / "earth.yaml", params)
    before = params.read_text()
    subprocess.run(line, shell=True, cwd=tmp_path, check=True)
    assert params.read_text() != before
    load_params(params)


@pytest.mark.parametrize("line", every("python "))
def test_a_script_runs_on_results_alone(line: str, results: Path, params: Params) -> None:
    folder = results.parent
    values = yaml.safe_dump(params.model_dump(exclude_none=True))
    (folder / "params.yaml").write_text(values)
    for name in ("workflow", "presets"):
        (folder / name).symlink_to(ROOT / name)
    environment = {"PYTHONPATH": str(ROOT / "src"), "HOME": ".", "PATH": prestarted.path()}
    process = subprocess.run(
        shlex.split(line), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr


def test_every_make_target_and_test_file_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for line in every("make "):
        assert all(re.search(rf"^{re.escape(t)}:", makefile, re.M) for t in line.split()[1:])
    for line in every("pytest "):
        assert all((ROOT / name).is_file() for name in line.split() if name.endswith(".py"))


def test_the_readme_counts_the_tiles_that_it_names():
    params = load_params(ROOT / "presets" / "earth.yaml")
    text = " ".join((ROOT / "README.md").read_text().split())
    compared = pd.read_csv(ROOT / "results" / "tables" / "comparisons.csv")
    (tested,) = set(compared.loc[compared["task"] == "earth", "images"])
    assert f"from {params.datasets['newworld'].max_train_images} tiles of the Americas" in text
    assert f"are tested on {tested} others" in text
    assert f"on {params.datasets['oldworld'].max_train_images:,} tiles of the other" in text
