"""Who works in results/: one Snakemake that runs jobs, or DVC, or one comparison of both.

Two files are locked by the operating system until their process ends, however that ends: RUNNING by
the one Snakemake that runs jobs, SYNCING by whoever compares both engines, also for a dry run. DVC
has a separate lock file, which also names who works in results/.

On the file systems of clusters such locks may be missing, or hold on one node only. So RUNNING also
names its owner, with the node; an owner on another node counts until its file is empty.
"""

import errno
import fcntl
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from reprise.atomic_io import atomic_file
from reprise.errors import RepriseError

RUNNING = Path(".snakemake/running")  # its text is the process id and the node of its owner
SYNCING = Path(".snakemake/syncing")
# by flock, where a file system has no locks, such as Lustre without the option flock
NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}
OFF = "REPRISE_STATE"  # 'off' for what `sync` calls, and for `sync` itself under Snakemake


class RunAtWork(RepriseError):
    """Another Snakemake runs jobs here."""

    def __init__(self) -> None:
        pid, node = _owner()
        if node in ("", _node()):
            super().__init__(f"snakemake (PID {pid}) is at work here; wait until it ends")
        else:
            super().__init__(
                f"snakemake (PID {pid} on {node}) is at work here; wait until it ends, or, if it "
                f"was killed there, `rm {RUNNING}`"
            )


@contextmanager
def turn_to_sync() -> Iterator[None]:
    """Compare both engines in one process at a time; waits some seconds for a dry run that does.

    Raises RunAtWork if a run compares them, before its jobs.
    """
    with _lock_file(SYNCING) as stream:
        if not _locked(stream):
            if _is_alive() or _is_elsewhere():
                raise RunAtWork
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextmanager
def only_run(pid: int | str = "") -> Iterator[None]:
    """Let no other run of jobs be here; raises RunAtWork if one is. Enter it in `turn_to_sync`.

    pid: the process, if it runs jobs itself; a dry run has this lock only while it compares.
    """
    with _lock_file(RUNNING) as stream:
        if not _locked(stream) or _is_elsewhere():
            raise RunAtWork
        stream.truncate(0)
        stream.write(f"{pid} {_node()}" if pid else "")
        stream.flush()
        yield
        stream.truncate(0)


def remove_stale_locks() -> None:
    """Delete the lock files that a killed Snakemake left; enter `only_run` before.

    So the same command goes on without a call of --unlock before it.
    """
    for path in Path(".snakemake/locks").glob("*"):
        path.unlink(missing_ok=True)


def _locked(stream: IO[str]) -> bool:
    """Lock a file; whether no other process has locked it.

    Without locks of the file system, whether no process on this node owns RUNNING.
    """
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return not _is_alive()
    return True


def _uses_hard_links() -> bool:
    """Whether DVC locks by hard links, which every file system has."""
    from dvc.config import Config

    return bool(Config.from_cwd()["core"].get("hardlink_lock", False))


def _has_locks() -> bool:
    """Whether the file system has locks, taken by others or not."""
    with _lock_file(SYNCING) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError as error:
            return error.errno not in NO_LOCKS
    return True


def _owner() -> tuple[str, str]:
    """The process id and the node in RUNNING; "" for what is not there."""
    text = RUNNING.read_text(encoding="utf-8") if RUNNING.exists() else ""
    pid, _, node = text.partition(" ")
    return pid, node


def _node() -> str:
    return os.uname().nodename


def _is_elsewhere() -> bool:
    """Whether RUNNING has an owner on another node, whose locks and processes are not seen here."""
    return _owner()[1] not in ("", _node())


def _is_alive() -> bool:
    """Whether the owner of RUNNING runs on this node."""
    pid, node = _owner()
    if node not in ("", _node()):
        return False
    try:
        os.kill(int(pid), 0)
    except PermissionError:  # of another user
        return True
    except (ValueError, ProcessLookupError):
        return False
    return True


