"""The log of `make faults`: a line for each test that ended, with the cases that it counted.

A test that has passed with the present sources is not run again, so the campaign continues where it
was stopped. The last line of a test counts. At the end a table of all cases is printed and written
next to the log.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support import faults

ROOT = Path(__file__).parents[2]
LOG = "REPRISE_FAULTS_LOG"  # the variable that names it
OUTCOMES: dict[str, str] = {}  # of the tests that are not yet torn down
HEAD = "| what | cases | right | refused | faults |\n|---|---:|---:|---:|---:|\n"


@pytest.fixture(autouse=True)
def counted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Add what a test counts to its report."""
    faults.COUNTS.clear()
    yield
    counts = [[*key, number] for key, number in sorted(faults.COUNTS.items())]
    request.node.user_properties.append(("counts", counts))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = {item for item in items if Path(__file__).parent in item.path.parents}
    done = {name for name, entry in entries().items() if entry["outcome"] == "passed"}
    ready = [item for item in items if item in here and item.nodeid in done]
    if ready:
        config.hook.pytest_deselected(items=ready)
        items[:] = [item for item in items if item not in ready]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    path, name = os.environ.get(LOG), report.nodeid
    # a worker's tests are also reported to the process that started it
    if not path or "PYTEST_XDIST_WORKER" in os.environ or "tests/faults/" not in name:
        return
    if report.failed or OUTCOMES.get(name, "passed") == "passed":
        OUTCOMES[name] = report.outcome
    if report.when == "teardown":
        counts = dict(report.user_properties).get("counts", [])
        entry = {"test": name, "outcome": OUTCOMES.pop(name), "sources": sources()}
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a") as log:
            log.write(json.dumps(entry | {"counts": counts}) + "\n")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if path := os.environ.get(LOG):
        Path(path).with_suffix(".md").write_text(table())
        terminalreporter.write(f"\n{table()}")


def entries() -> dict[str, dict[str, Any]]:
    """The last entry of each test in the log that was made with the present sources."""
    path = Path(os.environ.get(LOG, os.devnull))
    lines = map(json.loads, path.read_text().splitlines()) if path.is_file() else ()
    tried = (line for line in lines if line["outcome"] != "skipped")
    return {line["test"]: line for line in tried if line["sources"] == sources()}


def table() -> str:
    """Cases by kind and outcome, in markdown; a test that counts no cases is one itself."""
    kinds: dict[str, Counter[str]] = {}
    for name, entry in entries().items():
        file = f"other tests of `{name.split('::')[0]}`"
        itself = [file, "right" if entry["outcome"] == "passed" else entry["outcome"], 1]
        for kind, outcome, number in entry["counts"] or [itself]:
            kinds.setdefault(kind, Counter())[outcome] += number
    rows = []
    for kind, outcomes in [*sorted(kinds.items()), ("all", sum(kinds.values(), Counter()))]:
        bad = [f"{n} {o}" for o, n in sorted(outcomes.items()) if o not in ("right", "refused")]
        cells = [kind, outcomes.total(), outcomes["right"], outcomes["refused"]]
        rows.append(f"| {' | '.join(map(str, cells))} | {', '.join(bad) or 0} |\n")
    return HEAD + "".join(rows)


@cache
def sources() -> str:
    """Digest of the files that the tests try."""
    files = [p for root in ("src", "workflow") for p in (ROOT / root).rglob("*") if p.is_file()]
    files = [path for path in files if not {"__pycache__", "code"} & set(path.parts)]
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)]
    return hashlib.sha256("".join(sums).encode()).hexdigest()
