"""A project with two runs that were never trained: what predict and evaluate read, in a second."""

import json
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image

from reprise.atomic_io import sha256, write_csv
from reprise.datasets.prepared import PreparedDataset
from reprise.models.build import BUILDERS
from reprise.models.weights import write_tensors
from reprise.params.load import parse
from support.fake_results import fake_classifier, history, write_mask
from support.small_datasets import small_dataset, write_and_read

CLASSES, MASKS = "classify/baseline/cnn/0", "segment/baseline/fcn32s/0"
TRAINING = {"weights": "none", "epochs": 4, "batch_size": 4, "learning_rate": 0.1}
CUT = {"source": "earth_maps", "labels": "deepglobe", "tile": 32, "stride": 32, "val": 0.2}
CUT |= {"min_land_fraction": 0.5, "block_degrees": 8, "test": 0.2}
RECIPES = {
    "classify": {"cnn": TRAINING | {"model": "cnn", "image_size": 32, "feature_epochs": [1]}},
    "segment": {
        "fcn32s": TRAINING | {"model": "fcn32s", "image_size": 64, "width_mult": 0.0625},
    },
}
DATA = {"classify": "zones", "segment": "cover"}


def values() -> dict[str, object]:
    """The content of params.yaml."""
    tasks = {
        stage: {"baseline": {"data": DATA[stage], "seeds": [0], "runs": [*runs], "recipes": runs}}
        for stage, runs in RECIPES.items()
    }
    tasks["segment"]["baseline"]["images"] = []
    return {
        "runtime": {"device": "cpu", "precision": "float32", "threads": 1},
        "datasets": {"zones": CUT, "cover": CUT},
        **tasks,
    }


def write_project(folder: Path) -> None:
    """Write params.yaml, two datasets, their runs with random weights, records, and images."""
    text = yaml.safe_dump(values())
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(text)
    rng, results = np.random.default_rng(0), folder / "results"
    labels = {"classify": rng.integers(0, 3, 12), "segment": rng.integers(0, 3, (12, 32, 32))}
    params = parse(values())
    for (stage, data), job in zip(DATA.items(), (CLASSES, MASKS), strict=True):
        images = rng.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
        dataset = small_dataset(images, labels[stage].astype(np.uint8), 3)
        prepared = write_and_read(results / "prepare" / data, dataset)
        torch.manual_seed(0)
        recipe = getattr(params, stage)["baseline"].recipes[job.split("/")[2]]
        model = results / job / "model.safetensors"
        write_tensors(model, BUILDERS[stage](recipe, 3).state_dict())
        if stage == "classify":
            fake_classifier(results / job, results / "prepare" / data, 0.9, rng)
            write_tensors(model, BUILDERS[stage](recipe, 3).state_dict())
        else:
            _write_masks(results / job, prepared, rng)
        record = folder / "logs" / f"{job}.json"
        record.parent.mkdir(parents=True)
        outputs = {f"results/{job}/model.safetensors": sha256(model)}
        record.write_text(
            json.dumps({"command": [], "started": 0, "params": text, "outputs": outputs})
        )
    (folder / "images").mkdir()
    for number in range(2):
        Image.fromarray(images[number]).save(folder / "images" / f"{number}.png")


def _write_masks(folder: Path, dataset: PreparedDataset, rng: np.random.Generator) -> None:
    for split in ("val", "test"):
        for row in dataset.rows(split):
            name = dataset.index["id"][row]
            write_mask(folder / "predictions" / f"{name}.png", dataset.labels[row])
    frame = history(4, rng).rename(columns={"score": "val_miou"})
    write_csv(folder / "history.csv", frame)
