"""The mode of runtime.numerics is known before torch is imported, or refused in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.prestarted import ROOT

from reprise import numerics
from reprise.errors import RepriseError
from reprise.params.base import validate
from reprise.params.reader import parse_yaml
from reprise.params.training import Runtime
from reprise.training import runtime as runtime_module

PORTABLE = {"numerics": "portable"}


def mode_in(folder: Path, *words: str, **variables: str) -> list[str]:
    """The mode and two variables, in a process that begins in `folder` with these arguments."""
    code = "import os, reprise.numerics as n; print(n.mode(), *map(os.environ.get, {!r}))"
    names = ("MKL_CBWR", numerics.VARIABLE)
    environment = {k: v for k, v in os.environ.items() if k not in numerics.PORTABLE_VARIABLES}
    environment |= {"PYTHONPATH": str(ROOT / "src")} | variables
    command = [sys.executable, "-c", code.format(names), *words]
    return subprocess.check_output(command, cwd=folder, env=environment, text=True).split()


def test_the_mode_is_that_of_params_yaml_or_of_the_file_after_params(tmp_path: Path) -> None:
    assert mode_in(tmp_path) == ["fast", "None", "None"]
    (tmp_path / "params.yaml").write_text("runtime:\n  device: cpu\n  numerics: portable\n")
    assert mode_in(tmp_path) == ["portable", "COMPATIBLE", "portable"]
    (tmp_path / "other.yaml").write_text("runtime: {}\n")
    assert mode_in(tmp_path, "--params", "other.yaml")[0] == "fast"
    assert mode_in(tmp_path, "--params=params.yaml")[0] == "portable"
    assert mode_in(tmp_path, REPRISE_NUMERICS="fast")[0] == "fast"


@pytest.mark.parametrize(
    "text",
    [
        "runtime:\n  numerics: portable\n",
        "runtime:\n  numerics: 'portable'   # why\n",
        'runtime: {device: cpu, numerics: "portable"}\n',
        "a: 1\nruntime:\n\n  device: cpu\n#\n  # numerics: fast\n  numerics:  portable\nb: 2\n",
        "runtime:\n  numerics: fast\n",
        "runtime:\n  # numerics: portable\n  device: cpu\n",
        "runtime:\n  device: cpu  # not numerics: portable\n",
        "runtime:\n  device: cpu\nother:\n  numerics: portable\n",
        "runtime: {}\nnumerics: portable\n",
        "",
    ],
)
def test_the_mode_is_what_a_parser_of_yaml_reads(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    values = ((parse_yaml(text) if text else {}) or {}).get("runtime") or {}
    assert numerics._read(tmp_path / "params.yaml") == values.get("numerics", "fast")


@pytest.mark.parametrize("kind", ["absent", "folder", "pipe"])
def test_a_params_yaml_that_is_no_file_is_left_to_its_reader(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "params.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    assert numerics._read(path) == "fast"


def test_a_process_that_began_in_the_other_mode_is_refused() -> None:
    with pytest.raises(RepriseError, match="portable, but this process began as fast; unset"):
        runtime_module.configure_torch(Runtime(device="cpu", numerics="portable"))


def test_a_wrong_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numerics, "_mode", "exact")
    with pytest.raises(RepriseError, match="fast, but this process began as exact; unset REPRISE"):
        runtime_module.configure_torch(Runtime(device="cpu"))


def test_torch_before_reprise_and_other_cpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numerics, "_mode", "portable")
    monkeypatch.setattr(numerics, "_imported", ["torch"])
    with pytest.raises(RepriseError, match="torch was imported before reprise; import reprise"):
        numerics.check("portable", "AVX2")
    monkeypatch.setattr(numerics, "_imported", [])
    with pytest.raises(RepriseError, match="needs an x86-64 CPU with AVX2; use fast"):
        numerics.check("portable", "DEFAULT")
    numerics.check("portable", "AVX2")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"device": "cuda"}, "device: cuda is not possible with numerics: portable; use cpu"),
        ({"precision": "bfloat16"}, "precision: bfloat16 is not .*; use float32"),
        ({"threads": 2}, "threads: 2 is not .*; use 1"),
        ({"numerics": "exact"}, "numerics"),
    ],
)
def test_what_is_not_portable_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(RepriseError, match=message):
        validate(Runtime, PORTABLE | values, "params.yaml", "runtime")


def test_the_portable_mode_is_float32_without_a_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numerics, "_mode", "portable")
    monkeypatch.setattr(numerics, "check", lambda *_: None)
    monkeypatch.setattr(runtime_module, "native_bfloat16", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    machine = runtime_module.configure_torch(Runtime(numerics="portable")).machine()
    assert (machine["cpu_capability"], machine["precision"]) == ("portable AVX2", "float32")
    assert machine["device"] == "cpu"


def test_all_that_numpy_chooses_above_avx2_is_disabled() -> None:
    from numpy._core import _multiarray_umath as numpy_core

    above = set(numpy_core.__cpu_dispatch__) - {"X86_V3"}
    assert set(numerics.PORTABLE_VARIABLES["NPY_DISABLE_CPU_FEATURES"].split()) == above
