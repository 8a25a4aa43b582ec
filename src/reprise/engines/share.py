"""`make push` and `make pull`: results and their run cache on a remote of DVC, one line an error.

DVC itself names every file that it could not transfer. Here one small request comes first, which
finds a missing bucket, a wrong key or an address without a server.
"""

import argparse
import logging
import subprocess
import sys
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_objects.fs.errors import ConfigError, RemoteMissingDepsError

from reprise.cli import run
from reprise.errors import RepriseError, one_line

PROBE = "reprise-probe"  # an empty object, written and deleted where results are pushed


def main() -> None:
    """Push or pull."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("direction", choices=["push", "pull"])
    parser.add_argument("--remote", help="name of a remote, by default DVC's default one")
    args = parser.parse_args()
    for name in ("dvc", "botocore", "aiobotocore"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    check(args.remote, writes=args.direction == "push")
    remote = ["--remote", args.remote] if args.remote else []
    command = [sys.executable, "-m", "dvc", args.direction, "--run-cache", *remote]
    sys.exit(subprocess.run(command, check=False).returncode)


def check(name: str | None, writes: bool) -> None:
    """Raise RepriseError if a remote cannot be read, or, if it `writes`, not be written to."""
    try:
        files = Repo().cloud.get_remote_odb(name)
    except (ImportError, RemoteMissingDepsError):
        line = "DVC: the client of this kind of remote is missing; `make s3` for s3://"
        raise RepriseError(f"{line}, others in docs/share.md") from None
    except (DvcException, ConfigError) as error:
        text = one_line(str(error).split("\n")[0], 200)
        raise RepriseError(f"DVC: {text}; see docs/share.md") from None
    try:
        _touch(files.fs, files.path, writes)
    except Exception as error:  # whatever the client of this kind of remote raises
        where = files.fs.unstrip_protocol(files.path)
        raise RepriseError(f"{where}: {one_line(error, 200)}; see docs/share.md") from None


def _touch(fs: Any, path: str, writes: bool) -> None:
    """One request to a remote: write and delete an object there, or list what is there."""
    if writes:
        probe = fs.join(path, PROBE)
        fs.makedirs(path, exist_ok=True)
        with fs.open(probe, "wb"):
            pass
        fs.remove(probe)
    else:
        fs.ls(path)


if __name__ == "__main__":
    run(main)
