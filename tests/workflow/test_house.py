"""The rules of the house: shell lines, imports, sizes, what Git keeps, what the README promises."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from reprise.pipeline.lint import shell_faults

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "reprise").rglob("*.py"))
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
TESTED = [*SOURCES, *SCRIPTS]
LONGEST_SCRIPT = 70

# package -> packages of reprise it may import besides itself, `params` and the modules at the root
DOWNHILL = {
    "params": set(),
    "data": set(),
    "models": {"data"},
    "training": {"data", "models", "evaluation"},  # the epoch is chosen by the table's own metric
    "evaluation": set(),
    "figures": {"evaluation"},
    "prediction": {"data", "models", "training"},
    "pipeline": {"evaluation", "figures"},  # what the page is made of, how a table is read
}
WITHOUT_TORCH = {"evaluation", "figures", "params", "pipeline"}


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def package(name: str) -> str | None:
    """The package of reprise that a dotted name belongs to; None for a module at the root."""
    parts = name.split(".")
    is_own = parts[0] == "reprise" and len(parts) > 1
    return parts[1] if is_own and (ROOT / "src" / "reprise" / parts[1]).is_dir() else None


def label(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_imports_run_downhill(path):
    place = path.relative_to(ROOT / "src" / "reprise").parts
    own = place[0] if len(place) > 1 else None
    allowed = DOWNHILL[own] | {own, "params"} if own else set()
    if path.name == "__main__.py":  # the top
        allowed = set(DOWNHILL)
    names = imports(path)
    assert {package(name) for name in names} - {None} <= allowed
    if own in WITHOUT_TORCH:
        assert not [name for name in names if name.split(".")[0] in ("torch", "torchvision")]


@pytest.mark.parametrize("path", SCRIPTS, ids=label)
def test_scripts_are_thin_and_import_reprise_alone(path):
    others = {script.stem for script in SCRIPTS}
    names = imports(path)
    assert not {name.split(".")[0] for name in names} & others
    assert "pipeline" not in {package(name) for name in names}
    assert len(path.read_text().splitlines()) <= LONGEST_SCRIPT


@pytest.mark.parametrize("path", SCRIPTS, ids=label)
def test_scripts_run_by_hand(path):
    text = path.read_text()
    assert "run(main)" in text and "snakemake" not in text


def test_shell_lines_hold_no_unrecorded_values():
    assert shell_faults(ROOT) == []


def test_a_wildcard_in_a_shell_line_is_found(tmp_path):
    rules = 'rule a:\n    output:\n        "{wildcards}"\n    shell:\n        "b {wildcards.x}"\n'
    (tmp_path / "Snakefile").write_text(rules)
    assert len(shell_faults(tmp_path)) == 1


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("metrics.json", True),
        ("tables/finetune.csv", True),
        ("tables/finetune.md", True),
        ("figures/curves.png", False),
        ("report.html", False),
        ("prepare/climate/index.csv", False),
        ("classify/cnn/0/history.csv", False),
    ],
)
def test_git_keeps_the_numbers_alone(name, kept):
    asked = ["git", "check-ignore", "--quiet", "--no-index", f"results/{name}"]
    assert subprocess.run(asked, cwd=ROOT, check=False).returncode == (1 if kept else 0)


def test_every_make_command_of_the_readme_exists():
    targets = set(re.findall(r"^([\w.]+):", (ROOT / "Makefile").read_text(), re.M))
    readme = (ROOT / "README.md").read_text()
    asked = set(re.findall(r"^\s*\$? ?make ([\w.]+)|`make ([\w.]+)", readme, re.M))
    asked = {one or two for one, two in asked}
    assert asked and asked <= targets


def test_make_alone_says_what_there_is():
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[1] for line in said.splitlines()} >= {"run", "test", "lint", "preset"}


def test_the_lock_file_has_no_address_and_pins_everything():
    for name in ("requirements.lock", "requirements-data.txt"):
        lines = [
            line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")
        ]
        assert lines and all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
