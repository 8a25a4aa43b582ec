"""What a trained run says of images: a class of each, or a label map of each."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from reprise.data.course.pictures import read_picture
from reprise.data.inputs import at_once
from reprise.data.store import Bytes
from reprise.prediction.asked import Asked
from reprise.prediction.runs import Trained
from reprise.prediction.windows import cut, joined
from reprise.training.classification import forward
from reprise.training.segmentation import logits_at


def classes_of(run: Trained, asked: Sequence[Asked]) -> list[str]:
    """The class of each image by its name; a course's numbers are the names of its classes.

    An image of another size than those that the run learnt from is scaled and cut to the middle.
    Raises RepriseError for an image that cannot be read.
    """
    names = [str(entry["name"]) for entry in run.network.classes]
    found: list[str] = []
    for part in parts(run, asked):
        images = np.stack([read_picture(one.path, run.shape) for one in part])
        rows = np.arange(len(part))
        inputs = run.inputs(images)
        logits = forward(run.network.model, inputs.plain, rows, run.device, inputs.at_once)
        found += [names[number] for number in logits.argmax(1).tolist()]
    return found


def masks_of(run: Trained, asked: Sequence[Asked]) -> Iterator[NDArray[np.uint8]]:
    """The label map of each image in turn, (H, W) uint8, of the image's own size.

    Raises RepriseError for an image that cannot be read, or is a mere strip.
    """
    model, shape = run.network.model, run.shape
    for part in parts(run, asked):
        cuts = [cut(read_picture(one.path, None), shape, str(one.path)) for one in part]
        counts = [len(one.places) for one in cuts]
        windows = np.concatenate([one.windows for one in cuts])
        inputs, rows = run.inputs(windows), np.arange(len(windows))
        logits = forward(
            lambda x: logits_at(model, x, shape), inputs.plain, rows, run.device, inputs.at_once
        )
        for one, own in zip(cuts, torch.split(logits, counts), strict=True):
            yield joined(own, one).cpu().numpy().astype(np.uint8)


def palette_of(run: Trained) -> Bytes:
    """Colours of the classes, (classes, 3) uint8."""
    return np.array([entry["color"] for entry in run.network.classes], np.uint8)


def parts(run: Trained, asked: Sequence[Asked]) -> Iterator[Sequence[Asked]]:
    """The images in parts that go through the network at once; shows how far it got."""
    size = run.network.image_size
    step = at_once((size, size) if size else run.shape, run.device.device)
    with tqdm(total=len(asked), unit="image", disable=None, leave=False) as shown:
        for start in range(0, len(asked), step):
            part = asked[start : start + step]
            yield part
            shown.update(len(part))
