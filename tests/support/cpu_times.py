"""`pytest --cpu-times FILE` writes a table of the CPU seconds of the tests into a page.

CPU seconds, of the tests and of the processes that they start, say what a test costs on a busy
machine too. Where a fixture is shared, the first test that needs it pays for it.
"""

import os
import re
import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

OPTION = "--cpu-times"
BEGIN, END = "<!-- CPU seconds of the tests -->\n", "<!-- end -->\n"
SHOWN = 12  # files with a row of their own
TICKS = os.sysconf("SC_CLK_TCK")
spent: Counter[str] = Counter()  # CPU seconds by file
number: Counter[str] = Counter()  # of tests by file
start = 0.0  # what this process had used when the tests were collected
last = 0.0  # what this process had used at the last report
START = "imports and collection, of each worker"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, type=Path, help="page for a table of CPU seconds by file of tests")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Any:
    global last, start
    report = yield
    now = cpu_seconds()
    report.cpu_seconds, last = now - last, now
    report.start_seconds, start = start, 0.0
    return report


def pytest_collection_finish() -> None:
    global last, start
    last = start = cpu_seconds()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    file = report.nodeid.split("::")[0]
    spent[file] += getattr(report, "cpu_seconds", 0.0)
    spent[START] += getattr(report, "start_seconds", 0.0)
    number[file] += report.when == "call"


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    page: Path | None = config.getoption(OPTION)
    if page is None:
        terminalreporter.write(f"{sum(spent.values()):.0f} CPU seconds\n")
        return
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(f"{before}{BEGIN}{table()}{rest[rest.index(END) :]}")


def cpu_seconds() -> float:
    """User and system seconds of this process, of its children that ended, and of those alive."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    alive = sum(ticks(Path("/proc", child, "stat")) for child in children())
    return sum(one.ru_utime + one.ru_stime for one in used) + alive / TICKS


def children() -> Iterator[str]:
    """The process ids of the children that are alive."""
    for path in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            yield from path.read_text().split()


def ticks(stat: Path) -> int:
    """What a process and its children that ended have used, in clock ticks; 0 if it is gone."""
    try:
        fields = stat.read_text().rpartition(") ")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))


def table() -> str:
    """The files that take longest, in markdown."""
    total = sum(spent.values())
    rows: list[tuple[str, int, float]] = [
        (file, number[file], seconds) for file, seconds in spent.most_common(SHOWN)
    ]
    rows.append(("all", number.total(), total))
    lines = []
    for file, tests, seconds in rows:
        cells = [
            file.removeprefix("tests/"),
            tests or "",
            f"{seconds:.0f}",
            f"{seconds / total:.0%}",
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |\n")
    words = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.M)
    head = f"{total / 60:.1f} CPU minutes on {words[1].strip() if words else 'an unknown CPU'}:"
    columns = "| tests | number | CPU s | share |\n|---|---:|---:|---:|"
    return f"\n{head}\n\n{columns}\n{''.join(lines)}\n"
