"""A network of timm and one of segmentation_models_pytorch from images to the report."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from support.own_folders import class_folders, mask_folders
from support.smoke import call

from reprise.engines.verify import clone

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.exhaustive]
TIMM, SMP = "timm/test_resnet", "smp/unet/tu-test_resnet"
SHORT = {"epochs": 2, "batch_size": 8, "learning_rate": 0.001}


def with_networks(values: dict) -> dict:
    """The first tasks of `make data` with one short run of each library, two seeds each."""
    classify, segment = values["classify"]["shapes"], values["segment"]["scenes"]
    recipe = SHORT | {"model": TIMM, "image_size": 32, "feature_epochs": [1, 2]}
    classify |= {"runs": ["theirs"], "seeds": [0, 1], "recipes": {"theirs": recipe}}
    recipe = SHORT | {"model": SMP, "image_size": 64}
    segment |= {"runs": ["theirs"], "seeds": [0, 1], "recipes": {"theirs": recipe}, "images": []}
    for task in (classify, segment):
        task.pop("comparisons", None)
    return values


def test_networks_of_both_libraries_reach_the_report(tmp_path: Path) -> None:
    folder = clone(ROOT, tmp_path / "clone", "own")
    for name, images in (
        ("shapes", class_folders(tmp_path / "shapes", 12)),
        ("scenes", mask_folders(tmp_path / "scenes", 20, 64)),
    ):
        call(folder, "python", "-m", "reprise.engines.data", str(images), "--name", name, ok=True)
    params = folder / "params.yaml"
    params.write_text(yaml.safe_dump(with_networks(yaml.safe_load(params.read_text()))))
    call(folder, "python", "-m", "reprise.engines.repository", "dvc.yaml", ok=True)
    call(folder, "snakemake", "--cores", "2", "--quiet", "rules", ok=True)
    networks = pd.read_csv(folder / "results/tables/networks.csv").set_index("task")["model"]
    assert networks.to_dict() == {"shapes": TIMM, "scenes": SMP}
    for table, score in (("classify_shapes", "accuracy"), ("segment_scenes", "miou")):
        row = pd.read_csv(folder / f"results/tables/{table}.csv").iloc[0]
        assert row["seeds"] == 2 and 0 <= row[f"test_{score}"] <= 1
    page = (folder / "results/report.html").read_text()
    assert TIMM in page and SMP in page
    assert "up to date" in call(folder, "dvc", "status", ok=True).stdout
