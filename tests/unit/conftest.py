"""Fixtures that several unit tests share."""

import shutil
from pathlib import Path

import pytest
from fake_results import fake_params, fake_results
from judged import judge
from trained import train_project

from reprise.evaluation.embedding import embed
from reprise.files import write_csv
from reprise.params import Params


@pytest.fixture(scope="session")
def params() -> Params:
    """A small configuration that has every part."""
    return fake_params()


@pytest.fixture(scope="session")
def whole_results(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Path:
    """A results folder with every output but report.html; not to be changed."""
    results = tmp_path_factory.mktemp("fake") / "results"
    fake_results(results, params)
    for source, job in (("classify", "cnn/0"), ("finetune", "tiny/C/0")):
        for method in params.embed.methods:
            features = results / source / job / "features.safetensors"
            points, layout = embed(features, method, params.embed)
            write_csv(results / "embed" / source / f"{method}.csv", points)
            write_csv(results / "embed" / source / f"{method}.layout.csv", layout)
    judge(results, params)
    return results


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with trained runs of the courses' recipes (see trained.py); not to be changed."""
    folder = tmp_path_factory.mktemp("project")
    train_project(folder)
    return folder


@pytest.fixture
def results(tmp_path: Path, whole_results: Path) -> Path:
    """A copy of the results folder that a test may spoil."""
    return Path(shutil.copytree(whole_results, tmp_path / "results"))
