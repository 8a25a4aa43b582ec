"""Jobs on a SLURM of one node give the same bytes as here, also after the node and a job died.

`make slurm` installs the plugins, and Debian's slurm-wlm and munge have the daemons; .ci/run does
both, and there a skip is a failure.
"""

import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml
from support import slurm
from support.smoke import smoke_build

from reprise.engines.verify import build, clone, digests, environment, first_difference

ROOT = Path(__file__).parents[2]
PATIENCE = 1500  # seconds that smoke may take as 20 submissions on a busy machine
# shorter pauses than a cluster of many nodes would like
QUICK = ["--slurm-init-seconds-before-status-checks", "1"]
QUICK += ["--seconds-between-status-checks", "1", "--slurm-no-account"]


def reason_to_skip() -> str | None:
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        return "needs the packages of `make slurm`"
    return slurm.missing()


pytestmark = [
    pytest.mark.workflow,
    pytest.mark.slow,
    pytest.mark.needs(reason_to_skip()),
]
# Python imports it at every start. After its first checkpoint a fine-tuning needs as many MiB as
# the file `needs` says. The first attempt of either gets no further: a segmentation is stopped, as
# by a disk that hangs
GREEDY = """\
import os, signal, sys, threading, time
from pathlib import Path

def greedy(stage, folder):
    while not list(folder.glob(".*.checkpoint")):
        time.sleep(0.001)
    tried = Path(f"tried_{stage}")
    again = tried.exists()
    tried.touch()
    block = b"x" * (int(Path("needs").read_text()) << 20) if stage == "finetune" else b""
    if not again and stage == "segment":
        os.kill(os.getpid(), signal.SIGSTOP)
    while not again:  # copies keep the training from going on
        block = block[1:] + b"x"
    time.sleep(600)

words = sys.orig_argv
stage = Path(words[1]).stem if len(words) > 1 else ""
if stage in ("finetune", "segment"):
    folder = Path(words[words.index("--out") + 1]).parent
    threading.Thread(target=greedy, args=(stage, folder), daemon=True).start()
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Cluster]:
    with slurm.cluster(tmp_path_factory.mktemp("slurm") / "cluster") as one:
        yield one


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests of smoke as this machine makes it without SLURM."""
    return digests(smoke_build(tmp_path_factory) / "results")


def command(*options: str) -> list[str]:
    return ["snakemake", "--profile", "profiles/slurm", *QUICK, *options]


