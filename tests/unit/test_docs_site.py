"""The documentation as a site: every page is in it, in order; and it builds where Sphinx is."""

import re
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from reprise.__main__ import COMMANDS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def conf() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "conf.py"))


def test_every_page_is_in_the_contents_once_and_in_the_order_of_the_readme(
    conf: dict[str, Any],
) -> None:
    pages = conf["pages"]()
    files = {path.relative_to(ROOT).with_suffix("") for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(pages) == sorted(map(str, files))
    assert pages[0] == "docs/results" and pages.index("docs/engines") < pages.index("docs/style")
    source = ["# Reprise\n"]
    conf["add_contents"](None, "README", source)
    assert "```{toctree}" in source[0] and all(f"\n{page}\n" in source[0] for page in pages)
    other = ["# A page\n"]
    conf["add_contents"](None, "docs/engines", other)
    assert other == ["# A page\n"]


def test_docstrings_of_markdown_become_restructured_text(conf: dict[str, Any]) -> None:
    lines = ["Shape (*, 3) of `a_*`, |x| and a_.", "    `b`: plain_name"]
    conf["to_restructured_text"](None, lines)
    assert lines == [r"Shape (\*, 3) of ``a_*``, \|x\| and a\_.", "    ``b``: plain_name"]


def test_its_packages_are_not_those_of_users() -> None:
    names = {
        name: set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / name).read_text(), re.M))
        for name in ("docs.txt", "lock.txt")
    }
    assert "sphinx" in names["docs.txt"] and not names["docs.txt"] & names["lock.txt"]


def test_every_command_that_a_page_names_exists() -> None:
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for name in re.findall(r"^\$ reprise ([a-z]\w*)", path.read_text(), re.M):
            assert name in COMMANDS, f"{path.name}: reprise {name}"


@pytest.mark.exhaustive
@pytest.mark.skipif(find_spec("sphinx") is None, reason="no Sphinx; `make docs` installs it")
def test_the_site_has_no_broken_link_and_an_api_reference(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    command += ["-c", "docs", "-d", str(tmp_path / "doctrees"), ".", str(tmp_path / "site")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    page = (tmp_path / "site" / "docs" / "api" / "reprise.api.html").read_text()
    assert "reprise.api" in page and (tmp_path / "site" / "searchindex.js").is_file()
