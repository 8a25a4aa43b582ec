"""Rules of the project: shell lines, imports, sizes, what Git keeps, the targets of make."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "reprise").rglob("*.py"))
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
LONGEST_SCRIPT = 70
LONGEST_FILE = 300
LONGEST_FUNCTION = 60
# in a shell line: values that Snakemake does not record as parameters of a job, or that the command
# line of DVC could not contain
FORBIDDEN = re.compile(r"\{(wildcards|threads|resources|config)\b")

# package -> packages of reprise that it may import, besides `params` and the modules at the root
DOWNHILL = {
    "params": set(),
    "datasets": set(),
    "metrics": {"datasets"},  # the colours of masks
    "models": {"datasets"},
    "training": {"datasets", "models", "metrics"},
    "evaluation": {"datasets", "metrics"},
    "figures": {"datasets", "evaluation", "metrics"},
    "report": {"datasets", "evaluation", "figures"},
    "predict": {"datasets", "models", "training"},
    "export": {"datasets", "engines", "models", "predict"},
    # what the report is made of, how a table is read
    "engines": {"datasets", "evaluation", "figures", "metrics", "report"},
}
WITHOUT_TORCH = {"evaluation", "figures", "metrics", "params", "report", "engines"}


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
    parts = path.relative_to(ROOT / "src" / "reprise").parts
    own = parts[0] if len(parts) > 1 else None
    # a module at the root is below all packages but params, whose values jobs.py lists
    allowed = DOWNHILL[own] | {own, "params"} if own else {"params"}
    if path.name in ("__main__.py", "api.py"):  # the top
        allowed = set(DOWNHILL)
    names = imports(path)
    assert {package(name) for name in names} - {None} <= allowed
    if own in WITHOUT_TORCH:
        assert not [name for name in names if name.split(".")[0] in ("torch", "torchvision")]


def test_the_order_of_packages_has_no_cycle():
    done: set[str] = set()
    while ready := {name for name, below in DOWNHILL.items() if below <= done} - done:
        done |= ready
    assert done == set(DOWNHILL) == {path.parent.name for path in SOURCES} - {"reprise", "ssl"}


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("path", SCRIPTS, ids=label)
def test_scripts_are_thin_and_import_only_reprise(path):
    others = {script.stem for script in SCRIPTS}
    names = imports(path)
    assert not {name.split(".")[0] for name in names} & others
    assert "engines" not in {package(name) for name in names}
    assert len(path.read_text().splitlines()) <= LONGEST_SCRIPT


@pytest.mark.parametrize("path", SCRIPTS, ids=label)
def test_scripts_run_by_hand(path):
    text = path.read_text()
    assert "run(main)" in text and "snakemake" not in text


def test_each_rule_has_a_script_and_each_script_a_rule():
    """Figures have one script for all their rules."""
    rules = set()
    for path in ROOT.glob("workflow/rules/*.smk"):
        rules |= set(
            re.findall(r"^rule (\w+):|^use rule \w+ as (\w+) with:", path.read_text(), re.M)
        )
    names = {first or second for first, second in rules}
    scripts = {re.sub(r"^plot_.*", "plot", name) for name in names}
    assert scripts == {path.stem for path in SCRIPTS}


def shell_faults(root: Path) -> list[str]:
    """Forbidden values in shell lines: file, line and the value."""
    faults = []
    for path in [root / "Snakefile", *sorted((root / "workflow" / "rules").glob("*.smk"))]:
        in_shell = False
        for number, line in enumerate(path.read_text().splitlines(), 1):
            in_shell = (in_shell and line.startswith("        ")) or line.strip() == "shell:"
            if in_shell and (match := FORBIDDEN.search(line)):
                faults.append(f"{path}:{number}: {match[0]}}} in a shell line; pass it by params")
    return faults


def test_shell_lines_hold_no_unrecorded_values():
    assert shell_faults(ROOT) == []


def test_a_wildcard_in_a_shell_line_is_found(tmp_path):
    rules = 'rule a:\n    output:\n        "{wildcards}"\n    shell:\n        "b {wildcards.x}"\n'
    (tmp_path / "Snakefile").write_text(rules)
    assert len(shell_faults(tmp_path)) == 1


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("results/metrics.json", True),
        ("results/intervals.json", True),
        ("results/tables/finetune_earth.csv", True),
        ("results/tables/finetune_earth.md", True),
        ("results/figures/curves.png", False),
        ("results/report.html", False),
        ("results/prepare/climate/index.csv", False),
        ("results/classify/baseline/cnn/0/history.csv", False),
        ("workflow/code/evaluate.sha256", False),
        ("workflow/schemas/params.schema.json", False),
    ],
)
def test_git_keeps_the_numbers_but_no_other_output(name, kept):
    command = ["git", "check-ignore", "--quiet", "--no-index", name]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == (1 if kept else 0)


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("dvc.lock", "linguist-generated"),
        ("dvc.lock", "-diff"),
        ("dvc.yaml", "linguist-generated"),
        ("results/tables/seeds.csv", "linguist-generated"),
    ],
)
def test_derived_files_are_marked(name, attribute):
    wanted = "unset" if attribute.startswith("-") else "set"
    command = ["git", "check-attr", attribute.lstrip("-"), "--", name]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert output.strip().endswith(f": {wanted}")


def test_metrics_of_dvc_are_the_headline_numbers_only():
    assert yaml.safe_load((ROOT / "dvc.yaml").read_text())["metrics"] == ["results/metrics.json"]


def test_every_make_command_of_the_readme_exists():
    targets = set(re.findall(r"^([\w.]+):", (ROOT / "Makefile").read_text(), re.M))
    readme = (ROOT / "README.md").read_text()
    named = set(re.findall(r"^\s*\$? ?make ([\w.]+)|`make ([\w.]+)", readme, re.M))
    named = {first or second for first, second in named}
    assert named and named <= targets


def test_make_without_a_target_lists_the_targets():
    # a make that runs the tests would let this one print its folder
    command = ["make", "--no-print-directory"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = [line.split() for line in output.splitlines()]
    groups = [" ".join(words) for words in lines if words and words[0] != "make"]
    assert groups == ["Run", "Look", "Change", "Your data", "Develop"]
    listed = {words[1] for words in lines if words and words[0] == "make"}
    phony = re.search(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), re.M)
    assert listed == set(phony[1].split())


def test_the_lock_file_has_no_address_and_pins_everything():
    for name in ("lock.txt", "data.txt"):
        text = (ROOT / "requirements" / name).read_text()
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        assert lines and all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
