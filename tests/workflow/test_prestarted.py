"""A prestarted command is what the real one would be: arguments, variables, streams, its end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from support import prestarted

SHOW = """\
import json, os, sys
import own
loaded = sorted(name for name in sys.modules if name.split(".")[0] == "reprise")
print(json.dumps({"argv": sys.argv, "orig_argv": sys.orig_argv[1:], "folder": os.getcwd(),
    "own": own.__file__, "variable": os.environ.get("VARIABLE"), "hidden": "HIDDEN" in os.environ,
    "name": __name__, "stdin": sys.stdin.read(), "loaded": loaded}))
"""
ENDS = {
    "sys.exit(3)": (3, ""), "sys.exit('reason')": (1, "reason\n"), "sys.exit()": (0, ""),
    "1 / 0": (1, "ZeroDivisionError: division by zero\n"), "os.abort()": (-signal.SIGABRT, ""),
    "import atexit; atexit.register(sys.stderr.write, 'last')": (0, "last"),
    "import threading; threading.Timer(0.1, sys.stderr.write, ['last']).start()": (0, "last"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "own.py").touch()
    (tmp_path / "show.py").write_text(SHOW)
    return tmp_path


def environment(folder: Path, path: str) -> dict[str, str]:
    hidden = {name: value for name, value in os.environ.items() if name != "HIDDEN"}
    return hidden | {"PATH": path, "PYTHONPATH": str(folder / "path"), "VARIABLE": "a\nb"}


@pytest.mark.parametrize("words", [["show.py", "--one", "two words"], ["-m", "show", "", "-c"]])
def test_it_sees_what_the_real_one_sees(
    words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prestarted.commands()
    monkeypatch.setenv("HIDDEN", "set after the server started")
    real = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    seen = [
        json.loads(
            subprocess.run(
                ["python", *words], cwd=folder, env=environment(folder, path), input="typed",
                capture_output=True, text=True, check=True,
            ).stdout
        )
        for path in (real, prestarted.path(real))
    ]  # fmt: skip
    assert seen[0] == seen[1]
    assert seen[0]["loaded"] == [] and seen[0]["stdin"] == "typed"


@pytest.mark.parametrize("line", ENDS)
def test_it_ends_as_the_real_one_ends(line: str, folder: Path) -> None:
    (folder / "end.py").write_text(f"import os, sys\n{line}\n")
    ended = subprocess.run(
        ["python", "end.py"], cwd=folder, env=environment(folder, prestarted.path()),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    status, printed = ENDS[line]
    assert ended.returncode == status
    assert ended.stderr.endswith(printed) and bool(ended.stderr) == bool(printed)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_reaches_it(kind: signal.Signals, folder: Path) -> None:
    (folder / "wait.py").write_text(
        "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen(
        ["python", "wait.py"], cwd=folder, env=environment(folder, prestarted.path()),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        # a background job of a shell ignores Ctrl-C, and so would the command
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as client:  # fmt: skip
        assert client.stdout
        child = int(client.stdout.readline())
        assert child != client.pid
        client.send_signal(kind)
        assert client.wait() == -kind
    end = time.monotonic() + 20
    while psutil.pid_exists(child):
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("name", ["snakemake", "dvc"])
def test_an_engine_is_that_of_this_environment(name: str, folder: Path) -> None:
    real = subprocess.run([name, "--version"], capture_output=True, text=True, check=True).stdout
    ended = subprocess.run(
        [name, "--version"], env=environment(folder, prestarted.path()), cwd=folder,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ended.stdout == real


def test_an_option_of_the_interpreter_gets_the_real_one(folder: Path) -> None:
    words = ["python", "-c", "import os, sys; print(os.getppid(), sys.executable)"]
    ended = subprocess.run(
        words,
        env=environment(folder, prestarted.path()),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.split() == [str(os.getpid()), sys.executable]
