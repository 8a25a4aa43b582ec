"""`reprise predict RUN`: the command, the images that it reads, the files that it writes.

The images are those of a folder, or those that a csv file of a course lists. The network is a
trained run of a project, or a folder that `reprise export` wrote.
"""

import argparse
import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from reprise.atomic_io import refuse_overwrite
from reprise.datasets.tables import read_rows, safe_join
from reprise.errors import RepriseError
from reprise.images import image_size, list_images
from reprise.predict.exported import open_model
from reprise.predict.outputs import (
    COLUMNS,
    FILENAME_COLUMNS,
    InputImage,
    probabilities_name,
    write_classes,
    write_masks,
)
from reprise.predict.trained_run import TrainedRun, open_run
from reprise.predict.windows import COVER, Scale

ABOUT = "Predict images with a trained run: a CSV file of classes, or a color mask for each image."
RUN = (
    "folder of the trained run below results/, e.g. classify/baseline/cnn/0 or finetune/earth/A/0; "
    "with --model the folder of images"
)
MODEL = "folder that `reprise export` wrote, instead of a run; needs no project"
IMAGES = "folder of .jpg and .png files"
TABLE = "CSV listing the images to predict (columns: filename, optional id)"
OUT = (
    "CSV file to write, by default standard output; for label maps a folder, whose other files are "
    "kept"
)
STDOUT = Path("/dev/stdout")
PROBABILITIES = (
    "also the probability of each class: columns 'p: <class>' of the CSV file, or for each mask a "
    "file .npy of (classes, height, width) float16"
)
HEADER = "first line of the CSV file; columns: id, filename, image_id, label (default: %(default)s)"
MASK = "file name pattern of the masks; {} is the image name without _sat (default: %(default)s)"
SCALE = (
    "for masks: factor by which images are scaled before they are read in windows, or 'cover': "
    "until they just cover one window (default: as the training images were made, 1 or cover)"
)
PROJECT = "folder that holds params.yaml and results/ (default: the current folder)"


def main() -> None:
    """Predict the images and write the output. Raises RepriseError; then nothing is written."""
    args = _arguments()
    images = from_csv(args.csv, args.images) if args.csv else from_folder(args.images)
    columns, names = output_columns(args.header), mask_names(images, args.mask)
    run = open_model(args.model) if args.model else open_run(args.run, args.project)
    if args.out is None and run.segments:
        raise RepriseError(f"{run.job.path} predicts masks; pass --out FOLDER")
    out = args.out or STDOUT
    files = [*names, *map(probabilities_name, names)] if args.probabilities else names
    written = [out / name for name in files] if run.segments else []
    check_output(out, run, written)
    inputs = [args.images, *([args.csv] if args.csv else []), *(image.path for image in images)]
    refuse_overwrite([out, *written], [*inputs, *run.inputs])
    scale = window_scale(args.scale, run)
    epochs = getattr(run.recipe, "ensemble_epochs", 1)
    if epochs > 1:
        logging.warning(
            "%s: the tables show the vote of %d epochs; only its best epoch predicts here",
            run.job.path, epochs,
        )  # fmt: skip
    if run.segments:
        write_masks(out, run, images, names, scale, args.probabilities)
    else:
        warn_of_scale(run, images)
        write_classes(out, run, images, args.header, columns, args.probabilities)
    logging.info("%s: predictions of %s for %d images", out, run.job.path, len(images))


def _arguments() -> argparse.Namespace:
    """The arguments; without --model `run` is given, and in any case `images`."""
    parser = argparse.ArgumentParser(description=ABOUT)
    parser.add_argument("run", nargs="?", help=RUN)
    parser.add_argument("--model", type=Path, metavar="FOLDER", help=MODEL)
    parser.add_argument("--images", type=Path, metavar="FOLDER", help=IMAGES)
    parser.add_argument("--csv", type=Path, metavar="FILE", help=TABLE)
    parser.add_argument("--out", type=Path, metavar="PATH", help=OUT)
    parser.add_argument("--probabilities", action="store_true", help=PROBABILITIES)
    parser.add_argument("--header", default="id,filename,label", metavar="LINE", help=HEADER)
    parser.add_argument("--mask", default="{}_mask.png", metavar="PATTERN", help=MASK)
    parser.add_argument("--scale", metavar="FACTOR", help=SCALE)
    parser.add_argument("--project", type=Path, default=Path(), metavar="FOLDER", help=PROJECT)
    args = parser.parse_args()
    if args.model and args.run:
        if args.images:
            parser.error("with --model there is no run; pass the folder of images once")
        args.images = Path(args.run)
    elif not args.model and not args.run:
        parser.error("pass a trained run, or --model FOLDER")
    if not args.images:
        parser.error("pass the folder of images: --images FOLDER")
    return args


