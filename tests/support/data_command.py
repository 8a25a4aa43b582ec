"""`make data` in a folder with a params.yaml alone."""

import logging
import sys
from pathlib import Path

import pytest

from reprise.engines import data, dvcyaml
from reprise.params.base import PARAMS


def enter_project(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    """Work in a folder with this params.yaml; dvc.yaml is not derived: that needs the rules."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(dvcyaml, "render", PARAMS.read_text)
    caplog.set_level(logging.INFO)
    PARAMS.write_text(text)


def run_data(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    """Run the command with these arguments."""
    monkeypatch.setattr(sys, "argv", ["data", *map(str, arguments)])
    data.main()
