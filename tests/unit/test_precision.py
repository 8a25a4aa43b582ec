"""What `runtime.precision` means on each device, and what is set before a GPU starts."""

import os
import subprocess
import sys
from pathlib import Path

import kill
import pytest
import torch

from reprise.errors import RepriseError
from reprise.params import Runtime
from reprise.training import runtime
from reprise.training.runtime import Device, set_up

ROOT = Path(__file__).parents[2]
CARDS = {
    "V100": (7, 0), "T4": (7, 5), "2080 Ti": (7, 5), "A100": (8, 0), "3090": (8, 6), "L4": (8, 9),
    "H100": (9, 0), "B200": (10, 0),
}  # fmt: skip


def visible(monkeypatch: pytest.MonkeyPatch, card: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: CARDS[card])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: card)


@pytest.mark.parametrize("card", CARDS)
def test_auto_is_bfloat16_on_cards_that_have_it(card: str, monkeypatch: pytest.MonkeyPatch) -> None:
    visible(monkeypatch, card)
    native = card not in ("V100", "T4", "2080 Ti")
    for depthwise in (False, True):
        device = set_up(Runtime(device="auto", precision="auto"), depthwise=depthwise)
        dtype = torch.bfloat16 if native else torch.float32
        assert device == Device(torch.device("cuda"), dtype, card)
        assert not device.scaler().is_enabled()


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_a_precision_by_name_is_that_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name != "float16":
        assert set_up(Runtime(device="cpu", precision=name)).dtype == getattr(torch, name)
    visible(monkeypatch, "T4")
    device = set_up(Runtime(device="cuda", precision=name))
    assert device.dtype == getattr(torch, name)


@pytest.mark.parametrize("native", [False, True])
def test_auto_on_a_processor_asks_for_its_instructions(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "native_bfloat16", lambda: native)
    for depthwise in (False, True):
        device = set_up(Runtime(device="cpu", precision="auto"), depthwise=depthwise)
        fast = native and not depthwise
        assert device == Device(torch.device("cpu"), torch.bfloat16 if fast else torch.float32)


def test_float32_is_not_rounded_to_tf32() -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    set_up(Runtime(device="cpu", precision="auto"))
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_float16_without_a_gpu_is_refused_in_one_line(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RepriseError, match="float16, which needs a GPU.*use auto") as error:
        set_up(Runtime(device=device, precision="float16"))
    assert "\n" not in str(error.value)


def test_float16_scales_the_loss_and_nothing_else_does() -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        scaler = Device(torch.device("cpu"), dtype).scaler()
        assert scaler.is_enabled() == (dtype == torch.float16)
        loss = torch.ones(())
        assert (scaler.scale(loss) is loss) == (dtype != torch.float16)


@pytest.mark.parametrize("value", ["", ":0:0", ":4096:2"])
def test_a_setting_of_cublas_that_does_not_repeat_is_refused(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(runtime.CUBLAS, value)
    set_up(Runtime(device="cpu"))
    visible(monkeypatch, "A100")
    with pytest.raises(RepriseError, match="CUBLAS_WORKSPACE_CONFIG is .*unset it") as error:
        set_up(Runtime(device="cuda"))
    assert "\n" not in str(error.value)


STARTED = """
import os, runpy, sys, torch
def start(*given):
    print(os.environ.get("CUBLAS_WORKSPACE_CONFIG"), flush=True)
    os._exit(7)
torch.cuda.is_available = lambda: True
torch.cuda._lazy_init = torch.cuda.get_device_capability = start
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_cublas_is_set_before_a_gpu_starts(tmp_path: Path) -> None:
    kill.write_inputs(tmp_path)
    values = (tmp_path / "params.yaml").read_text().replace("device: cpu", "device: cuda")
    (tmp_path / "params.yaml").write_text(values)
    jobs = kill.JOBS | {"classify": ["classify", "--stage", "classify", "--run", "cnn"]}
    jobs["classify"] += ["--seed", "0"]
    env = {name: value for name, value in os.environ.items() if name != runtime.CUBLAS}
    started = []
    for job in ("pretrain", "full", "segment", "classify"):
        script, *options = jobs[job]
        data = tmp_path / ("maps" if script == "segment" else "classes")
        options += ["--data", str(data), "--out", str(tmp_path / job)]
        options += ["--params", str(tmp_path / "params.yaml")]
        command = [sys.executable, "-c", STARTED, f"workflow/scripts/{script}.py", *options]
        started.append(
            subprocess.Popen(
                command,
                cwd=ROOT,
                env=env | {"PYTHONPATH": str(ROOT / "src")},
                stdout=subprocess.PIPE,
                text=True,
            )  # fmt: skip
        )
    for process in started:
        said, _ = process.communicate()
        assert (process.returncode, said) == (7, ":4096:8\n"), process.args
