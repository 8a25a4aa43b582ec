"""Fixtures that several unit tests share."""

import shutil
from pathlib import Path

import pytest
from support.evaluated import write_evaluation, write_figures
from support.fake_results import fake_params, fake_results
from support.shared import made_once

from reprise.params.load import Params


@pytest.fixture(scope="session")
def params() -> Params:
    """A small configuration with tasks of every stage."""
    return fake_params()


@pytest.fixture(scope="session")
def evaluated_results(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Path:
    """A results folder with tables and coordinates, without figures; not to be changed."""

    def make(folder: Path) -> None:
        fake_results(folder / "results", params)
        write_evaluation(folder / "results", params)

    return made_once(tmp_path_factory, "evaluated", make) / "results"


@pytest.fixture(scope="session")
def whole_results(
    tmp_path_factory: pytest.TempPathFactory, evaluated_results: Path, params: Params
) -> Path:
    """A results folder with every output but report.html; not to be changed."""

    def make(folder: Path) -> None:
        shutil.copytree(evaluated_results, folder / "results")
        write_figures(folder / "results", params)

    return made_once(tmp_path_factory, "whole", make) / "results"


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with trained runs of the courses' recipes (see support/); not to be changed."""
    from support.trained_project import train_project

    return made_once(tmp_path_factory, "project", train_project)


@pytest.fixture
def evaluated(tmp_path: Path, evaluated_results: Path) -> Path:
    """A copy of a results folder without figures that a test may change."""
    return Path(shutil.copytree(evaluated_results, tmp_path / "results"))


@pytest.fixture
def results(tmp_path: Path, whole_results: Path) -> Path:
    """A copy of a whole results folder that a test may change."""
    return Path(shutil.copytree(whole_results, tmp_path / "results"))
