"""Commands that start at once: each is forked from a process that has imported the packages.

A test starts Snakemake, DVC and the scripts dozens of times, and most of that time is the import of
packages. `commands()` is a folder with `python`, `snakemake` and `dvc` for the front of PATH, which
run what the real ones would: same arguments, variables, folder and streams, other process. Only
packages have been imported before, nothing of Reprise, which each command imports from its
PYTHONPATH. They lack PYTHONHASHSEED, sitecustomize, limits of the shell, the affinity to CPUs, and
signals other than Ctrl-C, SIGTERM and SIGKILL: a test of these, or of kills, starts the real ones.
Another user, LD_PRELOAD and an option of the interpreter get the real ones, too.

As a script it is the server: it forks for each client of a socket until its standard input ends.
"""

import array
import atexit
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[2]
ENGINES = {"snakemake": "snakemake.cli", "dvc": "dvc.cli"}
PACKAGES = [
    "snakemake.cli", "snakemake.api", "snakemake.report", "dvc.cli", "dvc.repo", "dvc.dependency",
    "dvc.output", "dvc.commands.repro", "dvc.commands.status", "networkx", "numpy", "scipy.stats",
    "pandas", "PIL.Image", "pydantic", "ruamel.yaml", "yaml", "threadpoolctl", "tqdm", "jinja2",
    "matplotlib.pyplot", "sklearn.decomposition", "sklearn.manifold", "safetensors.torch",
]  # fmt: skip
# what a command runs for a client: flags as few as its start takes time
CLIENT = """\
#!{python} -IS
import array, os, signal, socket, sys
name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
real = os.path.join({real!r}, name)
with socket.socket(socket.AF_UNIX) as server:
    plain = name == "python" and (not words or words[0] != "-m" and words[0][0] == "-")
    try:
        plain = plain or os.getuid() != {uid} or "LD_PRELOAD" in os.environ
        plain = plain or server.connect({address!r})
    except OSError:
        plain = True
    if plain:
        os.execv(real, [real, *words])
    import json
    call = {{"name": name, "words": words, "folder": os.getcwd(), "variables": dict(os.environ)}}
    call["ignores"] = signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # a shell's job may
    data = json.dumps(call).encode()
    streams = array.array("i", [0, 1, 2]).tobytes()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)]
    server.sendmsg([len(data).to_bytes(8, "big")], rights)
    server.sendall(data)
    child = int.from_bytes(server.recv(8), "big")
    for number in (signal.SIGINT, signal.SIGTERM)[call["ignores"]:]:
        signal.signal(number, lambda number, _: os.kill(child, number))
    status = int.from_bytes(server.recv(8), "big", signed=True)
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


@cache
def commands() -> Path:
    """The folder of the commands; their server starts with the first call in a process."""
    folder = Path(tempfile.mkdtemp(prefix="reprise-commands-"))
    address = folder / "socket"
    text = CLIENT.format(
        python=sys.executable, real=str(Path(sys.executable).parent), uid=os.getuid(),
        address=str(address),
    )  # fmt: skip
    for name in ("python", *ENGINES):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, __file__, str(address)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": "", "MPLBACKEND": "agg"},
    )  # fmt: skip
    assert server.stdout and server.stdin
    assert server.stdout.readline() == b"ready\n"
    atexit.register(server.wait)
    atexit.register(server.stdin.close)
    return folder


def path(variable: str | None = None) -> str:
    """A value of PATH, this process's by default, with the commands in front."""
    return f"{commands()}{os.pathsep}{variable or os.environ['PATH']}"


def words(command: Sequence[str]) -> list[str]:
    """A command line whose interpreter, if it names this one by its path, is that of the folder."""
    first, *others = command
    return ["python" if first == sys.executable else first, *others]


def serve(address: str) -> None:
    """Import the packages; then fork for each client until standard input ends."""
    sys.path[:] = [folder for folder in sys.path if folder != str(Path(__file__).parent)]
    for name in PACKAGES:
        importlib.import_module(name)
    compiler = runpy.run_path(str(ROOT / "src" / "reprise" / "torch_compiler.py"))
    with compiler["without_dynamo"]():
        importlib.import_module("torchvision")
    assert "reprise" not in sys.modules and threading.active_count() == 1
    gc.freeze()
    running: dict[int, tuple[int, socket.socket]] = {}  # by a descriptor of the process
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen(64)
        print("ready", flush=True)
        while True:
            clients = {client: child for child, client in running.values()}
            for ready in select.select([0, server, *running, *clients], [], [])[0]:
                if ready == 0:
                    return
                if ready is server:
                    child, client = answer(server.accept()[0], Path(address).parent)
                    running[os.pidfd_open(child)] = child, client
                elif ready in running:
                    end(*running.pop(ready))
                    os.close(ready)
                elif child := clients.pop(ready, 0):  # the client was killed
                    with suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)


def answer(client: socket.socket, folder: Path) -> tuple[int, socket.socket]:
    """Start what a client asks for in a child, and send its process id."""
    size, rights, *_ = client.recvmsg(8, socket.CMSG_SPACE(3 * array.array("i").itemsize))
    streams = array.array("i", rights[0][2])
    with client.makefile("rb") as stream:
        call = json.loads(stream.read(int.from_bytes(size, "big")))
    child = os.fork()
    if child == 0:
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        run(folder, **call)
    for descriptor in streams:
        os.close(descriptor)
    client.sendall(child.to_bytes(8, "big"))
    return child, client


def end(child: int, client: socket.socket) -> None:
    """Send the exit status of a child that has ended."""
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(BrokenPipeError), client:
        client.sendall(status.to_bytes(8, "big", signed=True))


def run(
    commands: Path, name: str, words: list[str], folder: str, variables: dict[str, str],
    ignores: bool,
) -> NoReturn:  # fmt: skip
    """Be the command of a client until it ends, in a forked process."""
    status: Any = 1
    interrupted = False
    try:
        interrupt = signal.SIG_IGN if ignores else signal.default_int_handler
        signal.signal(signal.SIGINT, interrupt)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(variables)
        sys.executable = str(commands / "python")
        sys.orig_argv = [name, *words]
        paths = [path for path in variables.get("PYTHONPATH", "").split(os.pathsep) if path]
        sys.path[:0] = [os.path.abspath(path) for path in paths]
        status = main(str(commands / name), name, words)
    except SystemExit as ended:
        status = ended.code
    except BaseException as error:
        traceback.print_exc()
        interrupted = isinstance(error, KeyboardInterrupt)
    if status is not None and not isinstance(status, int):
        print(status, file=sys.stderr)
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    if interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(status or 0)


def main(file: str, name: str, words: list[str]) -> Any:
    """Run the program as the interpreter would; what it returns is its exit status."""
    if name in ENGINES:
        sys.argv = [file, *words]
        return importlib.import_module(ENGINES[name]).main()
    if words[0] == "-m":
        sys.argv = words[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        sys.path.insert(0, str(Path(words[0]).resolve().parent))
        runpy.run_path(words[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    try:
        serve(sys.argv[1])
    finally:
        shutil.rmtree(Path(sys.argv[1]).parent)
