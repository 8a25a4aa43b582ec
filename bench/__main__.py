"""Measure all rows, or some, and write logs/bench.json and docs/benchmarks.md.

    PYTHONPATH=src .venv-peers/bin/python -m bench [--only NAME ...] [--quick]

Each row runs in a process of its own, one after the other; nothing else should run meanwhile.
--only measures these rows again and keeps the others of logs/bench.json, if they are of the same
machine and versions. --quick tries everything with numbers that mean nothing, and writes
logs/bench-quick.json alone.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import report
from bench.machine import PEERS, installed, machine
from bench.measure import ROOT, THREADS
from bench.rows import ROWS
from reprise.cli import run
from reprise.errors import RepriseError
from reprise.files import read_json, write_json, write_text

RESULT = ROOT / "logs" / "bench.json"
PAGE = ROOT / "docs" / "benchmarks.md"
BUSY = 0.5  # load above which something else runs


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("bench", description=__doc__, formatter_class=layout)
    parser.add_argument("--only", nargs="+", choices=ROWS, metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--quick", action="store_true", help="a try; its numbers mean nothing")
    args = parser.parse_args()
    missing = [name for name in PEERS if installed(name) == "absent"]
    if missing:
        raise RepriseError(f"{', '.join(missing)}: not installed here; run `make bench`")
    if (load := os.getloadavg()[0]) > BUSY and not args.quick:
        logging.warning("the machine is busy (load %.1f), and the numbers will show it", load)
    result = RESULT.with_name("bench-quick.json") if args.quick else RESULT
    found: dict[str, Any] = {"quick": args.quick, "machine": machine(THREADS), "rows": {}}
    if args.only and result.exists():
        found["rows"] = kept(read_json(result), found["machine"], result)
    for name in args.only or ROWS:
        logging.info("%s ...", name)
        row = found["rows"][name] = apart(name, args.quick)
        logging.info("%s: %.0f s\n%s", name, row["seconds"], report.brief(row))
        write_json(result, found)
    if not args.quick:
        write_text(PAGE, report.page(read_json(result)))  # as bench.report reads it
        logging.info("%s and %s written", result.relative_to(ROOT), PAGE.relative_to(ROOT))


def kept(before: dict[str, Any], now: dict[str, Any], path: Path) -> dict[str, Any]:
    """Rows of an earlier run. Raises RepriseError when they are of other circumstances."""
    varying = {"matrix_gflops"}  # measured anew
    for key in now.keys() - varying:
        if before["machine"].get(key) != now[key]:
            raise RepriseError(f"{path}: has other {key}; run all rows, without --only")
    rows: dict[str, Any] = before["rows"]
    return rows


def apart(name: str, quick: bool) -> dict[str, Any]:
    """Run one row in a process of its own. Raises RepriseError when it fails."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "row.json"
        command = [sys.executable, "-m", "bench.rows", name, str(told)]
        paths = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
        done = subprocess.run(
            command + ["--quick"] * quick,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            print(done.stdout[-4000:], file=sys.stderr)
            raise RepriseError(f"row {name} failed; its last lines are above")
        row: dict[str, Any] = json.loads(told.read_text())
        return row


if __name__ == "__main__":
    run(main)
