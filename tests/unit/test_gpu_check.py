"""bench/gpu_check.sh runs every part, on CPU too, and names in one line what is missing."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from support import prestarted

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from bench.gpu import __main__ as command  # noqa: E402
from bench.gpu import needs  # noqa: E402
from bench.gpu.page import page  # noqa: E402
from bench.gpu.result import JSON, MAX_SECONDS, PAGE, PARTS, Part, begin, end, read  # noqa: E402

SCRIPT = ROOT / "bench" / "gpu_check.sh"


def script(*options: object, python: Path | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(SCRIPT), *map(str, options)], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHON": str(python or prestarted.commands() / "python")},
    )  # fmt: skip


@pytest.mark.slow
def test_every_part_runs_on_cpu(tmp_path: Path) -> None:
    done = script("--cpu", "--out", tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    result = read(tmp_path)
    assert list(result["parts"]) == list(PARTS)
    assert {entry["status"] for entry in result["parts"].values()} == {"done"}
    text = (tmp_path / PAGE).read_text()
    assert text == page(result) and "meaningless numbers" in text
    steps = text[text.index("## Training steps") :]
    for name, cell in {
        "BYOL, ResNet-50": "40%", "Frozen ResNet-50": "40%", "Head on frozen features": "| - |",
        "DeepLabV3-ResNet101": "40%", "FCN-32s": "| - |", "ResNeXt-101": "| - |",
    }.items():  # fmt: skip
        line = next(line for line in steps.splitlines() if line.startswith(f"| {name}"))
        assert cell in line and "nan" not in line, line
    shares = result["parts"]["augmentation"]["values"]
    assert all(policy in " ".join(shares) for policy in ("blur", "trivial_wide", "cutout"))
    assert all(row["step_ms"] > row["batches_ms"] > 0 for row in shares.values())
    equal = result["parts"]["bytes"]["values"]["run A, auto"]
    assert equal["two_runs"] and equal["killed"] and equal["resumed_at"]
    numbers = result["parts"]["cpu_and_gpu"]["values"]["run A"]
    assert numbers["weights"][:2] == [0, 0] and numbers["train_loss"][0] == numbers["train_loss"][1]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [PAGE, JSON, "gpu-check.log"]


@pytest.mark.parametrize("name", PARTS)
def test_a_part_without_a_gpu_ends_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as error:
        command.measure(name, tmp_path, tiny=False)
    assert "no GPU is visible" in str(error.value) and "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is visible")
def test_the_script_without_a_gpu_ends_in_one_line(tmp_path: Path) -> None:
    done = script("--out", tmp_path / "out")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines() == [
        "gpu_check: no GPU is visible, and nothing was measured; --cpu tries the script"
    ]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--nope"], "unknown option --nope"), (["--only"], "--only needs a value"),
     (["--cpu", "--only", "rates,bytess"], "no part 'bytess'")],
)  # fmt: skip
def test_a_mistake_is_one_line(options: list[str], message: str) -> None:
    done = script(*options)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and message in done.stderr


def test_help_names_every_part_and_package() -> None:
    text = " ".join(script("--help").stdout.replace(",", " ").replace(".", " ").split())
    assert all(f" {name} " in text for name in [*PARTS, "numpy", "pandas", "pydantic", "tqdm"])
    assert "set -u" not in text


def test_all_parts_fit_into_nine_minutes() -> None:
    assert MAX_SECONDS < 540
    assert all(0 < limit < MAX_SECONDS for _, limit, _, _ in PARTS.values())


def test_a_part_that_takes_too_long_is_ended_and_the_next_one_runs(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f"""#!/bin/sh
case "$*" in
    *--list) echo 60; echo "rates 1"; echo "environment 30" ;;
    *--ended*) exec {sys.executable} "$@" ;;
    *"bench.gpu rates"*) sleep 30 ;;
    *) exec {sys.executable} "$@" ;;
