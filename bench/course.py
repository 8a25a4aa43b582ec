"""One setting and seed as in the homeworks: a program by itself.

A DataLoader over a table of image files with PIL transforms, float32, the whole network forward
at each step (also where the backbone is frozen), Adam, and an evaluation after each epoch that
keeps the best weights. The network comes from `reprise.models`: both sides train the same.

    python -m bench.course --files FOLDER --setting D --backbone FILE --out FOLDER ...
"""

import argparse
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as T

from reprise.models.build import build_finetuned
from reprise.models.convolution import CroppedConv2d, swap_layers
from reprise.models.weights import load_pretrained
from reprise.params.finetune import FinetuneCommon


class Table(Dataset[tuple[Tensor, int]]):
    """Images listed in <folder>/<split>.csv, as in the assignments: file, label."""

    def __init__(
        self, folder: Path, split: str, transform: Callable[[Image.Image], Tensor]
    ) -> None:
        with (folder / f"{split}.csv").open() as stream:
            self.lines = [(folder / name, int(label)) for name, label in csv.reader(stream)]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        path, label = self.lines[row]
        return self.transform(Image.open(path).convert("RGB")), label


def main() -> None:
    """Train, evaluate after each epoch, save the best weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=Path, required=True)
    parser.add_argument("--setting", choices=list("ABCDE"), required=True)
    parser.add_argument("--backbone", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--network", nargs=2, required=True, help="backbone and stem")
    parser.add_argument("--classes", type=int, required=True)
    parser.add_argument("--hidden", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--workers", type=int, required=True)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    train, valid = loaders(args)
    model = network(args)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=args.rate)
    best = -1.0
    for epoch in range(args.epochs):
        loss = train_epoch(model, train, optimizer)
        accuracy = evaluate(model, valid)
        print(f"epoch {epoch + 1}: loss {loss:.4f}, accuracy {accuracy:.4f}")
        if accuracy > best:
            best = accuracy
            args.out.mkdir(parents=True, exist_ok=True)
            torch.save(model.state_dict(), args.out / "best.pt")


def loaders(args: Any) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Training images flipped and turned as the dihedral augmentation does, validation plain."""
    plain: list[Any] = [T.ToTensor(), T.Normalize([0.5] * 3, [0.25] * 3)]
    turns = [T.RandomHorizontalFlip(), T.RandomVerticalFlip(), T.RandomApply([QuarterTurn()], 0.5)]
    data = [Table(args.files, "train", T.Compose(turns + plain))]
    data.append(Table(args.files, "val", T.Compose(plain)))
    return (
        DataLoader(data[0], args.batch, True, num_workers=args.workers, drop_last=True),
        DataLoader(data[1], args.batch, num_workers=args.workers),
    )


class QuarterTurn:
    """A quarter turn; with the two flips it gives the square's eight symmetries."""

    def __call__(self, image: Image.Image) -> Image.Image:
        return image.transpose(Image.Transpose.ROTATE_90)


def network(args: Any) -> nn.Module:
    """Backbone and head; frozen for D and E as in the homeworks, by requires_grad alone."""
    name, stem = args.network
    recipe = FinetuneCommon(
        backbone=name, stem=stem, head_hidden_dim=args.hidden, feature_epochs=[],
        epochs=args.epochs, batch_size=args.batch, learning_rate=args.rate,
    )  # fmt: skip
    model = build_finetuned(recipe, args.classes)
    swap_layers(model.backbone, {CroppedConv2d: nn.Conv2d})  # torch's, as theirs
    if args.setting != "A":
        load_pretrained(model.backbone, args.backbone)
    if args.setting in "DE":
        model.backbone.requires_grad_(False)
    return model


def train_epoch(model: nn.Module, loader: DataLoader[Any], optimizer: Any) -> float:
    """Mean loss of an epoch."""
    model.train()
    total = 0.0
    for images, labels in loader:
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(loader)


@torch.no_grad()
def evaluate(model: nn.Module, loader: DataLoader[Any]) -> float:
    """Accuracy on the validation images."""
    model.eval()
    correct = count = 0
    for images, labels in loader:
        correct += (model(images).argmax(1) == labels).sum().item()
        count += len(labels)
    return correct / count


if __name__ == "__main__":
    main()
