"""Made-up results of the preset course in the published sizes: what its report has to hold.

Classification has the published number of test images. Segmentation has the published size of the
images and few of them, because tables and figures do not grow with their number.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from reprise.atomic_io import write_bytes, write_csv, write_json
from reprise.datasets.classes import CAMVID, CAMVID_THREE, DEEPGLOBE
from reprise.jobs import CLASSIFYING, Job, jobs
from reprise.params.load import Params
from support.fake_results import add_best_epoch, fake_segment_anything, history, pretrain_history

# train, val and test images, height and width, classes
SIZES = {
    "dlcv_50": ((50, 50, 2500), (32, 32), 50),
    "celeba_makeup": ((20, 20, 400), (218, 178), 2),
    "mini_imagenet": ((4, 4, 0), (128, 128), 64),
    "mini_imagenet_bicubic": ((4, 4, 0), (128, 128), 64),
    "office_home": ((2500, 65, 406), (128, 128), 65),
    "office_home_bicubic": ((2500, 65, 406), (128, 128), 65),
    "deepglobe": ((4, 2, 12), (512, 512), 7),
    "camvid": ((4, 2, 6), (360, 480), 12),
    "camvid_segnet": ((4, 2, 6), (360, 480), 12),
}


def course_results(results: Path, params: Params) -> None:
    """Write the prepared datasets and the outputs of every job of the preset course."""
    rng = np.random.default_rng(5)
    shown: dict[str, list[str]] = {}
    for tasks in (params.segment, params.segment_anything):
        for task in tasks.values():
            shown.setdefault(task.data, []).extend(task.images)
    for name, size in SIZES.items():
        write_dataset(results / "prepare" / name, *size, shown.get(name, []), rng)
    for job in jobs(params):
        data = results / "prepare" / getattr(params, job.stage)[job.task].data
        write_job(job, params, job.folder(results), data, rng)
    fake_segment_anything(results, params)
    for name, block in params.embed.items():
        task = getattr(params, block.stage)[block.task]
        write_points(results / "embed" / name, results / "prepare" / task.data, block, rng)


def write_dataset(
    folder: Path,
    counts: tuple[int, int, int],
    size: tuple[int, int],
    classes: int,
    shown: list[str],
    rng: np.random.Generator,
) -> None:
    """A prepared dataset of smooth images with some noise, as photographs are."""
    maps = classes in (7, 12)
    splits = np.repeat(["train", "val", "test"], counts)
    n = len(splits)
    ids = [f"{number}" for number in range(n)]
    for place, image in enumerate(dict.fromkeys(shown)):
        ids[n - 1 - place] = image
    folder.mkdir(parents=True)
    images = np.stack([photo(size, rng) for _ in range(min(n, 40))])
    np.save(folder / "images.npy", images[np.arange(n) % len(images)])
    labels = (np.arange(n) % classes).astype(np.uint8)
    index = pd.DataFrame({"id": ids, "split": splits, "group": ids})
    if maps:
        labels = np.stack([label_map(size, classes, rng) for _ in range(n)])
    else:
        index["label"] = labels
    np.save(folder / "labels.npy", labels)
    write_csv(folder / "index.csv", index)
    known = {7: DEEPGLOBE, 12: CAMVID}.get(classes, ())
    names = [name for name, _ in known] or [f"class {number}" for number in range(classes)]
    colors = [color for _, color in known] or [(number, 90, 255 - number) for number in range(99)]
    names += ["void"] * (classes - len(names))
    entries = entries_of(names, [*colors, (0, 0, 0)])
    three = entries_of(*zip(*CAMVID_THREE, strict=True))
    info: dict[str, Any] = {
        "name": folder.name, "height": size[0], "width": size[1], "classes": entries,
        "kind": "segmentation" if maps else "classification",
        "ignore": {7: 6, 12: 11}.get(classes), "mean": [0.5] * 3, "std": [0.25] * 3,
        "merged": {"3": {"classes": three, "map": [0] + [1] * 7 + [2] * 3 + [1]}} if maps else {},
        "images": dict(zip(("train", "val", "test"), counts, strict=True)),
        "source": "made up for a test", "licence": "none needed", "note": "",
    }  # fmt: skip
    write_json(folder / "dataset.json", info)


def entries_of(names: Any, colors: Any) -> list[dict[str, Any]]:
    """Classes as in dataset.json."""
    pairs = zip(names, colors, strict=False)
    return [{"id": i, "name": name, "color": list(c)} for i, (name, c) in enumerate(pairs)]


def photo(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A smooth picture with noise, (H, W, 3) uint8."""
    small = Image.fromarray(rng.integers(0, 256, (size[0] // 8, size[1] // 8, 3)).astype(np.uint8))
    smooth = np.asarray(small.resize(size[::-1], Image.Resampling.BICUBIC), np.int64)
    return np.clip(smooth + rng.integers(-8, 9, smooth.shape), 0, 255).astype(np.uint8)


def label_map(size: tuple[int, int], classes: int, rng: np.random.Generator) -> np.ndarray:
    """Some 60 regions with the smooth borders of upsampled logits, (H, W) uint8."""
    logits = rng.normal(size=(classes, -(-size[0] // 64), -(-size[1] // 64))).astype(np.float32)
    scaled = [Image.fromarray(one).resize(size[::-1], Image.Resampling.BILINEAR) for one in logits]
    return np.argmax([np.asarray(one) for one in scaled], axis=0).astype(np.uint8)


def write_job(job: Job, params: Params, folder: Path, data: Path, rng: np.random.Generator) -> None:
    """What a training writes, apart from its features."""
    task = getattr(params, job.stage)[job.task]
    index = pd.read_csv(data / "index.csv", dtype={"id": str})
    epochs = 20
    if job.stage == "pretrain":
        write_csv(folder / "history.csv", pretrain_history(job.run, epochs, rng))
        return write_bytes(folder / "backbone.safetensors", b"0")
    write_bytes(folder / "model.safetensors", b"0")
    if job.stage in CLASSIFYING:
        held = index[index["split"] != "train"]
        guess = rng.integers(0, held["label"].max() + 1, len(held))
        right = rng.random(len(held)) < 0.6
        table = held[["id", "split", "label"]].assign(
            prediction=np.where(right, held["label"], guess), confidence=rng.random(len(held))
        )
        write_csv(folder / "predictions.csv", table)
        if getattr(task.recipes[job.run], "ensemble_epochs", 1) > 1:
            add_best_epoch(folder / "predictions.csv")
        frame = history(epochs, rng).rename(columns={"score": "val_accuracy"})
        return write_csv(folder / "history.csv", frame.assign(train_accuracy=0.7, val_loss=1.0))
    recipe = task.recipes[job.run]
    size, count = np.load(data / "labels.npy", mmap_mode="r").shape[1:], 3
    if recipe.merge_classes is None:
        count = 6 if len(task.images) > 1 else 11
    if recipe.augment.crop_pixels:
        size = (recipe.augment.crop_pixels,) * 2
    for folder_name, names in (
        ("predictions", index.loc[index["split"] != "train", "id"]),
        ("masks", [f"{image}_{epoch}" for image in task.images for epoch in SHOWN]),
    ):
        (folder / folder_name).mkdir(parents=True)
        for name in names:
            mask = label_map(size, count, rng)
            Image.fromarray(mask).save(folder / folder_name / f"{name}.png")
    write_json(folder / "masks" / "epochs.json", dict(zip(SHOWN, (1, 10, 20), strict=True)))
    if recipe.score_shown_epochs:
        matrix = np.eye(8, dtype=int).tolist()
        write_json(folder / "masks" / "test_confusion.json", dict.fromkeys(SHOWN, matrix))
    frame = history(epochs, rng).rename(columns={"score": "val_miou"})
    return write_csv(folder / "history.csv", frame.assign(val_pixel_accuracy=0.5))


SHOWN = ("early", "middle", "final")


def write_points(folder: Path, data: Path, block: Any, rng: np.random.Generator) -> None:
    """Layouts of as many points as the block takes, at three epochs."""
    index = pd.read_csv(data / "index.csv", dtype={"id": str})
    rows = index.index[index["split"] == block.split][: block.max_points]
    for method in block.methods:
        frames = [
            pd.DataFrame({"epoch": epoch, "row": rows, "label": index["label"][rows]}).assign(
                x=rng.normal(size=len(rows)), y=rng.normal(size=len(rows))
            )
            for epoch in (1, 10, 20)
        ]
        write_csv(folder / f"{method}.csv", pd.concat(frames))
        layout = pd.DataFrame({"epoch": [1, 10, 20], "trustworthiness": 0.9, "knn_layout": 0.5})
        layout = layout.assign(knn_features=0.6, variance_x=0.2, variance_y=0.1)
        write_csv(folder / f"{method}.layout.csv", layout)
