"""`make data` with a user's own images: params.yaml gets their dataset and a first task for it.

Blocks that are there stay as they are, apart from the sha256 of the images.
"""

import logging
import re
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from reprise.atomic_io import write_text
from reprise.datasets.image_files import ImageFile, ImageKind
from reprise.datasets.image_registry import (
    ImageOptions,
    RegisteredImages,
    log_counts,
    register_images,
)
from reprise.datasets.image_splits import image_splits
from reprise.datasets.images import class_names
from reprise.datasets.legends import as_number, read_legend
from reprise.datasets.prepared import SPLITS
from reprise.engines.blocks import Section, read_sections, write_sections
from reprise.engines.first_task import (
    classify_block,
    dataset_block,
    finetune_block,
    pretrain_block,
    require_start,
    segment_block,
)
from reprise.engines.selection import check_form, set_registered
from reprise.errors import RepriseError
from reprise.params.base import PARAMS, validate
from reprise.params.datasets import ImagesDataset
from reprise.params.load import Params, parse
from reprise.params.reader import parse_yaml, read_text

TASKS = {"classification": "classify", "segmentation": "segment", "unlabelled": "pretrain"}
KINDS_OF_TASKS = {
    "classify": ("classification",),
    "finetune": ("classification",),
    "segment": ("segmentation",),
    "pretrain": ("classification", "unlabelled"),
}
SHOWN = 3  # test images whose masks are shown
EMPTY = re.compile(r"^(\w+:) *\{\}(.*)$", re.M)  # the line of a section without blocks


def add_images(args: Namespace, raw: Path) -> RegisteredImages:
    """Register images, and write their blocks into params.yaml if there is one.

    args: path, name, kind, task, start, legend, size, resize, origin, licence, as of the command.
    Raises RepriseError for any problem, and then writes nothing.
    """
    text = read_text(PARAMS) if PARAMS.exists() else None
    params = parse(parse_yaml(text)) if text is not None else None
    if text is not None:
        check_form(text)
    old = _old_recipe(params, args.name)
    check, check_items = partial(check_task, args, params), partial(check_splits, args, old)
    options = _options(args, old)
    registered = register_images(args.path, args.name, options, raw, check, check_items)
    recipe = old or validate(ImagesDataset, _values(args, registered), "make data")
    splits = image_splits(registered.items, recipe, class_names(registered.items))
    values = [(name, as_number(value)) for name, value in recipe.legend.items()]
    log_counts(registered, splits.tolist(), values)
    logging.info("%s: registered, sha256 %s", args.name, registered.digest)
    logging.info("%s: look at %s", args.name, raw / f"{args.name}.png")
    if text is None or params is None:
        logging.warning("no params.yaml: `make preset PRESET=own`, then the same command again")
        return registered
    task = task_of(args, registered.kind)
    existing = getattr(params, task).get(args.name)
    if old is None:
        block = dataset_block(args.name, recipe.model_dump())
        text = with_block(text, "datasets", args.name, block)
    text = set_registered(text, {args.name: (args.name, registered.digest)})
    if existing is None:
        block = _task_block(task, args, registered, splits.tolist(), recipe, params)
        text = with_block(text, task, args.name, block)
        logging.info("params.yaml: %s.%s: a first task; edit it as you like", task, args.name)
    parse(parse_yaml(text))
    write_text(PARAMS, text)
    return registered


def task_of(args: Namespace, kind: ImageKind) -> str:
    """The stage of the first task for images of a kind."""
    return args.task or ("finetune" if args.start else TASKS[kind])


def check_task(args: Namespace, params: Params | None, kind: ImageKind) -> None:
    """Raise RepriseError if images of this kind cannot have the requested values or first task."""
    values = {"source": "images", "kind": "unlabelled", "registered_as": "any", "size": args.size}
    values |= {"origin": args.origin or "", "licence": args.licence or ""}
    validate(ImagesDataset, values, "make data")  # what is written for any kind
    task = task_of(args, kind)
    if kind not in KINDS_OF_TASKS[task]:
        kinds = " or ".join(KINDS_OF_TASKS[task])
        raise RepriseError(f"TASK={task}: needs images for {kinds}, these are {kind}")
    if params is None:
        return
    existing = getattr(params, task).get(args.name)
    if existing is not None and existing.data != args.name:
        raise RepriseError(
            f"params.yaml: {task}.{args.name}: is a task on {existing.data}; choose another NAME"
        )
    if task == "finetune" and existing is None:
        if not args.start:
            raise RepriseError("TASK=finetune: needs START, the pretraining task to start from")
        require_start(args.start, params)


