"""A small results folder in the formats that the stages write; its numbers are random."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from safetensors.numpy import save_file

from reprise.atomic_io import read_json, write_bytes, write_csv, write_json
from reprise.jobs import CLASSIFYING, jobs
from reprise.params.load import Params, parse

TRAINING: dict[str, Any] = {"epochs": 3, "batch_size": 4, "learning_rate": 0.01}
BACKBONE = TRAINING | {"backbone": "resnet10", "stem": "small"}
CLASSIFIER = TRAINING | {"model": "cnn", "image_size": 8, "feature_epochs": [1, 3]}
SEGMENTER = TRAINING | {"model": "fcn8s", "image_size": 32}
GRID = {"tile": 8, "stride": 8, "min_land_fraction": 0.3, "block_degrees": 12}
GRID |= {"val": 0.2, "test": 0.2}
TILES = GRID | {"source": "earth_tiles", "labels": "igbp"}
TILES |= {"min_majority_fraction": 0.5, "min_images_per_class": 1}
MAPS = GRID | {"source": "earth_maps"}
EMBED = {"seed": 0, "methods": ["pca", "tsne"], "max_points": 16, "pca_components": 4}
EMBED |= {"perplexity": 3.0, "random_state": 0}
STARTS = {"A": "none", "B": "supervised", "C": "byol", "D": "supervised", "E": "byol"}
MACHINE = {"cpu_capability": "AMD AVX512", "device": "cpu", "precision": "float32"}
MACHINE |= {"torch": "2.15.0", "threads": 1}
SPLITS = ["train"] * 6 + ["val"] * 6 + ["test"] * 12


def fake_params() -> Params:
    """A configuration with tasks of every stage."""
    return parse(
        {
            "datasets": {
                "zones": TILES | {"region": "world"},
                "old": TILES | {"region": "oldworld"},
                "new": TILES | {"region": "newworld"},
                "people": {"source": "orl", "val": 0.2, "test": 0.2},
                "cover": MAPS | {"labels": "deepglobe"},
                "groups": MAPS | {"labels": "igbp"},
            },
            **_training_tasks(),
            "segment_anything": {
                "baseline": {
                    "data": "cover",
                    "runs": ["tiny_one"],
                    "images": ["0012", "0013"],
                    "recipes": {"tiny_one": {"model": "small", "weights": "none"}},
                },
            },
            "embed": {
                "cnn": EMBED
                | {"stage": "classify", "task": "baseline", "run": "cnn", "split": "test"},
                "byol_finetuned": EMBED
                | {"stage": "finetune", "task": "tiny", "run": "C", "split": "train"},
            },
            "plot": {"dpi": 50},
        }
    )


def _training_tasks() -> dict[str, Any]:
    finetuning = BACKBONE | {"head_hidden_dim": 8, "feature_epochs": [1, 3]}
    return {
        "pretrain": {
            "tiny": {
                "data": "old",
                "seeds": [0, 1, 2],
                "runs": ["byol", "supervised"],
                "recipes": {
                    run: BACKBONE | {"method": run, "augment": {"flip": True}}
                    for run in ("byol", "supervised")
                },
            }
        },
        "finetune": {
            "tiny": {
                "data": "new",
                "pretraining": "tiny",
                "seeds": [0, 1, 2],
                "runs": list("ABCDE"),
                "common": finetuning,
                "recipes": {
                    run: {"start": start, "frozen": run in "DE"} for run, start in STARTS.items()
                },
                "comparisons": [
                    {"runs": ["B", "A"], "question": "Does supervised pretraining help?"},
                    {"runs": ["C", "A"], "question": "Does BYOL pretraining help?"},
                    ["C", "B"],
                    ["E", "D"],
                ],
                "gap": ["A", "C"],
            }
        },
        "classify": {
            "baseline": {
                "data": "zones",
                "seeds": [0],
                "runs": ["cnn", "big"],
                "recipes": {"cnn": CLASSIFIER, "big": CLASSIFIER | {"ensemble_epochs": 3}},
            },
            "transfer": {
                "data": "people",
                "seeds": [0, 1],
                "runs": ["scratch"],
                "recipes": {"scratch": CLASSIFIER},
            },
        },
        "segment": {
            "baseline": {
                "data": "cover",
                "seeds": [0],
                "runs": ["fcn"],
                "images": ["0012", "0013"],
                "overlays": ["fcn"],
                "recipes": {"fcn": SEGMENTER},
            },
            "skips": {
                "data": "groups",
                "seeds": [0],
                "runs": ["skip", "merged"],
                "images": ["0012"],
                "published_curve": "skip",
                "recipes": {"skip": SEGMENTER, "merged": SEGMENTER | {"merge_classes": 3}},
            },
        },
    }


def fake_results(results: Path, params: Params) -> None:
    """Write the prepared datasets and the outputs of every job of `params`."""
    for name in ("zones", "old", "new", "people"):
        fake_dataset(results / "prepare" / name, ["wet", "dry <b>|", "cold"], None, maps=False)
    cover = ["urban", "forest", "water", "unknown"]
    fake_dataset(results / "prepare" / "cover", cover, 3, maps=True)
    merged = {"3": {"classes": class_entries(["water", "green", "grey"]), "map": [0, 1, 1, 2]}}
    groups = ["sea", "wood", "grass", "rock"]
    fake_dataset(results / "prepare" / "groups", groups, 4, maps=True, merged=merged)
    fake_jobs(results, params)
    fake_segment_anything(results, params)


def fake_segment_anything(results: Path, params: Params) -> None:
    """Write scores and outlines of Segment Anything: three masks, all of the first image."""
    rng = np.random.default_rng(3)
    for name, task in params.segment_anything.items():
        for run in task.runs:
            folder = results / "segment_anything" / name / run
            scores = {"image": task.images[:1] * 3, "predicted_iou": [0.9, 0.8, 0.7]}
            scores |= {"stability": [0.99, 0.97, 0.98]}
            write_csv(folder / "scores.csv", pd.DataFrame(scores))
            (folder / "outlines").mkdir(parents=True)
            for image in task.images:
                pixels = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(folder / "outlines" / f"{image}.png")


def class_entries(names: list[str]) -> list[dict[str, Any]]:
    """Classes as in dataset.json."""
    return [
        {"id": i, "name": name, "color": [60 * i, 255 - 60 * i, 90]} for i, name in enumerate(names)
    ]


def fake_dataset(
    folder: Path,
    names: list[str],
    ignore: int | None,
    maps: bool,
    merged: dict[str, Any] | None = None,
) -> None:
    """Write a prepared dataset of 24 images of 8 x 8 pixels, with a label or a label map each."""
    rng = np.random.default_rng(1)
    n = len(SPLITS)
    ids = len(names) + (ignore == len(names))
    labels = rng.integers(0, ids, (n, 8, 8) if maps else n).astype(np.uint8)
    image_ids = [f"{i:04d}" for i in range(n)]
    index = pd.DataFrame({"id": image_ids, "split": SPLITS, "group": image_ids})
    if not maps:
        index["label"] = labels
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", rng.integers(0, 256, (n, 8, 8, 3)).astype(np.uint8))
    np.save(folder / "labels.npy", labels)
    write_csv(folder / "index.csv", index)
    info = {
        "name": folder.name,
        "height": 8,
        "width": 8,
        "kind": "segmentation" if maps else "classification",
        "classes": class_entries(names),
        "ignore": ignore,
        "images": {split: SPLITS.count(split) for split in ("train", "val", "test")},
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
        "merged": merged or {},
        "source": "drawn <for> the tests",
        "licence": "none needed",
        "note": f"Not real: {folder.name}.",
    }
    write_json(folder / "dataset.json", info)


def fake_jobs(results: Path, params: Params) -> None:
    """Write the outputs of every training job; the prepared datasets must be in `results`."""
    rng = np.random.default_rng(2)
    skill = {"A": 0.75, "B": 0.82, "C": 0.9, "D": 0.8, "big": 1.0}  # above a constant prediction
    for job in jobs(params):
        task = getattr(params, job.stage)[job.task]
        folder, dataset = job.folder(results), results / "prepare" / task.data
        if job.stage == "pretrain":
            write_csv(folder / "history.csv", pretrain_history(job.run, 6, rng))
            write_bytes(folder / "backbone.safetensors", job.run.encode())
        elif job.stage in CLASSIFYING:
            fake_classifier(folder, dataset, skill.get(job.run, 0.9), rng)
            if getattr(task.recipes[job.run], "ensemble_epochs", 1) > 1:
                add_best_epoch(folder / "predictions.csv")
        else:
            merge = task.recipes[job.run].merge_classes
            fake_segmenter(folder, dataset, task.images, merge, rng)


def history(epochs: int, rng: np.random.Generator) -> pd.DataFrame:
    """A falling loss and a noisy rising score."""
    epoch = np.arange(1, epochs + 1)
    loss = 2 * np.exp(-epoch / epochs) + rng.normal(0, 0.03, epochs)
    score = 0.7 - 0.4 * np.exp(-3 * epoch / epochs) + rng.normal(0, 0.01, epochs)
    columns = {"epoch": epoch, "step": 10 * epoch, "learning_rate": 0.01, "train_loss": loss}
    frame = pd.DataFrame(columns | {"score": score})
    frame["selected"] = (np.arange(epochs) == score.argmax()).astype(int)
    return frame.assign(**MACHINE)


def pretrain_history(method: str, epochs: int, rng: np.random.Generator) -> pd.DataFrame:
    """Like `history`, with the random network as epoch 0."""
    frame = history(epochs, rng).rename(columns={"score": "knn_accuracy"})
    first = {"epoch": 0, "step": 0, "learning_rate": 0, "knn_accuracy": 0.3, "selected": 0}
    first |= MACHINE
    frame = pd.concat([pd.DataFrame([first]), frame], ignore_index=True)
    if method == "byol":
        columns = {"tau": 0.99, "feature_std": 0.8, "effective_rank": 12.5}
        return frame.drop(columns="selected").assign(**columns)
    return frame.assign(val_accuracy=frame["knn_accuracy"] + 0.05)


def fake_classifier(folder: Path, dataset: Path, skill: float, rng: np.random.Generator) -> None:
    """Predictions that are right with probability `skill`, a history, features of three epochs."""
    index = pd.read_csv(dataset / "index.csv", dtype={"id": str})
    count = len(read_json(dataset / "dataset.json")["classes"])
    held_out = index[index["split"] != "train"]
    guess = rng.integers(0, count, len(held_out))
    right = rng.random(len(held_out)) < skill
    table = held_out[["id", "split", "label"]].assign(
        prediction=np.where(right, held_out["label"], guess), confidence=rng.random(len(held_out))
    )
    write_csv(folder / "predictions.csv", table)
    frame = history(12, rng).rename(columns={"score": "val_accuracy"})
    write_csv(folder / "history.csv", frame.assign(train_accuracy=0.5, val_loss=1.0))
    write_bytes(folder / "model.safetensors", rng.bytes(8))
    rows = held_out.index.to_numpy(np.int64)
    centres = rng.normal(0, 1, (count, 10))
    tensors = {"label": index["label"].to_numpy(np.int64)[rows], "row": rows}
    for epoch, strength in ((1, 0.5), (6, 1.5), (12, 3.0)):
        noise = rng.normal(0, 1, (len(rows), 10))
        points = strength * centres[tensors["label"]] + noise
        tensors[f"epoch_{epoch:04d}"] = points.astype(np.float32)
    save_file(tensors, folder / "features.safetensors")


def add_best_epoch(path: Path) -> None:
    """Add what the best epoch of an ensemble predicts: another class for every third image."""
    table = pd.read_csv(path, dtype={"id": str})
    other = (table["prediction"] + (table.index % 7 == 0)) % (table["label"].max() + 1)
    write_csv(path, table.assign(best_epoch_prediction=other))


def fake_segmenter(
    folder: Path, dataset: Path, images: list[str], merge: int | None, rng: np.random.Generator
) -> None:
    """Label maps of all val and test images, and of `images` at three epochs."""
    info = read_json(dataset / "dataset.json")
    truth = np.load(dataset / "labels.npy")
    classes, ignore = info["classes"], info["ignore"]
    if merge is not None:
        merged = info["merged"][str(merge)]
        table = np.arange(256)
        table[: len(merged["map"])] = merged["map"]
        truth, classes = table[truth], merged["classes"]
    ids = [entry["id"] for entry in classes if entry["id"] != ignore]
    index = pd.read_csv(dataset / "index.csv", dtype={"id": str})

    def predict(row: int, skill: float) -> np.ndarray:
        guess = rng.choice(ids, truth[row].shape)
        right = (rng.random(truth[row].shape) < skill) & (truth[row] != ignore)
        return np.where(right, truth[row], guess).astype(np.uint8)

    for row, (name, split) in enumerate(zip(index["id"], index["split"], strict=True)):
        if split != "train":
            write_mask(folder / "predictions" / f"{name}.png", predict(row, 0.8))
        if name in images:
            for epoch, skill in (("early", 0.2), ("middle", 0.5), ("final", 0.8)):
                write_mask(folder / "masks" / f"{name}_{epoch}.png", predict(row, skill))
    write_json(folder / "masks" / "epochs.json", {"early": 1, "middle": 6, "final": 12})
    write_bytes(folder / "model.safetensors", rng.bytes(8))
    frame = history(12, rng).rename(columns={"score": "val_miou"})
    write_csv(folder / "history.csv", frame.assign(val_pixel_accuracy=0.5))


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write a label map."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)
