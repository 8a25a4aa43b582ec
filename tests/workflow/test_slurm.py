"""Jobs on a SLURM of one node give the same bytes as here, also after the node and a job died.

`make slurm` installs the plugins, and Debian's slurm-wlm and munge have the daemons; .ci/run does
both, and there a skip is a failure.
"""

import importlib.util
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml
from support import slurm

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


REASON = reason_to_skip()
if REASON and os.environ.get("CI") == "true":
    pytest.fail(f"CI has to run these tests: {REASON}", pytrace=False)
pytestmark = [
    pytest.mark.workflow,
    pytest.mark.slow,
    pytest.mark.skipif(REASON is not None, reason=str(REASON)),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Cluster]:
    with slurm.cluster(tmp_path_factory.mktemp("slurm") / "cluster") as one:
        yield one


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests of smoke as this machine makes it without SLURM."""
    folder = clone(ROOT, tmp_path_factory.mktemp("local") / "clone", "smoke")
    build(folder, "snakemake")
    return digests(folder / "results")


def command(*options: str) -> list[str]:
    return ["snakemake", "--profile", "profiles/slurm", *QUICK, *options]


@contextmanager
def started(folder: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """A Snakemake that submits jobs while the test does something else."""
    with (folder / "output").open("w") as stream, subprocess.Popen(
        command(*options), cwd=folder, text=True, start_new_session=True,
        env=environment(folder, REPRISE_CHECKPOINT_SECONDS="1"),
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
    build(folder, "snakemake", until="prepare")
    asked = plan(folder, "--set-resources", "pretrain:gpu=1")
    assert asked["pretrain"]["gpu"] == "1" and asked["classify"]["gpu"] == "0"
    assert plan(folder)["pretrain"]["gpu"] == "0"
    edit(folder, "device: cpu", "device: cuda")
    assert plan(folder)["pretrain"]["gpu"] == "1"


def plan(folder: Path, *options: str) -> dict[str, dict[str, str]]:
    """The resources of one job of each rule in a dry run on the cluster."""
    output = call(folder, *command("--dryrun", *options)).stdout
    found = re.findall(r"rule (\w+):\n(?:    .*\n)*?    resources: (.*)\n", output)
    return {rule: dict(pair.split("=", 1) for pair in text.split(", ")) for rule, text in found}


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "params.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def last_line(output: str) -> str:
    return [line for line in output.splitlines() if line.startswith("reprise: ")][-1]


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