def check_splits(
    args: Namespace, old: ImagesDataset | None, kind: ImageKind, items: list[ImageFile]
) -> None:
    """Raise RepriseError if a split would have no image; old: their dataset, if there is one."""
    values = {"source": "images", "kind": kind, "registered_as": args.name}
    if kind == "segmentation":
        values["legend"] = {"any": 0}  # it makes no difference to the splits
    recipe = old or validate(ImagesDataset, values, "make data")
    splits = image_splits(items, recipe, class_names(items))
    needed = ("train", "val") if kind == "unlabelled" else SPLITS
    if lacking := [name for name in needed if name not in splits]:
        raise RepriseError(
            f"{args.path}: no image is left for {' and '.join(lacking)} ({len(items)} in all); add "
            "images, or name their splits by folders or in a csv file"
        )


def _old_recipe(params: Params | None, name: str) -> ImagesDataset | None:
    """The dataset of that name in params.yaml. Raises RepriseError if it is of another source."""
    old = params.datasets.get(name) if params else None
    if old is not None and not isinstance(old, ImagesDataset):
        raise RepriseError(
            f"params.yaml: datasets.{name}: is not of your own images; choose another NAME"
        )
    return old


def _options(args: Namespace, old: ImagesDataset | None) -> ImageOptions:
    """What is said of the images: in params.yaml if they are there, else by the arguments."""
    if old:
        if args.kind not in (None, old.kind):
            raise RepriseError(
                f"params.yaml: datasets.{args.name}.kind: is {old.kind}; remove KIND"
            )
        crop = old.size if old.resize == "crop" else None
        return ImageOptions(old.kind, dict(old.legend), list(old.ignore), crop)
    legend, ignore = read_legend(args.legend) if args.legend else ({}, [])
    if args.resize == "crop" and args.size is None:
        raise RepriseError("RESIZE=crop: needs SIZE, the side of the squares in pixels")
    kind: ImageKind | None = args.kind or ("segmentation" if args.legend else None)
    return ImageOptions(kind, legend, ignore, args.size if args.resize == "crop" else None)


def _values(args: Namespace, registered: RegisteredImages) -> dict[str, Any]:
    """The values of a new dataset."""
    return {
        "source": "images",
        "kind": registered.kind,
        "registered_as": args.name,
        "sha256": registered.digest,
        "origin": args.origin or "",
        "licence": args.licence or "",
        "size": args.size or default_size(registered),
        "resize": args.resize or "cover",
        "test": 0.0 if registered.kind == "unlabelled" else 0.2,
        "legend": registered.legend,
        "ignore": registered.ignore,
    }


def default_size(registered: RegisteredImages) -> int:
    """Pixels of a side: a multiple of 32 that half of the images have, as far as CPUs allow."""
    largest = 128 if registered.kind == "segmentation" else 64
    return max(32, min(largest, registered.side // 32 * 32))


def _task_block(
    task: str, args: Namespace, registered: RegisteredImages, splits: Sequence[str],
    recipe: ImagesDataset, params: Params,
) -> str:  # fmt: skip
    """The text of a first task."""
    images, size = splits.count("train"), recipe.size or default_size(registered)
    if task == "finetune":
        return finetune_block(args.name, images, args.start, params)
    if task == "pretrain":
        return pretrain_block(args.name, images, recipe.kind == "classification")
    if task == "classify":
        return classify_block(args.name, images, size)
    pairs = zip(registered.items, splits, strict=True)
    shown = sorted(item.id for item, split in pairs if split == "test")[:SHOWN]
    return segment_block(args.name, images, max(32, size // 32 * 32), shown)


def with_block(text: str, section: str, name: str, block: str) -> str:
    """The text with one more block at the end of a section, which is made if there is none."""
    sections = read_sections(text)
    if section not in sections:
        order = [key for key in Params.model_fields if key in sections or key == section]
        sections[section] = Section(f"{section}:\n")
        sections = {key: sections[key] for key in dict.fromkeys(["", *order, *sections])}
    sections[section].title = EMPTY.sub(r"\1\2", sections[section].title)
    sections[section].blocks[name] = block
    return write_sections(sections)
