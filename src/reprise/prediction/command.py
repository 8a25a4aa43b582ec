"""`python -m reprise predict RUN`: arguments, checks, and the files that come out."""

import argparse
import csv
import io
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from reprise.errors import RepriseError
from reprise.files import into_folder, write_text
from reprise.prediction.answers import classes_of, masks_of, palette_of
from reprise.prediction.asked import Asked, cell_of, in_folder, in_table, mask_names
from reprise.prediction.runs import Trained, open_run

ABOUT = "What a trained run answers to images: a csv of classes, or a colour mask of each image."
RUN = "a trained run by its folder below results/, as classify/cnn/0 or finetune/earth/A/0"
IMAGES = "folder of .jpg and .png files"
TABLE = "csv with the columns filename and, if there, id: the images that are asked, in its order"
OUT = "csv to write; for label maps a folder, whose other files stay"
HEADER = "first line of the csv: id, filename, image_id, label, as the year wants it (%(default)s)"
NAME = "name of a mask, {} for that of its image without _sat (%(default)s)"


def add(parser_of: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to a program's others."""
    parser = parser_of("predict", help=ABOUT, description=ABOUT)
    parser.add_argument("run", help=RUN)
    parser.add_argument("--images", type=Path, required=True, metavar="FOLDER", help=IMAGES)
    parser.add_argument("--csv", type=Path, metavar="FILE", help=TABLE)
    parser.add_argument("--out", type=Path, required=True, metavar="PATH", help=OUT)
    parser.add_argument("--header", default="id,filename,label", metavar="LINE", help=HEADER)
    parser.add_argument("--mask", default="{}_mask.png", metavar="NAME", help=NAME)
    parser.add_argument(
        "--project", type=Path, default=Path(), help="folder of params.yaml and results/ (here)"
    )
    parser.set_defaults(command=predict)


def predict(given: argparse.Namespace) -> None:
    """Answer the images that are asked about. Raises RepriseError; then nothing is written."""
    asked = in_table(given.csv, given.images) if given.csv else in_folder(given.images)
    if not given.header.isprintable():
        raise RepriseError("--header: is not one line of text; name columns, as id,filename,label")
    cells = [cell_of(name.strip()) for name in given.header.split(",")]
    names = mask_names(asked, given.mask)
    run = open_run(given.run, given.project)
    refuse_output(given.out, run, asked, given)
    if run.network.votes > 1:
        logging.warning(
            "%s: %d epochs voted in its table; here its single best epoch answers",
            run.name, run.network.votes,
        )  # fmt: skip
    try:
        if run.segments:
            write_masks(given.out, run, asked, names)
        else:
            write_classes(given.out, run, asked, given.header, cells)
    except OSError as error:
        raise RepriseError(f"{given.out}: cannot be written ({error}); name another") from None
    logging.info("%s: %d images answered by %s", given.out, len(asked), run.name)


def refuse_output(
    out: Path, run: Trained, asked: Sequence[Asked], given: argparse.Namespace
) -> None:
    """Raise RepriseError for an output of the wrong kind, or one that would replace an input."""
    if run.segments and out.exists() and not out.is_dir():
        raise RepriseError(f"{out}: is a file; {run.name} gives masks, name a folder for them")
    if not run.segments and out.is_dir():
        raise RepriseError(f"{out}: is a folder; {run.name} gives classes, name a csv for them")
    read = {one.path.resolve() for one in asked} | {given.images.resolve()}
    if out.resolve() in read | ({given.csv.resolve()} if given.csv else set()):
        raise RepriseError(f"{out}: is what is read; name another place for the answers")


def write_classes(
    out: Path,
    run: Trained,
    asked: Sequence[Asked],
    header: str,
    cells: Sequence[Callable[[Asked, str], str]],
) -> None:
    """Write the csv, whole or not at all."""
    labels = classes_of(run, asked)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    text.write(f"{header}\n")
    for one, label in zip(asked, labels, strict=True):
        writer.writerow([cell(one, label) for cell in cells])
    write_text(out, text.getvalue())


def write_masks(out: Path, run: Trained, asked: Sequence[Asked], names: Sequence[str]) -> None:
    """Write a mask of each image in the palette of its data set, all of them or none."""
    palette = palette_of(run)
    with into_folder(out) as part:
        for name, mask in zip(names, masks_of(run, asked), strict=True):
            Image.fromarray(palette[mask]).save(part / name)
