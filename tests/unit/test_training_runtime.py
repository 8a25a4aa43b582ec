"""Devices and precisions, the switches of torch, and evaluation mode."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support import killable_job
from torch import nn

from reprise.errors import RepriseError
from reprise.params.training import Runtime
from reprise.training import runtime
from reprise.training.runtime import Device, configure_torch, eval_mode

ROOT = Path(__file__).parents[2]
CAPABILITIES = {
    "V100": (7, 0), "T4": (7, 5), "2080 Ti": (7, 5), "A100": (8, 0), "3090": (8, 6), "L4": (8, 9),
    "H100": (9, 0), "B200": (10, 0),
}  # fmt: skip


def test_evaluation_mode_is_left_again() -> None:
    network = nn.Sequential(nn.BatchNorm1d(2)).train()
    with pytest.raises(ValueError, match="inside"), eval_mode(network):
        assert not network[0].training and not torch.is_grad_enabled()
        raise ValueError("inside")
    assert network[0].training and torch.is_grad_enabled()


def test_numbers_too_small_for_float32_are_zero_and_cost_no_time() -> None:
    configure_torch(Runtime(device="cpu"))
    assert not (torch.full((8,), 1e-39) * 1).any()


def test_a_seed_makes_a_network() -> None:
    drawn = []
    for _ in range(2):
        configure_torch(Runtime(device="cpu"), seed=3)
        drawn.append(torch.rand(4).tolist())
    assert drawn[0] == drawn[1]


def show_gpu(monkeypatch: pytest.MonkeyPatch, gpu: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: CAPABILITIES[gpu])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: gpu)


@pytest.mark.parametrize("gpu", CAPABILITIES)
def test_auto_is_bfloat16_on_gpus_that_have_it(gpu: str, monkeypatch: pytest.MonkeyPatch) -> None:
    show_gpu(monkeypatch, gpu)
    native = gpu not in ("V100", "T4", "2080 Ti")
    for depthwise in (False, True):
        device = configure_torch(Runtime(device="auto", precision="auto"), depthwise=depthwise)
        dtype = torch.bfloat16 if native else torch.float32
        assert device == Device(torch.device("cuda"), dtype, gpu)
        assert not device.scaler().is_enabled()


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_a_precision_by_name_is_that_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name != "float16":
        assert configure_torch(Runtime(device="cpu", precision=name)).dtype == getattr(torch, name)
    show_gpu(monkeypatch, "T4")
    device = configure_torch(Runtime(device="cuda", precision=name))
    assert device.dtype == getattr(torch, name)


@pytest.mark.parametrize("native", [False, True])
def test_auto_on_cpu_depends_on_its_instructions(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "native_bfloat16", lambda: native)
    for depthwise in (False, True):
        device = configure_torch(Runtime(device="cpu", precision="auto"), depthwise=depthwise)
        fast = native and not depthwise
        assert device == Device(torch.device("cpu"), torch.bfloat16 if fast else torch.float32)


def test_float32_is_not_rounded_to_tf32() -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    configure_torch(Runtime(device="cpu", precision="auto"))
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_float16_without_a_gpu_is_refused_in_one_line(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RepriseError, match="float16, which needs a GPU.*use auto") as error:
        configure_torch(Runtime(device=device, precision="float16"))
    assert "\n" not in str(error.value)


def test_float16_scales_the_loss_and_nothing_else_does() -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        scaler = Device(torch.device("cpu"), dtype).scaler()
        assert scaler.is_enabled() == (dtype == torch.float16)
        loss = torch.ones(())
        assert (scaler.scale(loss) is loss) == (dtype != torch.float16)


@pytest.mark.parametrize("value", ["", ":0:0", ":4096:2"])
def test_a_nondeterministic_setting_of_cublas_is_refused(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(runtime.CUBLAS, value)
    configure_torch(Runtime(device="cpu"))
    show_gpu(monkeypatch, "A100")
    with pytest.raises(RepriseError, match="CUBLAS_WORKSPACE_CONFIG is .*unset it") as error:
        configure_torch(Runtime(device="cuda"))
    assert "\n" not in str(error.value)


PRINT_AT_START = """
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
    killable_job.write_inputs(tmp_path)
    params = tmp_path / "params.yaml"
    params.write_text(params.read_text().replace("device: cpu", "device: cuda"))
    jobs = killable_job.JOBS | {"classify": ["classify", "--task", "baseline", "--run", "cnn"]}
    env = {name: value for name, value in os.environ.items() if name != runtime.CUBLAS}
    processes = []
    for job in ("pretrain", "full", "segment", "classify"):
        script, *options = jobs[job]
        data = tmp_path / ("maps" if script == "segment" else "classes")
        options += ["--seed", "0", "--data", str(data), "--out", str(tmp_path / job)]
        options += ["--params", str(params)]
        command = [sys.executable, "-c", PRINT_AT_START, f"workflow/scripts/{script}.py", *options]
        env |= {"PYTHONPATH": str(ROOT / "src")}
        processes.append(
            subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
        )
    for process in processes:
        output, _ = process.communicate()
        assert (process.returncode, output) == (7, ":4096:8\n"), process.args


@pytest.mark.parametrize(
    ("words", "capability"),
    [
        ("vendor_id : AuthenticAMD flags : fpu avx2 avx512f avx512_bf16", "AMD AVX512 avx512_bf16"),
        (
            "vendor_id : GenuineIntel flags : amx_bf16 avx512_fp16 avx512_bf16",
            "Intel AVX512 avx512_bf16 avx512_fp16 amx_bf16",
        ),
        ("vendor_id : AuthenticAMD flags : fpu avx2", "AMD AVX512"),
        ("", "arm64 AVX512"),  # no /proc/cpuinfo
    ],
)
def test_a_kind_of_cpu_is_its_vendor_and_instructions(
    words: str, capability: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "cpu_words", words.split)
    monkeypatch.setattr(runtime.platform, "machine", lambda: "arm64")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert runtime.cpu_capability() == capability
    assert runtime.native_bfloat16() == ("bf16" in words)


def test_a_machine_is_five_facts_and_no_name_of_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = configure_torch(Runtime(device="cpu", precision="float32", threads=1)).machine()
    assert machine == {
        "cpu_capability": runtime.cpu_capability(),
        "device": "cpu",
        "precision": "float32",
        "torch": torch.__version__,
        "threads": 1,
    }
    show_gpu(monkeypatch, "A100")
    device = configure_torch(Runtime(device="cuda", precision="auto"))
    assert device.machine() == machine | {"device": "A100", "precision": "bfloat16"}
