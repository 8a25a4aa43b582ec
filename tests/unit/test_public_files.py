"""The files that other people and their programs read first: container, CI, citation, changelog."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import yaml

import reprise

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
DEVELOPERS = "The Reprise developers"


def project() -> Any:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def yaml_files() -> list[str]:
    names = subprocess.run(
        ["git", "ls-files", "*.yml", "*.yaml", "*.cff"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    return [name for name in names if not name.startswith("presets/")]


@pytest.mark.parametrize("name", yaml_files())
def test_yaml_is_valid(name: str) -> None:
    assert yaml.safe_load((ROOT / name).read_text())


def test_one_version_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert reprise.__version__ == project()["version"] == citation["version"]
    assert headings[0] == "Unreleased" and headings[1] == citation["version"]


def test_one_licence_and_one_author_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    licence = (ROOT / "LICENSE").read_text()
    assert project()["license"] == citation["license"] == licence.split()[0]
    assert project()["authors"] == citation["authors"] == [{"name": DEVELOPERS}]
    assert DEVELOPERS in licence


def test_the_image_installs_the_lock_with_the_same_uv_as_make() -> None:
    (version,) = re.findall(r"^UV := (uv==\S+)", MAKEFILE, re.M)
    assert version in DOCKERFILE.split()
    for name in ("lock.txt", "data.txt"):
        assert f"-r requirements/{name}" in MAKEFILE and f"requirements/{name}" in DOCKERFILE
    # a later version of Python would be another environment than the tested one
    assert project()["requires-python"] == ">=3.11" and "debian:bookworm-slim" in DOCKERFILE


@pytest.mark.parametrize(("device", "has_cuda"), [("cuda", True), ("cpu", False)])
def test_the_image_of_a_device_takes_its_part_of_the_lock(
    device: str, has_cuda: bool, tmp_path: Path
) -> None:
    """The shell lines of the Dockerfile up to the first installation, with the real lock."""
    (tmp_path / "requirements").symlink_to(ROOT / "requirements")
    script = re.search(r"^RUN (case .*?)\\\n    && \.venv", DOCKERFILE, re.M | re.S)
    assert script
    lines = script[1] + '\necho "backend=$UV_TORCH_BACKEND"'
    ended = subprocess.run(
        ["bash", "-ec", lines], cwd=tmp_path, env={"DEVICE": device, "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    listed = (tmp_path / "lock.txt").read_text()
    assert ("nvidia-" in listed) is has_cuda
    assert "torch==" in listed and "dvc==" in listed
    assert ended.stdout == ("backend=\n" if has_cuda else "backend=cpu\n")


def test_another_device_is_refused_in_one_line(tmp_path: Path) -> None:
    script = re.search(r"^RUN (case .*?esac)", DOCKERFILE, re.M | re.S)
    assert script
    ended = subprocess.run(
        ["bash", "-ec", script[1]], cwd=tmp_path, env={"DEVICE": "tpu", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (1, "DEVICE=tpu: choose cpu or cuda\n")


@pytest.mark.skipif(which("hadolint") is None, reason="needs hadolint of requirements/lock.txt")
def test_hadolint_finds_nothing() -> None:
    ended = subprocess.run(["hadolint", "Dockerfile"], cwd=ROOT, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, b"")


def test_the_dev_container_is_built_from_the_dockerfile() -> None:
    folder = ROOT / ".devcontainer"
    container = json.loads((folder / "devcontainer.json").read_text())
    assert (folder / container["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert container["build"]["args"].keys() == set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.M))
    create = ROOT / container["postCreateCommand"]
    assert create.stat().st_mode & 0o111
    (environment,) = set(re.findall(r"(/opt/\w+/\.venv) \.venv", create.read_text()))
    assert f"PATH={environment}/bin:" in DOCKERFILE


def test_github_runs_the_same_command_as_everybody() -> None:
    (job,) = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
    assert job["steps"][-1]["run"] == ".ci/run"
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    # permissions that a pull request of a stranger may have
    assert yaml.safe_load(WORKFLOW.read_text())["permissions"] == {"contents": "read"}


PACKAGES = (
    "slurmctld", "slurmd", "sbatch", "munged", "faketime", "chromium", "chromedriver",
)  # fmt: skip


def run_ci(folder: Path, present: tuple[str, ...], **variables: str) -> tuple[int, str, list[str]]:
    """.ci/run with programs that only say that they were called; apt-get fails."""
    script = '#!/bin/sh\necho "${0##*/} $*" >> calls\n'
    for name in ("git", "make", *present):
        (folder / name).write_text(script + ('mkdir "$4"' if name == "git" else ""))
    (folder / "apt-get").write_text(
        script + "echo E: Temporary failure resolving a host >&2\nexit 100"
    )
    for path in folder.iterdir():
        path.chmod(0o755)
    for name in ("bash", "sh", "dirname", "mktemp", "rm", "tail", "mkdir"):
        (folder / name).symlink_to(str(which(name)))
    script = (ROOT / ".ci" / "run").read_text().replace("/usr/sbin", "/nowhere")
    script = script.replace('cd "$work', ': "$work')
    ended = subprocess.run(
        ["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False,
        env={"PATH": str(folder), **variables},
    )  # fmt: skip
    calls = (folder / "calls").read_text().splitlines()
    return ended.returncode, ended.stderr, [call for call in calls if call[:4] != "git "]


def test_ci_installs_what_is_not_there_and_goes_on_without_a_network(tmp_path: Path) -> None:
    status, error, calls = run_ci(tmp_path, PACKAGES[1:], CI="true")
    line = "ci: apt-get installs nothing here: E: Temporary failure resolving a host\n"
    assert (status, error) == (0, line)
    assert calls[0] == "apt-get update -qq"
    assert calls[1:] == ["make install slurm .venv-s3/.installed", "make test", "make lint"]


@pytest.mark.parametrize(("present", "variables"), [(PACKAGES, {"CI": "true"}), ((), {})])
def test_ci_leaves_packages_alone_that_are_there_and_those_of_a_developer(
    present: tuple[str, ...], variables: dict[str, str], tmp_path: Path
) -> None:
    status, error, calls = run_ci(tmp_path, present, **variables)
    assert (status, error, calls[-2:]) == (0, "", ["make test", "make lint"])
    assert not [call for call in calls if call.startswith("apt-get")]


@pytest.mark.parametrize("ci", ["true", ""])
def test_in_ci_a_test_that_lacks_something_fails_in_one_line(ci: str, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.needs('needs a cluster')\n"
        "def test_lacking(): raise AssertionError\n"
        "@pytest.mark.needs(None)\n"
        "def test_with_everything(): pass\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-c",
         "/dev/null", "--rootdir", ".", "-rs"],
        cwd=tmp_path, env=os.environ | {"CI": ci, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == bool(ci), ended.stdout
    assert "1 passed, 1 error" in ended.stdout if ci else "1 passed, 1 skipped" in ended.stdout
    assert "needs a cluster" in ended.stdout
    assert ("CI has to run this test: needs a cluster" in ended.stdout) == bool(ci)
    assert "Traceback" not in ended.stdout and "tests/conftest" not in ended.stdout


def test_the_workflow_catalogue_has_its_fields() -> None:
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["mandatory-flags"].keys() == {"desc", "flags"}
    assert usage["software-stack-deployment"].keys() >= {"conda", "singularity"}
    assert usage["report"] is True
