"""The commands of the how-to pages work; those that train or need an engine are only looked up."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from reprise.params import Params, load_params

ROOT = Path(__file__).parents[2]
PAGES = ["add-a-data-set", "add-a-figure", "add-a-model", "change-and-compare", "read-the-report"]


def commands(page: str) -> list[str]:
    text = (ROOT / "docs" / f"{page}.md").read_text()
    return re.findall(
        r"^\$ (.*)$", "\n".join(re.findall(r"```console\n(.*?)```", text, re.S)), re.M
    )


def every(start: str) -> list[str]:
    return sorted({line for page in PAGES for line in commands(page) if line.startswith(start)})


@pytest.mark.parametrize("page", PAGES)
def test_every_page_has_commands_and_is_named_in_the_readme(page: str) -> None:
    assert commands(page)
    assert f"docs/{page}.md" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text()
    named = re.findall(r"`((?:src|workflow|tests)/[\w/.]+\.\w+)`", text)
    assert all((ROOT / name).is_file() for name in named)
    assert all((ROOT / "docs" / link).is_file() for link in re.findall(r"\]\((\S+?\.md)\)", text))


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
    (folder / "workflow").symlink_to(ROOT / "workflow")
    _, *words = shlex.split(line)
    made = subprocess.run(
        [sys.executable, *words], cwd=folder, env={"PYTHONPATH": str(ROOT / "src"), "HOME": "."},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr


def test_every_make_target_and_test_file_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for line in every("make "):
        assert all(re.search(rf"^{re.escape(t)}:", makefile, re.M) for t in line.split()[1:])
    for line in every("pytest "):
        assert all((ROOT / name).is_file() for name in line.split() if name.endswith(".py"))
