"""The tests of tests/gpu, each recorded as it ends."""

import re
import subprocess
import sys

from bench.gpu.page import OUTCOMES
from bench.gpu.result import Part
from bench.measure import ROOT

LINE = re.compile(r"^(tests/gpu/\S.*?) (PASSED|FAILED|ERROR|SKIPPED)")
# whole jobs are killed and compared in the part `bytes`
COMMAND = ["-m", "pytest", "tests/gpu", "-v", "-p", "no:cacheprovider", "-m", "not slow"]


def tests(part: Part) -> None:
    """Run them; without a GPU they are skipped."""
    counts = dict.fromkeys(OUTCOMES, 0)
    not_passed: list[str] = []
    process = subprocess.Popen(
        [sys.executable, *COMMAND], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        if not (match := LINE.match(line)):
            continue
        name, outcome = match[1], match[2].lower()
        counts[outcome] += 1
        part.record(outcome, counts[outcome])
        if outcome in ("failed", "error"):
            not_passed.append(name)
            part.record("not_passed", not_passed)
    if process.wait() not in (0, 5) or not sum(counts.values()):
        raise SystemExit(1)