esac
""")
    python.chmod(0o755)
    for name in ("rates", "byol"):
        begin(tmp_path / "out", name, True, "CPU")
    done = script("--cpu", "--out", tmp_path / "out", "--only", "rates,environment", python=python)
    assert done.returncode == 1, done.stderr
    parts = read(tmp_path / "out")["parts"]
    assert parts["rates"]["status"] == "ran out of time" and parts["rates"]["seconds"] < 20
    assert parts["environment"]["status"] == "done" and parts["byol"]["status"] == "started"
    assert "| Matrix and memory rates | ran out of time |" in (tmp_path / "out" / PAGE).read_text()


def test_what_a_part_recorded_before_it_failed_stays(tmp_path: Path) -> None:
    begin(tmp_path, "byol", False, "a GPU")
    row = {
        "title": "BYOL", "batch": 2, "dtype": "bfloat16", "images_per_second": [10.0, 30.0, 20.0],
        "gflop_per_image": 50.0, "goal": True, "peak_gib": 1.5,
    }  # fmt: skip
    Part("byol", tmp_path, False).record("rows", [row])
    end(tmp_path, "byol", 1, 3.0)
    begin(tmp_path, "rates", False, "a GPU")
    Part("rates", tmp_path, False).record("matrix_tflops", {"bfloat16": 4.0})
    end(tmp_path, "rates", 0, 1.0)
    text = (tmp_path / PAGE).read_text()
    assert text.startswith("# Benchmarks: a GPU\n") and "meaningless" not in text
    assert "| BYOL, ResNet-50 | failed, exit status 1 | 3 |" in text
    # 20 images of 50 GFLOP per second are 1 TFLOP/s, of 4
    assert "| BYOL | 2 | bfloat16 | 20 | 10 to 30 | 50 | 1 | 25.0% | 40% | 1.5 |" in text
    begin(tmp_path, "rates", False, "another GPU")
    assert list(read(tmp_path)["parts"]) == ["rates"]


def test_the_page_of_the_docs_is_that_of_a_gpu_or_says_that_none_was_measured() -> None:
    text = (ROOT / "docs" / "benchmarks-gpu.md").read_text()
    measured = text.startswith("# Benchmarks: ") and "meaningless numbers" not in text
    assert measured or (text.startswith("Not run") and text.count("\n") == 1)


IMPORT_ALL = """
import importlib, re, runpy, sys
from importlib.metadata import distribution, packages_distributions, PackageNotFoundError
sys.path[:0] = ["src", "."]
from bench.gpu.needs import NEEDED
allowed, todo = {n for g in NEEDED.values() for n in g}, ["torch", "torchvision", "pip"]
while todo:  # these come with their dependencies; all others must be listed
    name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
    if name in allowed:
        continue
    allowed.add(name)
    try:
        requires = distribution(name).requires or []
    except PackageNotFoundError:
        continue
    todo += [re.match(r"[\\w.-]+", r)[0] for r in requires if "extra ==" not in r]
owners = packages_distributions()
finders = list(sys.meta_path)
class BareMachine:
    @staticmethod
    def find_spec(name, path=None, target=None):
        top = name.split(".")[0]
        names = {re.sub(r"[-_.]+", "-", n).lower() for n in owners.get(top, [])}
        if top not in ("reprise", "bench") and names and not names & allowed:
            return None
        return next(filter(None, (f.find_spec(name, path, target) for f in finders)), None)
sys.meta_path[:] = [BareMachine]
for name in ("machine", "suite", "steps", "augmentation", "jobs"):
    importlib.import_module(f"bench.gpu.{name}")
for name in ("pretrain", "finetune", "classify", "segment"):
    runpy.run_path(f"workflow/scripts/{name}.py")
import ruamel.yaml, pytest
try:
    import snakemake
except ModuleNotFoundError as error:
    print(error)
"""


def test_a_bare_machine_with_the_listed_packages_can_import_everything() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "No module named 'snakemake'" in done.stdout  # the test hides what is not listed


def wheel(folder: Path, name: str) -> None:
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", "VALUE = 1\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")


@pytest.mark.parametrize("pip", [True, False])
def test_missing_packages_come_from_wheels(
    pip: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels, target = tmp_path / "wheels", tmp_path / "target"
    wheels.mkdir()
    wheel(wheels, "made_up")
    monkeypatch.setattr(needs, "NEEDED", {"made_up": ["made-up"], "torch": ["torch"]})
    assert needs.missing() == ["made-up"]
    if not pip:
        monkeypatch.setattr(needs, "importable", lambda module: False)
    needs.install(["made-up"], wheels, target)
    assert (target / "made_up.py").read_text() == "VALUE = 1\n"
    with pytest.raises(SystemExit, match="has no wheel of other"):
        needs.install(["other"], wheels, target)


def test_a_missing_package_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "NEEDED", {"made_up": ["made-up"]})
    monkeypatch.setattr(sys, "argv", ["needs.py"])
    with pytest.raises(SystemExit) as error:
        needs.main()
    assert "made-up not installed" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("number", ["2.9.1", "1.13.0+cu117"])
def test_an_old_torch_is_refused(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "version", lambda name: number)
    with pytest.raises(SystemExit, match="must be 2.11 or later"):
        needs.check_torch()
    monkeypatch.setattr(needs, "version", lambda name: "2.11.0+cu130")
    needs.check_torch()


def test_packages_are_collected_in_the_locked_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(
        needs.subprocess, "run",
        lambda command, check: calls.append(command) or subprocess.CompletedProcess(command, 0),
    )  # fmt: skip
    needs.collect(tmp_path)
    pinned = [str(word) for word in calls[0] if "==" in str(word)]
    assert {word.split("==")[0] for word in pinned} == {
        name for names in needs.NEEDED.values() for name in names
    }
    lock = (ROOT / "requirements" / "lock.txt").read_text().split()
    assert set(pinned) <= set(lock)
