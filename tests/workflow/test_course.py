"""The course preset's graph from small hand-outs to the report: every recipe has its number."""

from pathlib import Path

import pandas as pd
import pytest

from reprise.files import read_json
from reprise.params import load_params
from reprise.pipeline.verify import build, clone

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.exhaustive]


def test_every_recipe_of_the_reports_runs_to_the_report(tmp_path):
    folder = clone(ROOT, tmp_path / "clone", "course-smoke")
    build(folder, "snakemake", hash_seed=1)
    results, params = folder / "results", load_params(folder / "params.yaml")
    for part in ("classify", "faces", "segment", "street"):
        table = pd.read_csv(results / "tables" / f"{part}.csv")
        assert list(table["run"]) == params.stages[part].runs
    settings = pd.read_csv(results / "tables" / "finetune.csv")
    assert list(settings["setting"]) == [*"ABCDE", *"ABCDE"]
    for name in params.prepare.sets:
        about = read_json(results / "prepare" / name / "dataset.json")
        assert about["note"].startswith("Made to try the pipeline: not the course's images")
    scores = pd.read_csv(results / "anything" / "dlcv2024" / "scores.csv", dtype={"image": str})
    assert sorted(set(scores["image"])) == params.anything.images
    page = (results / "report.html").read_text()
    assert "Made to try the pipeline" in page and "RANDOM weights" in page
