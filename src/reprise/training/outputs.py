"""The files of a training job."""

from pathlib import Path

import pandas as pd
from PIL import Image
from safetensors.torch import save
from torch import Tensor

from reprise.errors import RepriseError
from reprise.files import folder_aside, write_bytes, write_csv, write_json
from reprise.training import classification, segmentation
from reprise.training.loop import Row

HISTORY_ORDER = ("epoch", "step", "learning_rate", "tau", "train_loss", "train_accuracy")


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write safetensors without metadata, so that the same tensors give the same bytes.

    Raises RepriseError, before anything is written, for a number that is not finite.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise RepriseError(
                f"{path}: {name} holds numbers that are not finite; lower learning_rate"
            )
    write_bytes(path, save({name: t.detach().cpu().contiguous() for name, t in tensors.items()}))


def write_history(path: Path, rows: list[Row]) -> None:
    """Write history.csv: one row an epoch, empty where a value does not exist."""
    table = pd.DataFrame(rows)
    first = [name for name in HISTORY_ORDER if name in table]
    table = table[first + [name for name in table if name not in first]]
    write_csv(path, table, float_format="%.8g")


def write_classifier(folder: Path, outcome: classification.Outcome) -> None:
    """Write model, history, predictions and features."""
    write_tensors(folder / "model.safetensors", outcome.state)
    write_tensors(folder / "features.safetensors", outcome.features)
    write_csv(folder / "predictions.csv", outcome.predictions)
    write_history(folder / "history.csv", outcome.history)


def write_segmenter(folder: Path, outcome: segmentation.Outcome) -> None:
    """Write model, history, and label maps as PNG."""
    write_tensors(folder / "model.safetensors", outcome.state)
    write_masks(folder / "predictions", outcome.predictions)
    write_masks(folder / "masks", outcome.masks, outcome.shown_epochs)
    write_history(folder / "history.csv", outcome.history)


def write_masks(
    folder: Path, masks: segmentation.Masks, epochs: dict[str, int] | None = None
) -> None:
    """Write label maps as grey PNG files of class ids, the folder as a whole."""
    with folder_aside(folder) as part:
        for name, mask in masks.items():
            Image.fromarray(mask).save(part / f"{name}.png")
        if epochs is not None:
            write_json(part / "epochs.json", epochs)
