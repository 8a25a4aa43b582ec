"""What SLURM says before a run and after a failed one, so that its refusals are one line.

Standard library only: the Snakefile imports this module.
"""

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reprise.errors import RepriseError

LOGS = Path(".snakemake/slurm_logs")
SECONDS = 30  # that the scheduler may take to answer
# what a shell or Python says on a node that lacks the clone or its environment
NO_PROGRAM = re.compile(r"(\S+): (?:not found|No such file or directory|Permission denied)$", re.M)
NO_MODULE = re.compile(r"No module named '?(\w+)'?", re.M)
# what SLURM's daemon says of a job that it kills, and the resource that was too small
KILLED = {
    "mem_mb": re.compile(r"exceeded memory limit|Exceeded job memory limit|oom.kill", re.I),
    "runtime": re.compile(r"DUE TO TIME LIMIT"),
}


def check(
    defaults: Mapping[str, Any], overwritten: Mapping[str, Mapping[str, Any]], gpu: int
) -> None:
    """Raise RepriseError if the scheduler is not there, or lacks what the jobs request.

    defaults, overwritten: the options --default-resources and --set-resources. gpu: what a training
    requests by params.yaml.
    """
    nodes = _partitions()
    blocks = [defaults, *overwritten.values()]
    for name in [name for block in blocks for name in _names(block.get("slurm_partition"))]:
        if name not in nodes:
            raise RepriseError(
                f"SLURM: partition '{name}' does not exist; choose from {', '.join(sorted(nodes))}"
            )
    gpus = gpu or any(str(block.get("gpu", 0)) not in ("0", "") for block in blocks)
    if gpus and not any("gpu" in gres for gres in nodes.values()):
        raise RepriseError(
            "SLURM: a GPU is requested, but no node has one (`sinfo -o %G`); set runtime.device: "
            "cpu, or take the GPUs out of the profile"
        )


def _names(value: Any) -> list[str]:
    """The partitions of a value such as "day,night"; none of None."""
    return [name for name in str(value or "").strip("'\"").split(",") if name]


def _partitions() -> dict[str, str]:
    """The generic resources (GRES) of each partition. Raises RepriseError if there is no answer."""
    for program in ("sbatch", "sinfo"):
        if shutil.which(program) is None:
            raise RepriseError(
                f"SLURM: no {program} here; run on a login node of the cluster, or without "
                "--profile profiles/slurm"
            )
    command = ["sinfo", "--noheader", "--all", "--format=%R %G"]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise RepriseError(
            f"SLURM: no answer in {SECONDS} s; ask `sinfo`, then try again"
        ) from None
    if ended.returncode:
        lines = ended.stderr.strip().splitlines()
        raise RepriseError(f"SLURM: {lines[-1] if lines else 'sinfo failed'}; then try again")
    resources: dict[str, str] = {}
    for line in ended.stdout.splitlines():
        name, _, gres = line.partition(" ")
        resources[name] = resources.get(name, "") + gres
    return resources


def explanation(since: float) -> str | None:
    """One line on why a job failed on its node, as far as its log says; since: the logs' mtime.

    It found no interpreter or package there, or its last attempt was killed for memory or time.
    """
    for path in _recent(LOGS.rglob("*.log"), since):
        text = path.read_text(encoding="utf-8", errors="replace")
        if match := NO_PROGRAM.search(text) or NO_MODULE.search(text):
            return (
                f"SLURM: a node has no {match[1]}; the clone and its .venv must be in a folder "
                f"that all nodes share, under the same path ({path})"
            )
    for path in reversed(_recent(LOGS.rglob("*.log"), since)):
        text = path.read_text(encoding="utf-8", errors="replace")
        for name, pattern in KILLED.items():
            if pattern.search(text):
                job = "/".join(path.relative_to(LOGS).parts[:-1])
                return (
                    f"SLURM: {job} was killed for {'memory' if name == 'mem_mb' else 'time'}; "
                    f"raise {name} of its rule under set-resources in the profile ({path})"
                )
    return None


def _recent(paths: Iterable[Path], since: float) -> list[Path]:
    times = {path: path.stat().st_mtime for path in paths}
    return sorted((path for path in times if times[path] >= since), key=lambda p: (times[p], p))
