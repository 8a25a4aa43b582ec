"""A small results folder of the formats that the stages write; the numbers in it are drawn."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from safetensors.numpy import save_file

from reprise.files import read_json, write_array, write_bytes, write_csv, write_json
from reprise.params import Params, parse

TRAINING: dict[str, Any] = {"epochs": 3, "batch_size": 4, "learning_rate": 0.01}
BACKBONE = TRAINING | {"backbone": "resnet10", "stem": "small"}
CLASSIFIER = TRAINING | {"model": "cnn", "image_size": 8, "features": [1, 3]}
SEGMENTER = TRAINING | {"model": "fcn8s", "image_size": 32}
GRID = {"tile": 8, "stride": 8, "land": 0.3, "block": 12, "select": 0.2, "report": 0.2}
TILES = GRID | {"source": "tiles", "labels": "igbp", "majority": 0.5, "least": 1}
MAPS = GRID | {"source": "maps"}
ROLES = ["train"] * 6 + ["select"] * 6 + ["report"] * 12


def fake_params() -> Params:
    """A configuration with every part in it."""
    common = BACKBONE | {"hidden": 8, "features": [1, 3]}
    settings = {name: {"frozen": name in "DE"} for name in "ABCDE"}
    values = {
        "runtime": {},
        "weights": {},
        "prepare": {
            "sets": ["zones", "old", "new", "people", "cover", "groups"],
            "recipes": {
                "zones": TILES | {"region": "world"},
                "old": TILES | {"region": "oldworld"},
                "new": TILES | {"region": "newworld"},
                "people": {"source": "faces", "select": 0.2, "report": 0.2},
                "cover": MAPS | {"labels": "course"},
                "groups": MAPS | {"labels": "igbp"},
            },
        },
        "pretrain": {
            "data": "old",
            "runs": ["tiny"],
            "methods": ["byol", "supervised"],
            "recipes": {"tiny": {"byol": BACKBONE, "supervised": BACKBONE}},
        },
        "finetune": {
            "data": "new",
            "runs": ["tiny"],
            "settings": {"scratch": ["A"], "supervised": ["B", "D"], "byol": ["C", "E"]},
            "seeds": [0, 1, 2],
            "recipes": {"tiny": {"common": common} | settings},
        },
        "classify": {
            "data": "zones",
            "runs": ["cnn", "big"],
            "seeds": [0],
            "recipes": {"cnn": CLASSIFIER, "big": CLASSIFIER | {"vote": 3}},
        },
        "faces": {
            "data": "people",
            "runs": ["scratch"],
            "seeds": [0, 1],
            "recipes": {"scratch": CLASSIFIER},
        },
        "segment": {
            "data": "cover",
            "runs": ["fcn"],
            "seeds": [0],
            "images": ["0012", "0013"],
            "recipes": {"fcn": SEGMENTER},
        },
        "street": {
            "data": "groups",
            "runs": ["skip", "merged"],
            "seeds": [0],
            "images": ["0012"],
            "recipes": {"skip": SEGMENTER, "merged": SEGMENTER | {"merge": 3}},
        },
        "anything": {
            "data": "cover",
            "runs": ["tiny_one"],
            "images": ["0012", "0013"],
            "recipes": {"tiny_one": {"model": "small", "weights": "none"}},
        },
        "embed": {
            "methods": ["pca", "tsne"],
            "classify": {"run": "cnn", "seed": 0},
            "finetune": {"run": "tiny", "setting": "C", "seed": 0},
            "points": 16,
            "components": 4,
            "perplexity": 3,
            "seed": 0,
        },
        "plot": {"dpi": 50},
    }
    return parse(values)


def fake_results(results: Path, params: Params) -> None:
    """Write the prepared sets, then every job of `params`."""
    for name in ("zones", "old", "new", "people"):
        fake_set(results / "prepare" / name, ["wet", "dry <b>|", "cold"], None, maps=False)
    fake_set(results / "prepare" / "cover", ["urban", "forest", "water", "unknown"], 3, maps=True)
    merged = {"3": {"classes": classes(["water", "green", "grey"]), "map": [0, 1, 1, 2]}}
    names = ["sea", "wood", "grass", "rock"]
    fake_set(results / "prepare" / "groups", names, 4, maps=True, merged=merged)
    fake_jobs(results, params)
    fake_anything(results, params)


def fake_anything(results: Path, params: Params) -> None:
    """Write scores and outlines of Segment Anything: three masks of the first image alone."""
    rng = np.random.default_rng(3)
    for run in params.anything.runs:
        folder = results / "anything" / run
        scores = {"image": params.anything.images[:1] * 3, "predicted_iou": [0.9, 0.8, 0.7]}
        write_csv(folder / "scores.csv", pd.DataFrame(scores | {"stability": [0.99, 0.97, 0.98]}))
        (folder / "outlines").mkdir(parents=True)
        for image in params.anything.images:
            pixels = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "outlines" / f"{image}.png")


def classes(names: list[str]) -> list[dict[str, Any]]:
    """Classes as in dataset.json."""
    return [
        {"id": i, "name": name, "color": [60 * i, 255 - 60 * i, 90]} for i, name in enumerate(names)
    ]


def fake_set(
    folder: Path,
    names: list[str],
    ignore: int | None,
    maps: bool,
    merged: dict[str, Any] | None = None,
) -> None:
    """Write a prepared set of 24 images of 8 x 8."""
    rng = np.random.default_rng(1)
    n = len(ROLES)
    ids = len(names) + (ignore == len(names))
    labels = rng.integers(0, ids, (n, 8, 8) if maps else n).astype(np.uint8)
    index = pd.DataFrame({"id": [f"{i:04d}" for i in range(n)], "role": ROLES})
    if not maps:
        index["label"] = labels
    write_array(folder / "images.npy", rng.integers(0, 256, (n, 8, 8, 3)).astype(np.uint8))
    write_array(folder / "labels.npy", labels)
    write_csv(folder / "index.csv", index)
    about = {
        "name": folder.name,
        "height": 8,
        "width": 8,
        "task": "segmentation" if maps else "classification",
        "classes": classes(names),
        "ignore": ignore,
        "merged": merged or {},
        "source": "drawn <for> the tests",
        "licence": "none needed",
        "note": f"Not real: {folder.name}.",
    }
    write_json(folder / "dataset.json", about)


def fake_jobs(results: Path, params: Params) -> None:
    """Write every job of `params`; the prepared sets must lie in `results` already."""
    rng = np.random.default_rng(2)
    for run in params.pretrain.runs:
        for method in params.pretrain.methods:
            folder = results / "pretrain" / run / method
            write_csv(folder / "history.csv", pretrain_history(method, 6, rng))
            write_bytes(folder / "backbone.safetensors", method.encode())
    skill = {"A": 0.55, "B": 0.62, "C": 0.66, "D": 0.5, "E": 0.6}
    for run in params.finetune.runs:
        for setting in params.finetune.settings.all:
            for seed in params.finetune.seeds:
                folder = results / "finetune" / run / setting / str(seed)
                fake_classifier(folder, results, params.finetune.data, skill[setting], rng)
    for part, block in (("classify", params.classify), ("faces", params.faces)):
        for run in block.runs:
            for seed in block.seeds:
                folder = results / part / run / str(seed)
                fake_classifier(folder, results, block.data, 0.6, rng)
                if block.recipes[run].vote > 1:
                    fake_single(folder / "predictions.csv")
    for part, maps in (("segment", params.segment), ("street", params.street)):
        for run in maps.runs:
            for seed in maps.seeds:
                prepared = results / "prepare" / maps.data
                merge = maps.recipes[run].merge
                fake_segmenter(results / part / run / str(seed), prepared, maps.images, merge, rng)


def history(epochs: int, rng: np.random.Generator) -> pd.DataFrame:
    """A falling loss and a noisy rising score."""
    epoch = np.arange(1, epochs + 1)
    loss = 2 * np.exp(-epoch / epochs) + rng.normal(0, 0.03, epochs)
    score = 0.7 - 0.4 * np.exp(-3 * epoch / epochs) + rng.normal(0, 0.01, epochs)
    columns = {"epoch": epoch, "step": 10 * epoch, "learning_rate": 0.01, "train_loss": loss}
    frame = pd.DataFrame(columns | {"score": score})
    frame["selected"] = (np.arange(epochs) == score.argmax()).astype(int)
    return frame


def pretrain_history(method: str, epochs: int, rng: np.random.Generator) -> pd.DataFrame:
    """Like `history`, with the random network as epoch 0."""
    frame = history(epochs, rng).rename(columns={"score": "knn_accuracy"})
    first = {"epoch": 0, "step": 0, "learning_rate": 0, "knn_accuracy": 0.3, "selected": 0}
    frame = pd.concat([pd.DataFrame([first]), frame], ignore_index=True)
    if method == "byol":
        return frame.drop(columns="selected").assign(tau=0.99, std=0.8, effective_rank=12.5)
    return frame.assign(select_accuracy=frame["knn_accuracy"] + 0.05)


def fake_classifier(
    folder: Path, results: Path, data: str, skill: float, rng: np.random.Generator
) -> None:
    """Predictions that are right with probability `skill`, a history, and two epochs' features."""
    prepared = results / "prepare" / data
    index = pd.read_csv(prepared / "index.csv", dtype={"id": str})
    count = len(read_json(prepared / "dataset.json")["classes"])
    asked = index[index["role"] != "train"]
    guess = rng.integers(0, count, len(asked))
    right = rng.random(len(asked)) < skill
    table = asked[["id", "role", "label"]].assign(
        prediction=np.where(right, asked["label"], guess), confidence=rng.random(len(asked))
    )
    write_csv(folder / "predictions.csv", table)
    frame = history(12, rng).rename(columns={"score": "select_accuracy"})
    write_csv(folder / "history.csv", frame.assign(train_accuracy=0.5, select_loss=1.0))
    write_bytes(folder / "model.safetensors", rng.bytes(8))
    rows = asked.index.to_numpy(np.int64)
    centres = rng.normal(0, 1, (count, 10))
    tensors = {"label": index["label"].to_numpy(np.int64)[rows], "row": rows}
    for epoch, strength in ((1, 0.5), (6, 1.5), (12, 3.0)):
        noise = rng.normal(0, 1, (len(rows), 10))
        points = strength * centres[tensors["label"]] + noise
        tensors[f"epoch_{epoch:04d}"] = points.astype(np.float32)
    save_file(tensors, folder / "features.safetensors")