@contextmanager
def started(
    folder: Path, *options: str, checkpoint_seconds: int = 1
) -> Iterator["subprocess.Popen[str]"]:
    """A Snakemake that submits jobs while the test does something else."""
    with (folder / "output").open("w") as stream, subprocess.Popen(
        command(*options), cwd=folder, text=True, start_new_session=True,
        env=environment(folder, REPRISE_CHECKPOINT_SECONDS=str(checkpoint_seconds)),
        stdout=stream, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def call(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        words, cwd=folder, env=environment(folder), text=True, check=False, timeout=PATIENCE,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def wait_until(condition: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)


def test_smoke_on_a_cluster_survives_the_loss_of_its_node_and_of_a_job(
    cluster: slurm.Cluster, local: dict[str, str], tmp_path: Path
) -> None:
    folder = clone(ROOT, tmp_path / "clone", "smoke")

    def checkpoints() -> set[tuple[Path, int]]:
        found = (folder / "results").glob("*/*/*/.*.checkpoint")
        return {(path, path.stat().st_mtime_ns) for path in found}

    with started(folder) as process:
        wait_until(checkpoints, process)
        before = checkpoints()
        cluster.kill_node()
        cluster.start_node()
        wait_until(lambda: checkpoints() - before, process)
        # one job alone, as by a lack of memory
        trainings = [p for p in psutil.process_iter(["cmdline"]) if is_training(p, folder)]
        trainings[0].kill()
        assert process.wait(PATIENCE) == 0, (folder / "output").read_text()[-3000:]
    output = (folder / "output").read_text()
    assert "Trying to restart" in output
    assert first_difference(digests(folder / "results"), local) is None
    logs = [path.read_text() for path in (folder / "logs").rglob("*.log")]
    assert any("resuming from step" in text for text in logs)
    # all datasets are one submission; so are all tables, and all figures
    names = submissions(output)
    assert names[0] == "group_datasets_prepare" and names[-1] == "rule_report"
    groups = {name.split("_")[1] for name in names if name.startswith("group_")}
    assert groups == {"datasets", "tables", "figures"}
    assert "Nothing to be done" in call(folder, "snakemake", "-n").stdout
    assert "up to date" in call(folder, "dvc", "status").stdout


@pytest.mark.exhaustive  # four minutes, most of them until SLURM looks at memory and time
def test_a_job_killed_for_memory_or_time_goes_on_with_more(
    cluster: slurm.Cluster, local: dict[str, str], tmp_path: Path
) -> None:
    folder = clone(ROOT, tmp_path / "clone", "smoke")
    drop_messages(folder)
    build(folder, "snakemake", until="prepare")
    reserved = plan(folder, "--set-resources", "finetune:gpu=1")
    (folder / "needs").write_text(str(int(1.1 * int(reserved["finetune"]["mem_mb"]))))
    (folder / "src" / "sitecustomize.py").write_text(GREEDY)
    made = ["finetune/earth/A/0/model.safetensors", "segment/baseline/fcn32s/0/model.safetensors"]
    options = [*(f"results/{file}" for file in made), "--set-resources", "finetune:gpu=1"]
    with started(folder, *options, checkpoint_seconds=0) as process:
        wait_until((folder / "tried_segment").exists, process)
        (job,) = cluster.queue("segment")
        slurm.run("scontrol", "update", f"JobId={job}", "TimeLimit=1")
        assert "gres:gpu:1" in slurm.run("scontrol", "show", "job")
        assert process.wait(PATIENCE) == 0, (folder / "output").read_text()[-3000:]
    for file in made:
        assert digests(folder / "results")[file] == local[file]
        log = folder / "logs" / Path(file).parent.with_suffix(".log")
        assert "resuming from step" in log.read_text()
    attempts = resources_of((folder / "output").read_text())
    for rule, name in (("finetune", "mem_mb"), ("segment", "runtime")):
        first = int(reserved[rule][name])
        assert {int(attempt[name]) for attempt in attempts[rule]} == {first, 2 * first}
    logs = [path.read_text() for path in (folder / ".snakemake/slurm_logs").rglob("*.log")]
    assert len([text for text in logs if "Exceeded job memory limit" in text]) == 1
    assert "SLURM status is: 'TIMEOUT'" in (folder / "output").read_text()


def is_training(process: psutil.Process, folder: Path) -> bool:
    line = " ".join(process.info["cmdline"] or [])
    try:
        return line.startswith("python workflow/scripts/") and process.cwd() == str(folder)
    except psutil.Error:
        return False


def submissions(output: str) -> list[str]:
    """The submissions in the order in which they were made, by the folder of their log."""
    return re.findall(r"SLURM jobid \d+ \(log: \S*/slurm_logs/(\S+)/\d+\.log", output)


def test_a_job_asks_for_what_its_recipe_needs(cluster: slurm.Cluster, tmp_path: Path) -> None:
    """Held in the queue, jobs show their memory, time and GPUs; GPUs are not those of this node."""
    folder = clone(ROOT, tmp_path / "clone", "smoke")
    drop_messages(folder)
    build(folder, "snakemake", until="prepare")
    asked = plan(folder, "--set-resources", "pretrain:gpu=1")
    assert asked["pretrain"]["gpu"] == "1" and asked["classify"]["gpu"] == "0"
    assert plan(folder)["pretrain"]["gpu"] == "0"
    edit(folder, "device: cpu", "device: cuda")
    assert plan(folder)["pretrain"]["gpu"] == "1"


def plan(folder: Path, *options: str) -> dict[str, dict[str, str]]:
    """The resources of one job of each rule in a dry run on the cluster."""
    found = resources_of(call(folder, *command("--dryrun", *options)).stdout)
    return {rule: attempts[-1] for rule, attempts in found.items()}


def drop_messages(folder: Path) -> None:
    """Of a job whose rule has a message Snakemake prints that, and not its resources."""
    for path in (folder / "workflow" / "rules").glob("*.smk"):
        path.write_text(re.sub(r"^    message:\n        .*\n", "", path.read_text(), flags=re.M))


def resources_of(output: str) -> dict[str, list[dict[str, str]]]:
    """The resources of the jobs of each rule, in the order in which Snakemake names them."""
    found: dict[str, list[dict[str, str]]] = {}
    for rule, text in re.findall(r"rule (\w+):\n(?:    .*\n)*?    resources: (.*)\n", output):
        values = dict(pair.split("=", 1) for pair in text.split(", "))
        found.setdefault(rule, []).append(values)
    return found


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "params.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def last_line(output: str) -> str:
    return [line for line in output.splitlines() if line.startswith("reprise: ")][-1]


def test_the_gpu_check_is_a_job_too(cluster: slurm.Cluster, tmp_path: Path) -> None:
    """The line of docs/cluster.md, without a GPU's work and with what this node has."""
    folder = clone(ROOT, tmp_path / "clone", "smoke")
    (folder / ".venv").symlink_to(sys.prefix)
    text = (ROOT / "docs" / "cluster.md").read_text()
    (line,) = re.findall(r"\$ (sbatch .*\\\n.*gpu_check\.sh\")", text)
    for size in ("cpus-per-task", "mem"):
        line = re.sub(rf"--{size}=\w+", f"--{size}=1{'G' * (size == 'mem')}", line)
    line = line.replace("gpu_check.sh", "gpu_check.sh --cpu --only environment")
    line = line.replace("\\\n", " ")
    words = shlex.split(line.replace("sbatch", "sbatch --wait --output=job.out --parsable"))
    ended = call(folder, *words)
    output = folder / "job.out"
    assert ended.returncode == 0, output.read_text() if output.exists() else ended.stdout
    described = slurm.run("scontrol", "show", "job", ended.stdout.split()[0])
    assert "TresPerJob=gres:gpu:1" in described, described
    parts = json.loads((folder / "logs" / "gpu" / "gpu-check.json").read_text())["parts"]
    assert {name: part["status"] for name, part in parts.items()} == {"environment": "done"}


def test_a_partition_that_does_not_exist_is_named_and_nothing_runs(
    cluster: slurm.Cluster, tmp_path: Path
) -> None:
    folder = clone(ROOT, tmp_path / "clone", "smoke")
    ended = call(folder, *command("--default-resources", "slurm_partition=night"))
    assert ended.returncode == 1
    assert last_line(ended.stdout) == (
        "reprise: SLURM: partition 'night' does not exist; choose from main"
    )
    assert not list((folder / "results").glob("*/*/*")) and "Traceback" not in ended.stdout


def test_the_profile_is_that_of_the_documents() -> None:
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    assert profile["executor"] == "slurm" and "resources" not in profile
    text = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    rules = set(re.findall(r"^(?:use )?rule (?:\w+ as )?(\w+)(?: with)?:", text, re.M))
    alone = {"pretrain", "finetune", "classify", "segment", "segment_anything", "report", "code"}
    assert set(profile["groups"]) == rules - alone - {"all"}
    # no rule of a group reads an output of another, as it is with these by their names
    for rule, group in profile["groups"].items():
        kind = "figures" if rule.startswith("plot_") else "tables"
        assert group == ("datasets" if rule == "prepare" else kind)
    pinned = (ROOT / "requirements/slurm.txt").read_text()
    assert re.search(r"^snakemake-executor-plugin-slurm==\d", pinned, re.M)
