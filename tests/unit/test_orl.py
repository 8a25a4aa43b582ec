"""ORL faces: split by person, labels checked row by row."""

from pathlib import Path

import numpy as np
import pytest

from reprise.datasets.orl import prepare, read_labels
from reprise.datasets.prepared import SPLITS
from reprise.errors import RepriseError
from reprise.params.datasets import OrlDataset

RECIPE = OrlDataset(source="orl", val=0.15, test=0.25)


def test_a_person_is_in_one_split() -> None:
    faces = prepare(RECIPE)
    assert faces.images.shape == (400, 112, 92, 3) and faces.labels.sum() == 119
    splits: dict[int, set[str]] = {}
    for subject, split in zip(np.asarray(faces.groups).tolist(), faces.splits, strict=True):
        splits.setdefault(subject, set()).add(split)
    assert len(splits) == 40 and all(len(of_person) == 1 for of_person in splits.values())
    shares = [faces.labels[faces.splits == split].mean() for split in SPLITS]
    assert max(shares) - min(shares) < 0.02  # a person has glasses in all images or in none


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,1,2", "row 2: glasses '2': outside the classes"),
        ("1,x,0", "row 2: image 'x': must be a whole number"),
        ("1.5,1,0", r"row 2: subject '1\.5': must be a whole number"),
        (",1,0", "row 2: subject 'nan': must be a whole number"),
    ],
)
def test_a_wrong_row_of_the_label_file_is_named(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"subject,image,glasses\n{row}\n1,2,0\n")
    with pytest.raises(RepriseError, match=f"labels.csv: {message}"):
        read_labels(path)


def test_a_label_row_without_its_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("subject,image,glasses\n1,1,0\n41,1,0\n")
    with pytest.raises(RepriseError, match="row 3: subject '41': .* has no image s41/1.pgm"):
        prepare(RECIPE, path)


def test_a_missing_label_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RepriseError, match="labels.csv: not found; restore it with `git checkout"):
        read_labels(tmp_path / "labels.csv")