def _lock_file(path: Path) -> IO[str]:
    """An open file to lock; a child process that is given it keeps the lock."""
    try:
        path.parent.mkdir(exist_ok=True)
        stream = path.open("a", encoding="utf-8")
    except OSError as error:
        raise RepriseError(
            f"{path}: cannot be written ({error.strerror}); work in a clone that is yours"
        ) from None
    os.set_inheritable(stream.fileno(), True)
    return stream


@contextmanager
def dvc_kept_out(name: str) -> Iterator[None]:
    """Keep DVC's commands out of results/; raises RepriseError if one is at work there.

    name: what they call this process when they refuse.
    """
    from dvc.exceptions import DvcException
    from dvc.rwlock import RWLockFileCorruptedError, rwlock

    folder = Path(".dvc/tmp").absolute()
    folder.mkdir(exist_ok=True)
    results = [str(Path("results").absolute())]
    write = partial(rwlock, str(folder), _WholeFiles, name, [], results, _uses_hard_links())
    stack = ExitStack()
    try:
        with _uninterrupted():
            try:
                stack.enter_context(write())
            except RWLockFileCorruptedError:  # a command of DVC was killed while it wrote it
                (folder / "rwlock").unlink()
                stack.enter_context(write())
    except DvcException as error:
        raise RepriseError(at_work(error)) from None
    try:
        yield
    finally:
        with _uninterrupted():
            stack.close()


class _WholeFiles:
    """What DVC's locks use of a file system; a file that is written is never seen cut short."""

    join = staticmethod(os.path.join)

    @staticmethod
    @contextmanager
    def open(path: str, mode: str = "r", encoding: str = "utf-8") -> Iterator[IO[str]]:
        """Open a text file to read it, or to replace it when the block succeeds."""
        if mode == "r":
            with open(path, encoding=encoding) as stream:
                yield stream
            return
        target = Path(path)
        with atomic_file(target) as temporary, temporary.open(mode, encoding=encoding) as stream:
            yield stream


@contextmanager
def _dvc_locks_whole() -> Iterator[None]:
    """Let DVC, called by this process, write its lock file aside."""
    import dvc.rwlock

    original = dvc.rwlock.rwlock

    def rwlock(folder: str, _: object, *rest: Any) -> Any:
        return original(folder, _WholeFiles, *rest)

    dvc.rwlock.rwlock = rwlock
    try:
        yield
    finally:
        dvc.rwlock.rwlock = original


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM, so that the lock is either taken and known, or not taken."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def alone() -> Iterator[None]:
    """Compare both engines while nobody else works in results/; RepriseError if somebody does."""
    with ExitStack() as stack:
        if os.environ.get(OFF) != "off":
            stack.enter_context(turn_to_sync())
            stack.enter_context(only_run())
            remove_stale_locks()
        # the name that DVC gives to this process, whose own locks must pass
        stack.enter_context(dvc_kept_out(" ".join(sys.argv)))
        stack.enter_context(_dvc_locks_whole())
        yield


def at_work(error: Exception) -> str:
    """Who works in results/, by an error of DVC's locks, and what to do; in one line."""
    if not _uses_hard_links() and not _has_locks():
        for name in ("lock", "rwlock.lock"):  # that DVC could not lock; a hard link needs the name
            Path(".dvc/tmp", name).unlink(missing_ok=True)
        return (
            ".dvc/tmp: this file system has no file locks; `dvc config --local "
            "core.hardlink_lock true` lets DVC use hard links"
        )
    others = dict.fromkeys(re.findall(r"\(PID (\d+)\): (.*)", str(error)))
    names = ", ".join(f"{re.sub(r'^[^ ]*/', '', name)} (PID {pid})" for pid, name in others)
    if names.startswith("snakemake"):
        return f"{names} is at work here; wait until it ends"
    return f"DVC is at work here{names and f': {names}'}; wait until it ends"
