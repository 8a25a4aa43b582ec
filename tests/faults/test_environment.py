"""Promise: a user's environment changes no byte of what a command writes, and stops none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.fake_results import fake_params, fake_results

from reprise.figures.style import draw

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path.stem for path in (ROOT / "workflow/scripts").glob("*.py"))
NOWHERE = "/nonexistent/folder"
ENVIRONMENTS: dict[str, dict[str, str | None]] = {
    "a notebook": {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
    "ASCII alone": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "no home": {"HOME": None, "USER": None, "LOGNAME": None, "XDG_CACHE_HOME": None},
    "a home that is not there": {"HOME": NOWHERE},
    "no folder for temporary files": {"TMPDIR": NOWHERE},
    "a folder of Matplotlib that is not there": {"MPLCONFIGDIR": NOWHERE},
    "warnings are errors": {"PYTHONWARNINGS": "error"},
    "a shell without a terminal": {"TERM": None, "COLUMNS": "7", "NO_COLOR": "1"},
}
ALL = {name: value for values in ENVIRONMENTS.values() for name, value in values.items()}
FIGURE = "misclassified_classify_baseline"
COMMENT = "# Größe in µm\n"  # not ASCII


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the outputs of all jobs, and a figure of them."""
    folder, params = tmp_path_factory.mktemp("environment"), fake_params()
    fake_results(folder / "results", params)
    values = yaml.safe_dump(params.model_dump(mode="json", exclude_none=True))
    (folder / "params.yaml").write_text(COMMENT + values, encoding="utf-8")
    info = folder / "results/prepare/zones/dataset.json"
    info.write_text(info.read_text().replace('"wet"', '"naß"'), encoding="utf-8")
    figure = draw(FIGURE, folder / "results", params)
    (folder / "usual.png").write_bytes(figure.png)
    (folder / "usual.svg").write_bytes(figure.svg)
    return folder


def run(
    folder: Path, script: str, *words: str, umask: int = -1, **variables: str | None
) -> subprocess.CompletedProcess[str]:
    """A script in an environment with these variables; None takes one away."""
    options = os.environ | variables | {"PYTHONPATH": str(ROOT / "src")}
    environment = {name: value for name, value in options.items() if value is not None}
    path = ROOT / "workflow" / "scripts" / f"{script}.py"
    return subprocess.run(
        [sys.executable, str(path), *words], cwd=folder, env=environment, umask=umask,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def check_draws(folder: Path, out: str, umask: int = -1, **variables: str | None) -> None:
    """Draw the figure in an environment; it has the usual bytes."""
    words = ["--figures", FIGURE, "--out", out, "--vector", out, "--log", f"{out}.log"]
    ended = run(folder, "plot", *words, umask=umask, **variables)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    for kind in ("png", "svg"):
        drawn = (folder / out / f"{FIGURE}.{kind}").read_bytes()
        assert drawn == (folder / f"usual.{kind}").read_bytes()


def test_an_environment_of_everything_hostile_changes_no_byte(folder: Path) -> None:
    check_draws(folder, "hostile", umask=0o077, **ALL)
    assert (folder / f"hostile/{FIGURE}.png").stat().st_mode & 0o777 == 0o600


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_each_hostile_environment_changes_no_byte(folder: Path, name: str) -> None:
    check_draws(folder, name.replace(" ", "_"), **ENVIRONMENTS[name])


@pytest.mark.exhaustive
@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_starts_in_a_hostile_environment(folder: Path, script: str) -> None:
    ended = run(folder, script, "--help", umask=0o077, **ALL)
    assert ended.returncode == 0 and ended.stderr == ""
    assert ended.stdout.startswith("usage: ")
