"""`make data`: register a course's folder, and let params.yaml have what can be computed with it.

Without a folder, params.yaml is brought in line with what is registered and with the weights that
are there; `make weights` and `make preset` end with that.
"""

import argparse
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard

import pandas as pd
from pydantic import ValidationError

from reprise.atomic_io import delete, read_json, sha256, write_csv, write_json, write_text, writing
from reprise.cli import run
from reprise.datasets.archives import unpack
from reprise.datasets.layouts import find_layouts
from reprise.datasets.registry import Registered, is_course_table, register
from reprise.datasets.tables import RAW
from reprise.engines.missing import missing_rows
from reprise.engines.own_images import KINDS_OF_TASKS, TASKS, add_images
from reprise.engines.selection import (
    LeftOut,
    check_form,
    merged,
    restore,
    select,
    set_registered,
)
from reprise.errors import RepriseError
from reprise.params.base import PARAMS
from reprise.params.datasets import CourseDataset
from reprise.params.load import NETWORKS, Params, parse
from reprise.params.reader import parse_yaml, preset_name, read_text
from reprise.params.training import WeightsFile, load_weights

MISSING = Path("data/missing.csv")  # the report shows it
LEFT_OUT = Path("data/left_out.json")
COLUMNS = ["kind", "name", "what", "where", "tables"]


def main() -> None:
    """Register images: a course's, or with a name your own; params.yaml gets tasks for them."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("path", type=Path, nargs="?", help="folder, zip or tar file")
    parser.add_argument("--name", help="for params.yaml, datasets.<dataset>.registered_as")
    parser.add_argument("--accept-counts", action="store_true", help="other numbers of images")
    parser.add_argument("--all", action="store_true", help="tasks without data and weights too")
    images = parser.add_argument_group("your own images")
    images.add_argument("--kind", choices=[*TASKS], help="by default what the folder looks like")
    images.add_argument("--task", choices=[*KINDS_OF_TASKS], help="the stage of the first task")
    images.add_argument("--start", help="a task of pretrain, for fine-tuning runs such as A to E")
    images.add_argument("--legend", type=Path, help="CSV: name,id or name,#rrggbb of each class")
    images.add_argument("--size", type=int, help="pixels of a side")
    images.add_argument("--resize", choices=["cover", "squash", "crop"])
    images.add_argument("--origin", help="what the images are, for the report")
    images.add_argument("--licence", help="who may use them, for the report")
    parser.add_argument("--raw", type=Path, default=RAW, help="where to register it")
    args = parser.parse_args()
    new = None
    if args.path is not None and are_own_images(args):
        add_images(args, args.raw)
        if PARAMS.exists():
            from reprise.engines import dvcyaml  # here: Snakemake takes a second to import

            write_text(dvcyaml.DVC_YAML, dvcyaml.render())
    elif args.path is not None:
        new = register(args.path, args.name, args.raw, args.accept_counts)
        logging.info("%s: registered as %s, sha256 %s", args.path, new.name, new.digest)
        if PARAMS.exists():
            link_weights(load_weights(PARAMS), args.raw / new.name)
    if PARAMS.exists():
        update(args.raw, new, args.all)


def are_own_images(args: argparse.Namespace) -> bool:
    """Whether a path has the user's own images: it is said so, or it has a name and no layout."""
    options = (args.kind, args.task, args.start, args.legend, args.size, args.resize)
    declared = any(options) or args.path.suffix.lower() == ".csv"
    if declared and not args.name:
        raise RepriseError("your own images need a name, such as NAME=mine")
    if declared or not args.name or not args.path.exists():
        return declared
    folder = unpack(args.path, args.raw / "unpacked") if args.path.is_file() else args.path
    return not find_layouts(folder)


def update(raw: Path, new: Registered | None = None, all_tasks: bool = False) -> None:
    """Write params.yaml, dvc.yaml and the list of what is missing, where they change.

    new: what was registered just now; it replaces other folders of its layouts. all_tasks: whether
    params.yaml keeps the tasks that lack something.
    """
    old, before = read_text(PARAMS), read_left_out()
    if before.order and before.preset != preset_name(old):
        raise RepriseError(
            f"{PARAMS}: was written from the preset '{preset_name(old)}' by its first lines, but "
            f"{LEFT_OUT} has what was cut from '{before.preset}'; restore these lines, or delete "
            "that file"
        )
    text = restore(old, before)
    params = parse(parse_yaml(text))
    warn_of_misfits(params, new)
    registered = {
        name: values
        for name, recipe in params.datasets.items()
        if _needs_folder(recipe) and (values := _registered_for(recipe, raw, new))
    }
    left_out, rows = LeftOut(), list[dict[str, str]]()
    if registered:
        check_form(text)
        text = set_registered(text, registered)
        params = parse(parse_yaml(text))
        datasets = [
            name
            for name, recipe in params.datasets.items()
            if name in registered or not _needs_folder(recipe)
        ]
        weights = [n for n, file in params.weights.items() if os.path.isfile(file.path)]
        rows = missing_rows(params, datasets, weights)
        selected, cut = select(text, datasets, weights)
        if not all_tasks and not _tasks(parse(parse_yaml(selected))):
            logging.warning(
                "no run has its weights: get them, or set `weights: none` in a recipe; until then "
                "the tasks whose images are there are kept"
            )
            selected, cut = select(text, datasets, list(params.weights))
        if not all_tasks:
            text, left_out = selected, cut
    _write(old, text, before, left_out, rows)
    _log(parse(parse_yaml(text)), rows)


