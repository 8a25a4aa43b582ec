"""The table of what the tests take counts the processes that they start, and replaces itself."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import cpu_times
from support.cpu_times import BEGIN, END, OPTION, START

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"


@pytest.mark.parametrize("ended", [True, False])
def test_it_counts_children_that_ended_and_that_live(ended: bool) -> None:
    wait = "" if ended else "print(flush=True)\nimport sys; sys.stdin.read()"
    before = cpu_times.cpu_seconds()
    with subprocess.Popen(
        [sys.executable, "-S", "-c", BURN + wait], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        child.wait() if ended else child.stdout.readline()
        assert cpu_times.cpu_seconds() - before > 0.25


def test_the_table_is_replaced_and_the_rest_of_the_page_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_times, "spent", cpu_times.Counter())
    monkeypatch.setattr(cpu_times, "number", cpu_times.Counter())
    for when in ("setup", "call"):
        report = SimpleNamespace(
            nodeid="tests/unit/test_a.py::test_b", when=when, cpu_seconds=30.0, start_seconds=20.0
        )
        cpu_times.pytest_runtest_logreport(report)  # type: ignore[arg-type]
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}old\n{END}after\n")
    config = SimpleNamespace(getoption={OPTION: page}.get)
    for _ in range(2):
        cpu_times.pytest_terminal_summary(None, config)  # type: ignore[arg-type]
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n1.7 CPU minutes on ")
    assert text.endswith(f"| all | 1 | 100 | 100% |\n\n{END}after\n")
    assert "| unit/test_a.py | 1 | 60 | 60% |\n" in text
    assert f"| {START} |  | 40 | 40% |\n" in text and "old" not in text
