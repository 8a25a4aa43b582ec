"""A SLURM of one node on loopback, as root, without cgroups, systemd or accounting.

The scheduler is told of two GPUs, which are not there. It adds up the memory of a job's processes
every second, and kills a job that has more than it reserved, as cgroups do.

Debian's packages slurm-wlm and munge have its programs. SLURM's commands in a job find their
configuration only in /etc/slurm, so that is where the file is, as a link, while the cluster runs.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scontrol", "scancel")
CONFIGURATION = Path("/etc/slurm/slurm.conf")
GPUS = CONFIGURATION.with_name("gres.conf")
FREE_MEMORY = 2000  # MB that jobs leave to the tests themselves
SECONDS = 60  # that a daemon may take to start or to end

TEMPLATE = """\
ClusterName=reprise
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
SlurmdTimeout=10
KillWait=5
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=5
MinJobAge=300
SwitchType=switch/none
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why no cluster can start here; None if one can."""
    lacking = [name for name in PROGRAMS if _program(name) is None]
    if lacking:
        return f"needs Debian's slurm-wlm and munge ({lacking[0]} is not there)"
    if os.geteuid() != 0:
        return "needs root: slurmd runs jobs, and its configuration is in /etc/slurm"
    if CONFIGURATION.exists():
        return f"{CONFIGURATION} is that of another cluster"
    return None


class Cluster:
    """The daemons of a cluster; `start` them before use, `stop` them after it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = socket.gethostname().split(".")[0]
        memory = psutil.virtual_memory().available // 2**20 - FREE_MEMORY
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True)
        text = TEMPLATE.format(
            folder=folder, host=self.host, ports=free_ports(2), memory=memory,
            cpus=os.cpu_count() or 1,
        )  # fmt: skip
        (folder / "slurm.conf").write_text(text)
        devices = [folder / f"gpu{number}" for number in range(2)]
        for device in devices:
            device.touch()
        (folder / "gres.conf").write_text(f"Name=gpu File={','.join(map(str, devices))}\n")
        key = folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        folder.chmod(0o755)  # munged refuses a folder in which others may write

    def start(self) -> None:
        """Start all daemons, and wait for the node."""
        options = [f"--key-file={self.folder}/munge.key", f"--socket={self.folder}/munge.socket"]
        options += [f"--{name}-file={self.folder}/munged.{name}" for name in ("pid", "log", "seed")]
        run("munged", "--force", *options)
        run("slurmctld")
        self.start_node()

    def start_node(self) -> None:
        """Start slurmd as after a boot, which ends what ran before, and wait until jobs can run."""
        run("slurmd", "-b", "-N", self.host)
        run("scontrol", "update", f"NodeName={self.host}", "State=RESUME", check=False)
        wait_for(lambda: self.node_state() in ("idle", "mixed", "allocated"), "the node")

    def kill_node(self) -> None:
        """Kill slurmd and the processes of all jobs, as the failure of a machine does."""
        process = psutil.Process(int((self.folder / "slurmd.pid").read_text()))
        steps = [p for p in psutil.process_iter(["cmdline"]) if self._is_step(p)]
        victims = [child for step in steps for child in step.children(recursive=True)]
        for victim in [process, *steps, *victims]:
            with suppress(psutil.NoSuchProcess):
                victim.send_signal(signal.SIGKILL)
        # in memory on a real node; slurmd would take their jobs for running, for ten minutes
        shutil.rmtree(self.folder / "spool")
        (self.folder / "spool").mkdir()

    @staticmethod
    def _is_step(process: psutil.Process) -> bool:
        return (process.info["cmdline"] or [""])[0].startswith("slurmstepd: ")

    def node_state(self) -> str:
        """As sinfo shows it, such as idle."""
        return run("sinfo", "--noheader", "--format=%T").strip().rstrip("*")

    def queue(self, rule: str = "") -> list[str]:
        """The ids of the jobs that wait or run; of a rule, if it is given."""
        lines = run("squeue", "--noheader", "--states=PENDING,RUNNING", "--format=%A %k")
        return [line.split()[0] for line in lines.splitlines() if f"rule_{rule}" in line]

    def stop(self) -> None:
        """End all jobs and daemons."""
        try:
            for job in self.queue():
                run("scancel", job, check=False)
            wait_for(lambda: not self.queue(), "the jobs to end")
        finally:
            for name in ("slurmd", "slurmctld", "munged"):
                with suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
                    process = psutil.Process(int((self.folder / f"{name}.pid").read_text()))
                    process.terminate()
                    psutil.wait_procs([process], SECONDS)
            CONFIGURATION.unlink()
            GPUS.unlink()


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster that runs during the block."""
    one = Cluster(folder)
    CONFIGURATION.parent.mkdir(exist_ok=True)
    for path in (CONFIGURATION, GPUS):  # an error if another cluster is here
        path.symlink_to(folder / path.name)
    try:
        one.start()
        yield one
    finally:
        one.stop()


def run(*words: str, check: bool = True) -> str:
    """What a program of SLURM prints."""
    command = [_program(words[0]) or words[0], *words[1:]]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0 or not check, f"{' '.join(words)}: {ended.stderr}"
    return ended.stdout


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/bin")


def free_ports(count: int) -> list[int]:
    """Ports on loopback on which nobody listens."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds; an AssertionError after SECONDS."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, f"waited {SECONDS} s for {what}"
        time.sleep(0.2)
