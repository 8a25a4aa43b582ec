"""The course preset's graph on small synthetic data: every recipe has its number in the report."""

from pathlib import Path

import pandas as pd
import pytest

from reprise.atomic_io import read_json
from reprise.engines.verify import build, clone
from reprise.params.load import load_params

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.exhaustive]


def test_every_recipe_of_the_homeworks_runs_to_the_report(tmp_path):
    folder = clone(ROOT, tmp_path / "clone", "course-smoke")
    build(folder, "snakemake", hash_seed=1)
    results, params = folder / "results", load_params(folder / "params.yaml")
    for stage in ("finetune", "classify", "segment"):
        for name, task in getattr(params, stage).items():
            table = pd.read_csv(results / "tables" / f"{stage}_{name}.csv")
            runs = [run for run in table["run"] if not run.endswith("(best epoch)")]
            assert runs == task.runs
            if stage != "finetune":
                assert set(table["weights"]) == {"none"}  # nothing published is in the samples
    # a recipe whose epochs vote is compared with its single best epoch
    comparisons = pd.read_csv(results / "tables" / "comparisons.csv")
    assert comparisons["a"].str.startswith("resnet101").any()
    numbers = pd.read_csv(results / "tables" / "published_numbers.csv")
    assert (numbers["run"] == numbers["our_run"]).all() and not numbers["same_data"].any()
    missing = numbers["ours"].isna() & (numbers["metric"] != "miou_dlcv")  # no pixel of a class
    assert not missing.any()
    for name in params.datasets:
        info = read_json(results / "prepare" / name / "dataset.json")
        assert info["note"].startswith("Made to try the pipeline: not the course's images")
    for name, task in params.segment_anything.items():
        for run in task.runs:
            path = results / "segment_anything" / name / run / "scores.csv"
            scores = pd.read_csv(path, dtype={"image": str})
            assert sorted(set(scores["image"])) == task.images
    page = (results / "report.html").read_text()
    assert "Made to try the pipeline" in page and "RANDOM weights" in page
