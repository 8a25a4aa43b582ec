"""Snakemake called in any way: it knows what DVC did, who is at work, or refuses in one line."""

import fcntl
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.cli import parse_args
from support.small_workflow import SmallWorkflow

from reprise.engines.snakemake_hooks import CLEANING, LOOKING, PLANNING, purpose

PYTHON = sys.executable
API = """\
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ResourceSettings

with SnakemakeApi() as api:
    resources = ResourceSettings(cores=1)
    api.workflow(resource_settings=resources, snakefile=Path("Snakefile")).dag().execute_workflow()
"""
BUSY = "reprise: snakemake (PID 4711) is at work here; wait until it ends"
HOME = "reprise: this workflow runs in its own folder, not as a module of another one: cd /"
MODULE = """\
module reprise:
    snakefile: "{small}/Snakefile"
use rule * from reprise as other_*
"""
long = pytest.mark.exhaustive


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallWorkflow:
    small = SmallWorkflow(tmp_path_factory.mktemp("calls") / "small")
    (small.folder / "launcher").symlink_to(Path(PYTHON).with_name("snakemake"))
    small.write("api.py", API)
    return small


@pytest.fixture
def busy(small: SmallWorkflow) -> Iterator[SmallWorkflow]:
    """A run is at work."""
    (small.folder / ".snakemake").mkdir(exist_ok=True)
    with (small.folder / ".snakemake/running").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write("4711")
        stream.flush()
        yield small


def call(folder: Path, *command: str) -> tuple[int, list[str]]:
    """The exit status of a command, and what it prints, without Snakemake's note of a profile."""
    environment = os.environ | {"PATH": f"{Path(PYTHON).parent}{os.pathsep}{os.environ['PATH']}"}
    ended = subprocess.run(
        command, cwd=folder, env=environment, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    lines = [line for line in ended.stdout.splitlines() if not line.startswith("Using workflow")]
    return ended.returncode, lines


def args_to_api(args: Namespace, is_main: bool = True) -> str:
    """Has the name of the function of Snakemake that reads the Snakefile for a command line."""
    output = SimpleNamespace(dryrun=False)
    return purpose(SimpleNamespace(is_main_process=is_main, output_settings=output))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "run"), ("-F --touch -n", "plan"), ("--summary", "plan"), ("--touch", "clean"),
        ("--lint", "look"), ("--report x.zip", "look"), ("--report x.zip -n", "look"),
        ("--report x.zip --report-after-run", "run"), ("--cleanup-metadata x", "clean"),
    ],
)  # fmt: skip
def test_what_a_call_is_for(words: str, expected: str) -> None:
    args = parse_args(words.split())[1]
    assert args_to_api(args) == expected
    assert args_to_api(args, is_main=False) == "job"
    assert vars(args).keys() >= LOOKING | PLANNING | CLEANING  # Snakemake renames options


@pytest.mark.parametrize("dryrun", [False, True])
def test_a_call_from_python_may_be_for_anything(dryrun: bool) -> None:
    output = SimpleNamespace(dryrun=dryrun)
    workflow = SimpleNamespace(is_main_process=True, output_settings=output)
    assert purpose(workflow) == ("plan" if dryrun else "call")


@pytest.mark.parametrize(
    "command",
    [
        [PYTHON, "-m", "snakemake", "--cores", "1"],
        pytest.param([PYTHON, "api.py"], marks=long),
        pytest.param(["snakemake", "--cores", "1"], marks=long),
        pytest.param(["./launcher", "--cores", "1"], marks=long),
        pytest.param(["snakemake", "--cores", "1", "--nolock"], marks=long),
        pytest.param(["snakemake", "--cores", "1", "--touch"], marks=long),
        pytest.param(["snakemake", "--unlock"], marks=long),
        pytest.param(["snakemake", "--cores", "1", "--delete-all-output"], marks=long),
        pytest.param([PYTHON, "-m", "reprise.engines.sync"], marks=long),
    ],
)
def test_a_second_call_says_who_is_at_work(busy: SmallWorkflow, command: list[str]) -> None:
    assert call(busy.folder, *command) == (1, [BUSY])
    assert not (busy.folder / "results").exists()


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (["snakemake", "-n"], f"{BUSY}; this plan is of the moment"),
        pytest.param(["snakemake", "--list"], "evaluate", marks=long),
        pytest.param(["snakemake", "--rulegraph"], "digraph snakemake_dag {", marks=long),
    ],
)
def test_who_only_looks_may_look(busy: SmallWorkflow, command: list[str], line: str) -> None:
    status, lines = call(busy.folder, *command)
    assert status == 0 and line in lines


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([PYTHON, "-m", "snakemake"], marks=long),
        pytest.param(["./launcher"], marks=long),
    ],
)
def test_files_of_another_value_are_not_called_fresh(tmp_path: Path, command: list[str]) -> None:
    small = SmallWorkflow(tmp_path / "small")
    (small.folder / "launcher").symlink_to(Path(PYTHON).with_name("snakemake"))
    small.snakemake()
    small.edit("params.yaml", "B: {learning_rate: 0.1", "B: {learning_rate: 0.2")
    small.dvc("repro")
    small.edit("params.yaml", "B: {learning_rate: 0.2", "B: {learning_rate: 0.1")
    small.run("rm", "-r", ".dvc/cache/runs", ".dvc/cache/files")  # nothing to restore
    small.ran()
    small.run(*command, "--cores", "2")
    assert small.ran() == ["B", "evaluate"]
    small.nothing_to_do()


def test_as_a_module_it_refuses_in_one_line(small: SmallWorkflow, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(small.read("params.yaml"))
    (tmp_path / "Snakefile").write_text(MODULE.format(small=small.folder))
    status, lines = call(tmp_path, "snakemake", "--cores", "1", "--quiet", "all")
    assert status == 1 and len(lines) == 1 and lines[0].startswith(HOME)


@pytest.mark.parametrize(
    ("place", "words", "refusal"),
    [
        pytest.param("other", ["--directory", "."], HOME, marks=long),
        pytest.param("small", ["--directory", "{other}"], HOME, marks=long),
        pytest.param("small", ["--generate-unit-tests"], "reprise: --generate-unit", marks=long),
        pytest.param("other", ["--directory", "{small}"], None, marks=long),
    ],
)
def test_elsewhere_it_works_or_refuses_in_one_line(
    small: SmallWorkflow, tmp_path: Path, place: str, words: list[str], refusal: str | None
) -> None:
    folders = {"small": small.folder, "other": tmp_path}
    arguments = [word.format(**folders) for word in words]
    snakefile = str(small.folder / "Snakefile")
    command = ["snakemake", "-n", "--quiet", "all", "--snakefile", snakefile, *arguments]
    status, lines = call(folders[place], *command)
    if refusal is None:
        assert status == 0
    else:
        assert status == 1 and len(lines) == 1 and lines[0].startswith(refusal), lines
    assert not list(tmp_path.glob("[!.]*"))


@long
def test_in_the_folder_of_someone_else_it_refuses_in_one_line(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    small = SmallWorkflow(tmp_path / "small")
    small.snakemake()
    small.run("chown", "-R", "12345", ".")
    no_rights = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    status, lines = call(small.folder, *no_rights, "snakemake", "-n", "--quiet", "all")
    assert status == 1
    assert lines == [
        "reprise: .snakemake/syncing: cannot be written (Permission denied); work in a clone that "
        "is yours"
    ]