def from_folder(folder: Path) -> list[InputImage]:
    """The images of a folder, sorted by name and numbered from 0.

    A file `xxxx_mask.png`, as the courses keep next to an image, is skipped.
    Raises RepriseError if the folder does not exist or has no image.
    """
    if not os.path.isdir(folder):
        raise RepriseError(f"{folder}: not a directory; pass the directory that holds the images")
    paths = [path for path in list_images(folder) if not path.stem.endswith("_mask")]
    if not paths:
        raise RepriseError(f"{folder}: contains no .jpg or .png file; pass another directory")
    return [InputImage(str(number), path.name, path) for number, path in enumerate(paths)]


def from_csv(table: Path, folder: Path) -> list[InputImage]:
    """The images that a CSV file lists, in its order; file names are relative to `folder`.

    The header has a column `filename` (or `image_id`). A column `id` is kept, labels are ignored.
    Raises RepriseError, with the line, for a file name that leaves the folder or does not exist,
    and for a CSV file without file names.
    """
    rows = read_rows(table)
    header = rows[0][1] if rows else []
    column = next((name for name in FILENAME_COLUMNS if name in header), None)
    if column is None:
        raise RepriseError(f"{table}: line 1: no column 'filename'; write id,filename,label")
    if len(rows) == 1:
        raise RepriseError(f"{table}: lists no image; add a row for each image")
    images = []
    for number, (line, cells) in enumerate(rows[1:]):
        where = f"{table}: line {line}"
        if len(cells) != len(header):
            raise RepriseError(f"{where}: {len(cells)} cells, but the header has {len(header)}")
        row = dict(zip(header, cells, strict=True))
        path = safe_join(folder, row[column])
        if path is None:
            raise RepriseError(f"{where}: '{row[column]}' is not a file name inside {folder}")
        if not os.path.isfile(path):
            raise RepriseError(f"{where}: {path} not found; correct the name or add the file")
        images.append(InputImage(row.get("id", str(number)), row[column], path))
    return images


def mask_names(images: Sequence[InputImage], pattern: str) -> list[str]:
    """The file name of each image's mask: `pattern` with {} replaced by the image's name.

    The image's name is its file name without extension and without `_sat`. Raises RepriseError if
    the pattern is not a file name with {}, or if two images would get the same mask.
    """
    valid = "{}" in pattern and "/" not in pattern and pattern.endswith(".png")
    if not valid or safe_join(Path(), pattern) is None:
        raise RepriseError(
            f"--mask '{pattern}': must be a PNG file name containing {{}}, e.g. {{}}_mask.png"
        )
    paths: dict[str, Path] = {}
    for image in images:
        name = PurePosixPath(image.filename).stem.removesuffix("_sat")
        mask = pattern.replace("{}", name)
        if mask in paths:
            raise RepriseError(
                f"{image.path}: its mask would be {mask}, as would that of {paths[mask]}; "
                "rename one of the images"
            )
        paths[mask] = image.path
    return list(paths)


def output_columns(header: str) -> list[str]:
    """The columns of an output file by its first line.

    Raises RepriseError for an unknown column, or for more than one line of text.
    """
    if not header.isprintable():
        raise RepriseError("--header: not one line of text; list columns, e.g. id,filename,label")
    columns = [column.strip() for column in header.split(",")]
    unknown = [column for column in columns if column not in COLUMNS]
    if unknown:
        choices = ", ".join(COLUMNS)
        raise RepriseError(f"--header: unknown column '{unknown[0]}'; choose from {choices}")
    return columns


def check_output(out: Path, run: TrainedRun, masks: Sequence[Path]) -> None:
    """Raise RepriseError if the output, or one of the masks in it, is of the wrong kind."""
    name, is_folder = run.job.path, os.path.isdir(out)
    if run.segments and os.path.lexists(out) and not is_folder:
        raise RepriseError(f"{out}: is a file, but {name} predicts masks; pass a folder for them")
    if not run.segments and is_folder:
        raise RepriseError(f"{out}: is a folder, but {name} predicts classes; pass a CSV file")
    for path in masks:
        if os.path.isdir(path):
            raise RepriseError(f"{path}: is a folder; move it away, or pass another --mask")


def window_scale(text: str | None, run: TrainedRun) -> Scale:
    """The scale at which a run reads images in windows: that of its training images by default.

    Raises RepriseError if `text` is neither a factor nor 'cover', or the run predicts no masks.
    """
    if text is None:
        return 1.0 if run.cut else COVER
    if not run.segments:
        raise RepriseError(
            f"--scale {text}: {run.job.path} predicts classes, and scales each image to the size "
            "of the training images; leave --scale out"
        )
    if text == COVER:
        return COVER
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not 0 < factor < math.inf:
        raise RepriseError(f"--scale '{text}': must be a factor above 0, such as 0.5, or '{COVER}'")
    return factor


def warn_of_scale(run: TrainedRun, images: Sequence[InputImage]) -> None:
    """Warn that a classifier of images that were cut reads a larger one at another scale."""
    height, width = run.shape
    if run.cut and any(image_size(image.path) != (width, height) for image in images):
        logging.warning(
            "%s: trained on images of %d x %d pixels, cut from larger ones; images of another size "
            "are scaled to it, so they are seen at another scale than in training",
            run.job.path, width, height,
        )  # fmt: skip