def fake_single(path: Path) -> None:
    """Add the answers of the single best epoch to those of a vote: of every third image another."""
    table = pd.read_csv(path, dtype={"id": str})
    other = (table["prediction"] + (table.index % 3 == 0)) % (table["label"].max() + 1)
    write_csv(path, table.assign(single=other))


def fake_segmenter(
    folder: Path, prepared: Path, images: list[str], merge: int | None, rng: np.random.Generator
) -> None:
    """Label maps of all held-out images and of the named ones at three epochs."""
    about = read_json(prepared / "dataset.json")
    truth = np.load(prepared / "labels.npy")
    names, ignore = about["classes"], about["ignore"]
    if merge is not None:
        table = np.arange(256)
        table[: len(about["merged"][str(merge)]["map"])] = about["merged"][str(merge)]["map"]
        truth, names = table[truth], about["merged"][str(merge)]["classes"]
    declared = [entry["id"] for entry in names if entry["id"] != ignore]
    index = pd.read_csv(prepared / "index.csv", dtype={"id": str})

    def predict(row: int, skill: float) -> np.ndarray:
        guess = rng.choice(declared, truth[row].shape)
        right = (rng.random(truth[row].shape) < skill) & (truth[row] != ignore)
        return np.where(right, truth[row], guess).astype(np.uint8)

    for row, (name, role) in enumerate(zip(index["id"], index["role"], strict=True)):
        if role != "train":
            write_mask(folder / "predictions" / f"{name}.png", predict(row, 0.6))
        if name in images:
            for moment, skill in (("early", 0.2), ("middle", 0.5), ("final", 0.8)):
                write_mask(folder / "masks" / f"{name}_{moment}.png", predict(row, skill))
    write_json(folder / "masks" / "epochs.json", {"early": 1, "middle": 6, "final": 12})
    write_bytes(folder / "model.safetensors", rng.bytes(8))
    write_csv(folder / "history.csv", history(12, rng).rename(columns={"score": "select_miou"}))


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write a label map."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)
