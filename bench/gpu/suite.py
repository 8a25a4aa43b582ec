"""The tests of tests/gpu, each noted as it ends."""

import re
import subprocess
import sys

from bench.gpu.page import COUNTED
from bench.gpu.result import Part
from bench.measure import ROOT

LINE = re.compile(r"^(tests/gpu/\S.*?) (PASSED|FAILED|ERROR|SKIPPED)")
# whole jobs are killed and compared by the part `bytes`
COMMAND = ["-m", "pytest", "tests/gpu", "-v", "-p", "no:cacheprovider", "-m", "not slow"]


def tests(part: Part) -> None:
    """Run them; where no GPU is visible, they are skipped."""
    counts = dict.fromkeys(COUNTED, 0)
    wrong: list[str] = []
    process = subprocess.Popen(
        [sys.executable, *COMMAND], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        if not (found := LINE.match(line)):
            continue
        name, ended = found[1], found[2].lower()
        counts[ended] += 1
        part.say(ended, counts[ended])
        if ended in ("failed", "error"):
            wrong.append(name)
            part.say("not_passed", wrong)
    if process.wait() not in (0, 5) or not sum(counts.values()):
        raise SystemExit(1)