def _needs_folder(recipe: object) -> TypeGuard[CourseDataset]:
    """Whether a dataset is made of a registered folder."""
    return isinstance(recipe, CourseDataset) and not recipe.synthetic_per_class


def warn_of_misfits(params: Params, new: Registered | None) -> None:
    """Warn if no dataset of params.yaml is in a layout of the new folder, or one needs a size."""
    layouts = {r.layout for r in params.datasets.values() if isinstance(r, CourseDataset)}
    if new and not set(new.layouts) & layouts:
        logging.warning(
            "params.yaml has no dataset of the layouts %s; those of the homeworks have, such as "
            "`make preset PRESET=dlcv2022`",
            ", ".join(new.layouts),
        )
    for name, recipe in params.datasets.items():
        if new and _needs_folder(recipe) and recipe.size is None and recipe.layout in new.mixed:
            logging.warning(
                "params.yaml: datasets.%s.size: null, but the images of %s differ in size; set it",
                name,
                recipe.layout,
            )


def link_weights(files: Mapping[str, WeightsFile], folder: Path) -> None:
    """Link files of weights that only a course hands out, and that its folder has."""
    names = {
        Path(f.path).name: Path(f.path) for f in files.values() if not (f.url or f.torchvision)
    }
    for parent, below, present in os.walk(folder):
        below[:] = sorted(name for name in below if name[0] != ".")
        for name in sorted(names.keys() & set(present)):
            if not os.path.exists(names[name]):
                with writing(names[name]):
                    names[name].unlink(missing_ok=True)  # a link to a folder that has moved
                    names[name].parent.mkdir(parents=True, exist_ok=True)
                    names[name].symlink_to(Path(parent, name).resolve())
                logging.info("%s: linked to the file in the folder", names[name])


def read_left_out() -> LeftOut:
    """What was cut before; nothing if there is no file. Raises RepriseError if it is damaged."""
    if not LEFT_OUT.exists():
        return LeftOut()
    try:
        return LeftOut.model_validate(read_json(LEFT_OUT))
    except ValidationError:
        raise RepriseError(
            f"{LEFT_OUT}: not what `make data` wrote; restore it, or delete it and write the "
            "preset again"
        ) from None


def _registered_for(
    recipe: CourseDataset, raw: Path, new: Registered | None
) -> tuple[str, str] | None:
    """Name and sha256 of the registered folder of a dataset; None if there is none.

    It is the new one, or that in params.yaml, or any that has the layout.
    """
    if new and recipe.layout in new.layouts:
        return new.name, new.digest
    others = sorted(path.stem for path in raw.glob("*.csv"))
    for name in (recipe.registered_as, *others):
        table = raw / f"{name}.csv"
        if (
            is_course_table(table)
            and (raw / name).is_dir()
            and recipe.layout in find_layouts(raw / name)
        ):
            pinned = name == recipe.registered_as and recipe.sha256
            return name, pinned or sha256(table)
    return None


def _write(
    old: str, text: str, before: LeftOut, left_out: LeftOut, rows: list[dict[str, str]]
) -> None:
    """Write what changes. At each moment params.yaml and left_out.json have all tasks together."""
    listed = MISSING.exists()  # where it is, it is an input of the report
    if rows:
        write_csv(MISSING, pd.DataFrame(rows, columns=COLUMNS))
    else:
        delete(MISSING)
    either = merged(before, left_out)
    if either.blocks or either.runs:
        write_json(LEFT_OUT, either.model_dump())
    if text != old:
        write_text(PARAMS, text)
    if left_out.blocks or left_out.runs:
        write_json(LEFT_OUT, left_out.model_dump())
    else:
        delete(LEFT_OUT)
    if text == old and listed == MISSING.exists():
        return
    from reprise.engines import dvcyaml  # here: Snakemake takes a second to import

    write_text(dvcyaml.DVC_YAML, dvcyaml.render())


def _log(params: Params, rows: list[dict[str, str]]) -> None:
    """What params.yaml has now, and what is missing."""
    if not rows:
        return
    logging.info("params.yaml: %s", "; ".join(_tasks(params)))
    for row in rows:
        logging.info(
            "missing: %s %s: %s (%s)", row["kind"], row["name"], row["where"], row["tables"]
        )
    logging.info("%s lists what is missing; `make data ALL=1` keeps such tasks", MISSING)


def _tasks(params: Params) -> list[str]:
    """The tasks with their runs."""
    return [
        f"{stage}.{name} ({', '.join(task.runs)})"
        for stage in NETWORKS
        for name, task in getattr(params, stage).items()
    ]


if __name__ == "__main__":
    run(main)
