"""The files that `reprise predict` writes: a csv file of classes, or a mask for each image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from reprise.atomic_io import move_into_folder, write_text
from reprise.images import read_rgb
from reprise.predict.trained_run import TrainedRun
from reprise.predict.windows import Scale, Windows, image_logits, label_map

FILENAME_COLUMNS = ("filename", "image_id")  # the courses' name for it differs by year
COLUMNS = ("id", *FILENAME_COLUMNS, "label")


@dataclass(frozen=True)
class InputImage:
    """One image to predict: its id and file name as the output repeats them, and its path."""

    id: str
    filename: str
    path: Path


def write_classes(
    out: Path,
    run: TrainedRun,
    images: Sequence[InputImage],
    header: str,
    columns: Sequence[str],
    probabilities: bool = False,
) -> None:
    """Write a CSV file with the predicted class name of each image, completely or not at all.

    Images of another size than the training images are brought to it as those were: scaled and
    cropped to the center, or squashed. probabilities: also a column for each class.
    """
    rows, names = [], run.classes.names
    shares = []
    for chunk in chunks(run, images):
        logits = run.logits(np.stack([run.read(image.path) for image in chunk]))
        shares.append(logits.softmax(1).cpu().numpy())
        for image, number in zip(chunk, logits.argmax(1).tolist(), strict=True):
            rows.append((image.id, image.filename, image.filename, names[number]))
    table = pd.DataFrame(rows, columns=list(COLUMNS))[list(columns)]
    if probabilities:
        added = [f"p: {name}" for name in names]
        values = pd.DataFrame(np.concatenate(shares), columns=added)
        table = pd.concat([table, values], axis=1)
        header = f"{header},{values.head(0).to_csv(index=False).strip()}"
    lines = table.to_csv(header=False, index=False, float_format="%.6f", lineterminator="\n")
    write_text(out, f"{header}\n{lines}")


def probabilities_name(mask: str) -> str:
    """The name of the file of probabilities that belongs to a mask."""
    return f"{mask.removesuffix('.png')}.npy"


def write_masks(
    out: Path,
    run: TrainedRun,
    images: Sequence[InputImage],
    names: Sequence[str],
    scale: Scale,
    probabilities: bool = False,
) -> None:
    """Write a mask of each image, of its size, in the colors of the dataset: all masks or none.

    probabilities: also a file .npy for each, (classes, H, W) float16. Raises RepriseError for an
    image that cannot be read or has an unsupported size (see `Windows`).
    """
    colors = np.array(run.classes.colors, np.uint8)
    windows = (
        Windows(read_rgb(image.path, None), run.shape, scale, str(image.path)) for image in images
    )
    all_logits = image_logits(run.logits, windows, run.batch_size)
    with move_into_folder(out) as folder, progress_bar(len(images)) as bar:
        for name, logits in zip(names, all_logits, strict=True):
            Image.fromarray(colors[label_map(logits)]).save(folder / name)
            if probabilities:
                shares = logits.softmax(0).cpu().numpy().astype(np.float16)
                np.save(folder / probabilities_name(name), shares)
            bar.update()


def chunks(run: TrainedRun, images: Sequence[InputImage]) -> Iterator[Sequence[InputImage]]:
    """The images in chunks of one batch, with a progress bar."""
    with progress_bar(len(images)) as bar:
        for start in range(0, len(images), run.batch_size):
            chunk = images[start : start + run.batch_size]
            yield chunk
            bar.update(len(chunk))


def progress_bar(images: int) -> "tqdm[NoReturn]":
    """A progress bar over images; it is quiet where the output is not a terminal."""
    return tqdm(total=images, unit="image", disable=None, leave=False)
