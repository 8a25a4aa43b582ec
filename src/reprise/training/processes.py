"""Several processes of one machine for one training, each with a copy of the network.

The process that was started is the first. It starts the others with its own command and writes the
log, the checkpoints, the outputs and the record. All compute the same, except what `gather` and
`concatenate` divide among them. They exchange bytes and add nothing up on the way, so the order of
additions does not depend on their number. On CPU they use gloo, on GPUs NCCL, a GPU each.
"""

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from reprise.errors import RepriseError

VARIABLE = "REPRISE_PROCESS"  # of a process that another one started: its rank, and a port
HOST, LOOPBACK = "127.0.0.1", "lo"
TIMEOUT = timedelta(days=1)  # the first process watches the others itself
PATIENCE = 10.0  # seconds in which the first process sees by itself that another one ended
Rows = NDArray[np.int64]


class Processes:
    """One process among `count`; its rank is 0 to count - 1. By default it is alone."""

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count

    def gather(self, values: Tensor) -> Tensor:
        """The tensors of all processes, equal in shape and dtype, by rank: (count, ...)."""
        if self.count == 1:
            return values[None]
        parts = [torch.empty_like(values) for _ in range(self.count)]
        try:
            dist.all_gather(parts, values.contiguous())
        except RuntimeError as error:
            raise self.lost_process() or error from None
        return torch.stack(parts)

    def concatenate(self, compute: Callable[[Rows], Tensor], batches: Sequence[Rows]) -> Tensor:
        """`compute` of each batch, concatenated; each process computes every `count`-th batch.

        All batches but the last have the same size. Few batches are computed by all processes.
        """
        if self.count == 1 or len(batches) < self.count:
            return torch.cat([compute(batch) for batch in batches])
        computed = [compute(batch) for batch in batches[self.rank :: self.count]]
        rounds, full = -(-len(batches) // self.count), len(batches[0])
        padded = computed[0].new_zeros(rounds, full, *computed[0].shape[1:])
        for outputs, place in zip(computed, padded, strict=False):
            place[: len(outputs)] = outputs
        ordered = self.gather(padded).transpose(0, 1).flatten(0, 1)
        return torch.cat(
            [outputs[: len(batch)] for outputs, batch in zip(ordered, batches, strict=False)]
        )

    def require_same(self, number: int, device: torch.device) -> None:
        """Wait for all processes. Raises RuntimeError if the number is not the same in all."""
        numbers = self.gather(torch.tensor(number, device=device)).tolist()
        if len(set(numbers)) > 1:
            raise RuntimeError(f"the processes are at different steps: {numbers}")

    def finish(self) -> bool:
        """End the exchange; whether this process is the one that writes the outputs."""
        if self.count > 1:
            dist.destroy_process_group()
        return self.rank == 0

    def lost_process(self) -> RepriseError | None:
        """The error that names a process that ended too early; None if there is none."""
        return None


class FirstProcess(Processes):
    """The first process, which starts the others, watches them, and ends with them."""

    def __init__(self, count: int, port: int) -> None:
        super().__init__(0, count)
        self.finished = False
        self.lost = ""  # why the training cannot go on
        self.noticed = threading.Event()
        self.others = [_start(rank, port) for rank in range(1, count)]
        self.watchers = [
            threading.Thread(target=self._watch, args=(rank, other), daemon=True)
            for rank, other in enumerate(self.others, 1)
        ]
        for watcher in self.watchers:
            watcher.start()

    def _watch(self, rank: int, other: "subprocess.Popen[str]") -> None:
        """Wait for the end of another process; if it is too early, end all."""
        last = ""
        for line in other.stderr or ():
            last = line.strip().removeprefix("reprise: ") or last
        status = other.wait()
        if status == 0:
            return
        if not self.lost:
            end = f"was killed (signal {-status})" if status < 0 else f"failed: {last}"
            self.lost = (
                f"process {rank + 1} of {self.count} {end}; run the same command again, or set "
                "runtime.processes: 1"
            )
            self.noticed.set()
        for process in self.others:
            process.kill()
        time.sleep(PATIENCE)
        if not self.finished:  # the exchange does not end by itself, as that of NCCL
            logging.error("reprise: %s", self.lost)
            os._exit(1)

    def lost_process(self) -> RepriseError | None:
        """See Processes."""
        self.noticed.wait(PATIENCE)
        return RepriseError(self.lost) if self.lost else None

    def finish(self) -> bool:
        """See Processes; the others have ended then."""
        super().finish()
        self.finished = True
        for watcher in self.watchers:
            watcher.join()
        return True


def join(count: int, device: torch.device) -> Processes:
    """Start the other processes of a training, or be one of them; returns when all are there.

    Raises RepriseError if there are fewer GPUs than processes.
    """
    if count == 1:
        return Processes()
    gpus = torch.cuda.device_count() if device.type == "cuda" else count
    if gpus < count:
        raise RepriseError(
            f"params.yaml: runtime.processes is {count}, but GPUs visible: {gpus}; set it to "
            f"{gpus}, or set runtime.device: cpu"
        )
    if VARIABLE in os.environ:
        rank, port = map(int, os.environ[VARIABLE].split())
        threading.Thread(target=_end_with_the_first, daemon=True).start()
        store = _store(count, port)
        processes = Processes(rank, count)
    else:
        store = _store(count)
        processes = FirstProcess(count, store.port)
    if device.type == "cuda":
        torch.cuda.set_device(processes.rank)
    connect(processes, device, store)
    return processes


def connect(processes: Processes, device: torch.device, store: Any) -> None:
    """Wait until all processes are there. Raises RepriseError if one of them ends before.

    store: of torch.distributed, where they find each other.
    """
    if LOOPBACK in (name for _, name in socket.if_nameindex()):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK)
    try:
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo", store=store, rank=processes.rank,
            world_size=processes.count, timeout=TIMEOUT,
        )  # fmt: skip
    except RuntimeError as error:
        raise processes.lost_process() or error from None


def _store(count: int, port: int = 0) -> Any:
    """Where the processes find each other: a server on a free port, or a client of it."""
    return dist.TCPStore(  # type: ignore[attr-defined]
        HOST, port, count, is_master=not port, timeout=TIMEOUT, wait_for_workers=False
    )


def _start(rank: int, port: int) -> "subprocess.Popen[str]":
    """Start this program again as another process; its log is that of the first process.

    It ends when its standard input does, that is, when the first process ends in whatever way.
    """
    return subprocess.Popen(
        [sys.executable, *sys.argv], env=os.environ | {VARIABLE: f"{rank} {port}"},
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def _end_with_the_first() -> None:
    os.read(0, 1)
    os._exit(1)
