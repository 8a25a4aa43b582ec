"""Progress of long loops."""

import logging

import pytest

from reprise.datasets import progress as module
from reprise.datasets.progress import progress


def test_where_stderr_is_no_terminal_there_is_a_line_every_few_seconds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with caplog.at_level(logging.INFO):
        assert list(progress(range(20), 20, "images")) == list(range(20))
    assert caplog.messages[0] == "images: 4 of 20" and 2 <= len(caplog.messages) <= 4
    caplog.clear()
    with caplog.at_level(logging.INFO):
        list(progress(range(20), None, "entries"))
    assert caplog.messages[0] == "entries: 4"
