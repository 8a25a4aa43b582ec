"""Settings D and E, a whole training of 100 epochs: features once, or at each epoch.

Both train a head of 512 on a frozen ResNet-50 with 128-pixel images, batch 32, two threads, and
validate after each epoch. A repetition is one whole job without the start of its process: it
opens the dataset, builds and loads the network, trains, and writes.

Ours is workflow/scripts/finetune.py, run inside this process. The other side is the same training
written plainly, with the project's dataset, augmentation and optimizer, and the whole network
forward at each step and each validation, as in every homework, in the same precision and memory
format as ours, so that the ratio is that of the features alone.
"""

import logging
import runpy
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ruamel.yaml import YAML
from torch import Tensor
from torch.nn import functional as F

from bench.measure import ROOT, THREADS, Comparison, Measured, Side, interleave
from bench.sets import random_set
from bench.timing import seconds_of
from reprise.datasets.batches import Batches, Rows
from reprise.datasets.prepared import read_prepared
from reprise.datasets.rng import permutation
from reprise.models.build import build_backbone, build_finetuned
from reprise.models.weights import load_pretrained, write_tensors
from reprise.params.base import load_block
from reprise.params.finetune import FinetuneCommon, FinetuneTask
from reprise.params.training import load_runtime
from reprise.training.loop import make_optimizer
from reprise.training.runtime import configure_torch
from reprise.training.schedules import learning_rate

AUGMENTS = {"flip": {"flip": True}, "dihedral": {"dihedral": True}, "none": {}}


@dataclass(frozen=True)
class Files:
    """Files that all sides use."""

    folder: Path

    @property
    def backbone(self) -> Path:
        """The pretrained backbone of setting D."""
        return self.folder / "pretrain" / "earth" / "supervised" / "0" / "backbone.safetensors"

    def params(self, augment: str, precision: str) -> Path:
        """A params.yaml: the preset with these values."""
        return self.folder / f"{augment}_{precision}.yaml"


def row(name: str, quick: bool) -> Measured:
    """Ours with 2, 8 and 1 views, and the forward pass at each epoch."""
    counts = {"train": 160, "val": 40, "test": 40}
    epochs, size = (2, 64) if quick else (100, 128)
    logging.getLogger().addHandler(logging.NullHandler())
    with tempfile.TemporaryDirectory() as temporary:
        files = Files(Path(temporary))
        random_set(files.folder / "dataset", counts, size)
        torch.manual_seed(0)
        write_tensors(files.backbone, build_backbone("resnet50", "imagenet").net.state_dict())
        for augment in AUGMENTS:
            write_params(files.params(augment, "auto"), augment, "auto", epochs)
        runs: dict[str, Callable[[], None]] = {
            augment: lambda augment=augment: script(files, augment) for augment in AUGMENTS
        }
        runs["each_epoch"] = lambda: plain(files, "auto")
        texts = {
            "flip": "Reprise: workflow/scripts/finetune.py with left-right flips, features of the "
            "frozen backbone computed once for each of the 2 views",
            "dihedral": "the same with flips and quarter turns, 8 views",
            "none": "the same without augmentation, 1 view",
            "each_epoch": "forward through the frozen backbone in every epoch, left-right flips, "
            "in the same precision and memory format",
        }
        sides = {key: Side(texts[key], seconds_of(run)) for key, run in runs.items()}
        interleave(sides, 1 if quick else 3)
    images = ", ".join(f"{count} {split}" for split, count in counts.items())
    title = f"Frozen ResNet-50 at {size} px, {epochs} epochs"
    return Measured(
        title,
        "s",
        sides,
        [
            Comparison("forward at each epoch, 2 views", "flip", "each_epoch", 30),
            Comparison("forward at each epoch, 8 views", "dihedral", "each_epoch"),
            Comparison("forward at each epoch, no augmentation", "none", "each_epoch"),
        ],
        [
            f"{images} images; whole runs, nothing extrapolated; without interpreter start and "
            "imports on all sides. The other side costs the same whatever the views, so its flip "
            "run serves all three."
        ],
    )


def write_params(path: Path, augment: str, precision: str, epochs: int) -> None:
    """The preset earth with the fine-tuning of this row."""
    yaml = YAML(typ="safe", pure=True)
    values = yaml.load((ROOT / "presets" / "earth.yaml").read_text())
    values["runtime"] |= {"device": "cpu", "precision": precision, "threads": THREADS}
    values["finetune"]["earth"]["common"] |= {
        "backbone": "resnet50", "stem": "imagenet", "head_hidden_dim": 512, "epochs": epochs,
        "batch_size": 32, "feature_epochs": [1], "augment": AUGMENTS[augment],
    }  # fmt: skip
    with path.open("w") as stream:
        yaml.dump(values, stream)


def script(files: Files, augment: str) -> None:
    """The project's job of setting D."""
    before = sys.argv
    out = files.folder / "ours" / augment
    sys.argv = ["finetune.py", "--task", "earth", "--run", "D", "--seed", "0"]
    sys.argv += ["--data", str(files.folder / "dataset"), "--backbone", str(files.backbone)]
    sys.argv += ["--out", str(out), "--params", str(files.params(augment, "auto"))]
    try:
        runpy.run_path(str(ROOT / "workflow" / "scripts" / "finetune.py"), run_name="__main__")
    finally:
        sys.argv = before


def plain(files: Files, precision: str) -> None:
    """The same training with the whole network at each step."""
    params = files.params("flip", precision)
    recipe = load_block(params, "finetune.earth", FinetuneTask).training("D")
    data = read_prepared(files.folder / "dataset", "classification")
    device = configure_torch(load_runtime(params))
    torch.manual_seed(0)
    model = build_finetuned(recipe, len(data.classes.names))
    load_pretrained(model.backbone, files.backbone)
    model.backbone.freeze()
    if precision == "auto":
        device.to_device(model)
    batches = Batches(data, recipe.augment, 0, device.device)
    labels = torch.from_numpy(np.array(data.labels)).long()
    optimizer = make_optimizer(recipe, model)

    def logits_of(images: Tensor) -> Tensor:
        if precision == "float32":
            images = images.contiguous()
        with device.autocast():
            logits: Tensor = model(images).float()
        return logits

    def accuracy(rows: Rows) -> float:
        model.eval()
        correct, size = 0, batches.eval_batch_size
        with torch.no_grad():
            for first in range(0, len(rows), size):
                chosen = rows[first : first + size]
                logits = logits_of(batches.eval_batch(chosen))
                correct += int((logits.argmax(1) == labels[chosen]).sum())
        return correct / len(rows)

    best = -1.0
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        rows = data.rows("train")
        for number, chosen in enumerate(
            full_batches(rows[permutation(0, epoch, len(rows))], recipe)
        ):
            step = (epoch - 1) * (len(rows) // recipe.batch_size) + number
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step, len(rows) // recipe.batch_size)
            loss = F.cross_entropy(logits_of(batches.train_batch(chosen, epoch)), labels[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        if (score := accuracy(data.rows("val"))) > best:
            best = score
            state = {key: value.clone() for key, value in model.state_dict().items()}
    model.load_state_dict(state)
    accuracy(data.rows("test"))
    write_tensors(files.folder / "plain.safetensors", state)


def full_batches(rows: Rows, recipe: FinetuneCommon) -> list[Rows]:
    """Full batches of rows."""
    last = len(rows) - recipe.batch_size + 1
    return [rows[first : first + recipe.batch_size] for first in range(0, last, recipe.batch_size)]
