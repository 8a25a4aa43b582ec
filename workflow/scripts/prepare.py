"""Prepare one data set: cut it from its source, split it by place or person, describe it."""

import argparse
import logging
from pathlib import Path

from reprise.cli import run
from reprise.data.course.registry import read_registered
from reprise.data.course.sample import read_sample
from reprise.data.earth import prepare_maps, prepare_tiles
from reprise.data.faces import prepare_faces
from reprise.data.store import Prepared, write_set
from reprise.errors import RepriseError
from reprise.params import CourseSet, FaceSet, MapSet, Params, TileSet, load_params


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", required=True, help="a name in prepare.sets")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    prepared = prepare(load_params(args.params), args.set)
    write_set(args.out, args.set, prepared)
    logging.info(
        "%s: %d images in %d classes", args.set, len(prepared.images), len(prepared.classes)
    )


def prepare(params: Params, name: str) -> Prepared:
    recipe = params.prepare.recipes.get(name)
    if isinstance(recipe, TileSet):
        return prepare_tiles(recipe)
    if isinstance(recipe, MapSet):
        return prepare_maps(recipe)
    if isinstance(recipe, FaceSet):
        return prepare_faces(recipe)
    if isinstance(recipe, CourseSet):
        return read_sample(recipe) if recipe.sample else read_registered(recipe)
    known = ", ".join(params.prepare.recipes)
    raise RepriseError(f"data set '{name}' is not in prepare.recipes; choose from {known}")


if __name__ == "__main__":
    run(main)
