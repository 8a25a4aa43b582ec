"""`runtime.numerics: portable`: the bytes of every operation are the same on every processor."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from portable import operations
from support.prestarted import ROOT
from support.small_datasets import dark_and_bright
from support.ssl_methods import METHODS, pretrained
from support.training import STAGES, datasets_of, no_checkpoint
from torch.utils._python_dispatch import TorchDispatchMode

from reprise import numerics
from reprise.engines.preset import render
from reprise.jobs import tasks
from reprise.params.load import parse
from reprise.params.reader import parse_yaml
from reprise.training.networks import _network

PROGRAM = Path(operations.__file__)
DIGESTS = PROGRAM.with_name("digests.csv").read_text().splitlines()
QEMU = shutil.which("qemu-x86_64")
# two vendors with other sizes of caches, and one that has fewer instructions than the first
CPUS = ("Haswell", "EPYC-Rome", "Skylake-Client")
AVX512 = "avx512f" in Path("/proc/cpuinfo").read_text().split()
# Operations that move data, compare, or round once an element as IEEE 754 demands.
EXACT = {
    "_unsafe_view", "alias", "all", "bitwise_or", "constant_pad_nd", "diagonal",
    "diagonal_backward", "hardswish_", "hardtanh_", "hardtanh_backward", "index", "index_copy_",
    "lt", "max", "ne", "new_empty", "new_empty_strided", "promote_types", "reciprocal", "relu_",
    "set_", "silu_", "slice_backward", "split", "topk",
    # by which the device meta, which computes nothing, resizes images
    "_unsafe_index", "_unsafe_index_put",
}  # fmt: skip
# not by torch
OTHERS = ("statistics", "embeddings", "pictures")
EMULATED = [name for name in operations.OPERATIONS if name != "masked_gathers"]


def run(*command: str, **variables: str) -> list[str]:
    """The lines of a command, in a folder without params.yaml."""
    ended = subprocess.run(
        command, text=True, check=True, cwd=PROGRAM.parent, stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "MPLBACKEND": "agg"} | variables,
    )  # fmt: skip
    return ended.stdout.splitlines()


def test_this_processor_gives_the_bytes_of_all_others_whatever_is_set_before() -> None:
    """Some systems preset OPENBLAS_CORETYPE, or a number of threads."""
    preset = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "3")
    preset |= {"OPENBLAS_CORETYPE": "SkylakeX", "MKL_CBWR": "AUTO", numerics.VARIABLE: "portable"}
    assert run(sys.executable, str(PROGRAM), **preset) == DIGESTS


@pytest.mark.exhaustive
@pytest.mark.needs(None if QEMU else "Debian's package qemu-user is not installed")
@pytest.mark.parametrize("cpu", CPUS)
def test_emulated_processors_give_the_same_bytes(cpu: str) -> None:
    command = (str(QEMU), "-cpu", cpu, sys.executable, str(PROGRAM), *EMULATED)
    expected = [line for line in DIGESTS if line.split()[0] in EMULATED]
    assert run(*command, **{numerics.VARIABLE: "portable"}) == expected


@pytest.mark.exhaustive
@pytest.mark.skipif(not AVX512, reason="this CPU has nothing above AVX2 to switch off")
@pytest.mark.parametrize(
    "name",
    # without ATEN_CPU_CAPABILITY, torch 2.15 computes these operations with AVX2 as well
    ["ONEDNN_MAX_CPU_ISA", "MKL_CBWR", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES"],
)
def test_each_variable_is_needed(name: str) -> None:
    kept = {key: value for key, value in numerics.PORTABLE_VARIABLES.items() if key != name}
    code = (
        "import reprise, runpy, sys; sys.argv[1:] = []; runpy.run_path({!r}, run_name='__main__')"
    )
    assert run(sys.executable, "-c", code.format(str(PROGRAM)), **kept) != DIGESTS


class Names(TorchDispatchMode):
    """Collects the names of the operations that torch runs."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.names.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore")
def test_the_operations_are_those_of_the_networks_and_methods_of_the_presets(
    tmp_path: Path,
) -> None:
    with Names() as covered:
        for name in operations.OPERATIONS.keys() - {*OTHERS}:
            list(operations.OPERATIONS[name]())
    with Names() as used:
        train_networks("earth")
        train_networks("course")
        for method in METHODS:
            pretrained(dark_and_bright(tmp_path / method), no_checkpoint(), method)
    assert used.names - covered.names <= EXACT


def train_networks(preset: str) -> None:
    """A step of each network of a preset, on the device meta."""
    params = parse(parse_yaml(render(preset, ROOT / "presets")))
    infos, seen = datasets_of(params), set()
    for stage, _, task in tasks(params, *STAGES[:4]):
        for name in task.runs:
            with torch.device("meta"):
                model, network, size = _network(stage, task, name, infos[task.data])
                if stage != "pretrain" and (stage, model) not in seen:
                    network.train()(torch.zeros(4, 3, *size)).sum().backward()
            seen.add((stage, model))
