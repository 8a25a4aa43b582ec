"""Measure all rows, or some, and write logs/bench.json and docs/benchmarks.md.

    PYTHONPATH=src .venv-peers/bin/python -m bench [--only NAME ...] [--quick]

Each row runs in a separate process, one after the other; nothing else should run meanwhile.
--only measures these rows again and keeps the others of logs/bench.json, if machine and versions
are the same. --quick tries everything with meaningless numbers, and writes only
logs/bench-quick.json.
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
from bench.registry import ROWS
from reprise.atomic_io import read_json, write_json, write_text
from reprise.cli import run
from reprise.errors import RepriseError

RESULT = ROOT / "logs" / "bench.json"
PAGE = ROOT / "docs" / "benchmarks.md"
BUSY = 0.5  # load above which something else is running


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("bench", description=__doc__, formatter_class=layout)
    parser.add_argument("--only", nargs="+", choices=ROWS, metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--quick", action="store_true", help="a trial with meaningless numbers")
    args = parser.parse_args()
    missing = [name for name in PEERS if installed(name) == "absent"]
    if missing:
        raise RepriseError(f"{', '.join(missing)}: not installed here; run `make bench`")
    if (load := os.getloadavg()[0]) > BUSY and not args.quick:
        logging.warning("the machine is busy (load %.1f), which will affect the numbers", load)
    path = RESULT.with_name("bench-quick.json") if args.quick else RESULT
    result: dict[str, Any] = {"quick": args.quick, "machine": machine(THREADS), "rows": {}}
    if args.only and path.exists():
        result["rows"] = kept_rows(read_json(path), result["machine"], path)
    for name in args.only or ROWS:
        logging.info("%s ...", name)
        row = result["rows"][name] = run_row(name, args.quick)
        logging.info("%s: %.0f s\n%s", name, row["seconds"], report.brief(row))
        write_json(path, result)
    if not args.quick:
        write_text(PAGE, report.page(read_json(path)))  # as bench.report reads it
        logging.info("%s and %s written", path.relative_to(ROOT), PAGE.relative_to(ROOT))


def kept_rows(earlier: dict[str, Any], now: dict[str, Any], path: Path) -> dict[str, Any]:
    """Rows of an earlier run. Raises RepriseError if machine or versions differ."""
    varying = {"matrix_gflops"}  # measured again
    for key in now.keys() - varying:
        if earlier["machine"].get(key) != now[key]:
            raise RepriseError(f"{path}: has other {key}; run all rows, without --only")
    rows: dict[str, Any] = earlier["rows"]
    return rows


def run_row(name: str, quick: bool) -> dict[str, Any]:
    """Run one row in a separate process. Raises RepriseError when it fails."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "row.json"
        command = [sys.executable, "-m", "bench.registry", name, str(output)]
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
        row: dict[str, Any] = json.loads(output.read_text())
        return row


if __name__ == "__main__":
    run(main)
