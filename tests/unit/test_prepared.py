"""The one reader: what was written is read back, and a damaged dataset is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.small_datasets import small_dataset, write_and_read

from reprise.atomic_io import read_json, write_json
from reprise.datasets.prepared import PreparedDataset, read_prepared
from reprise.errors import RepriseError
from reprise.import_closure import closure

IMAGES = np.arange(6 * 48, dtype=np.uint8).reshape(6, 4, 4, 3)
LABELS = np.array([0, 1, 0, 1, 0, 1], np.uint8)
MAPS = np.array([[[0, 1], [2, 3]], [[3, 3], [0, 0]], [[1, 1], [2, 2]]], np.uint8)
MERGED = {"2": {"classes": [{"id": 0, "name": "x"}, {"id": 1, "name": "y"}], "map": [0, 1, 1]}}


@pytest.fixture
def data(tmp_path: Path) -> PreparedDataset:
    """Six images in two classes."""
    return write_and_read(tmp_path, small_dataset(IMAGES, LABELS, 2))


def maps(folder: Path, **more: Any) -> PreparedDataset:
    """Three label maps of the classes 0 to 2; 3 is ignored by default."""
    images = np.arange(36, dtype=np.uint8).reshape(3, 2, 2, 3)
    values = {"ignore": 3, "merged": MERGED} | more
    return write_and_read(folder, small_dataset(images, MAPS, values.pop("count", 3), **values))


def edit(data: PreparedDataset, **changes: Any) -> None:
    """Change dataset.json; a value of None removes the key."""
    path = data.folder / "dataset.json"
    info = read_json(path) | changes
    removed = {key for key, value in changes.items() if value is None}
    write_json(path, {key: value for key, value in info.items() if key not in removed})


def test_what_is_written_is_what_is_read(data: PreparedDataset) -> None:
    assert np.array_equal(data.images, IMAGES) and isinstance(data.images, np.memmap)
    assert np.array_equal(data.labels, LABELS) and isinstance(data.labels, np.memmap)
    assert data.classes.names == ("a", "b") and data.classes.colors == ((0, 0, 0), (1, 1, 1))
    assert (data.kind, data.height, data.width) == ("classification", 4, 4)
    assert data.rows("test").tolist() == [2, 5] and data.row("0003") == 3
    assert not data.unlabelled
    train = IMAGES[[0, 3]].reshape(-1, 3) / 255
    assert np.allclose(data.mean, train.mean(axis=0), atol=1e-6)
    assert np.allclose(data.std, train.std(axis=0), atol=1e-6)


def test_groups_are_numbered(tmp_path: Path) -> None:
    words = {"one": "person", "many": "persons"}
    dataset = small_dataset(IMAGES, LABELS, 2, groups=["007", "NA", "7"] * 2, group=words)
    data = write_and_read(tmp_path, dataset)
    groups = data.groups(data.rows("test"))
    assert groups.dtype == np.int64 and groups.tolist() == [2, 2]
    assert data.groups(np.arange(6)).tolist() == [0, 1, 2, 0, 1, 2]
    assert data.index["group"].tolist()[:3] == ["007", "NA", "7"]
    assert data.group_words == words
    edit(data, group=None)
    assert read_prepared(data.folder).group_words["many"] == "groups"


def test_without_a_column_each_image_is_its_own_group_and_a_line_says_so(
    data: PreparedDataset, caplog: pytest.LogCaptureFixture
) -> None:
    path = data.folder / "index.csv"
    data.index.drop(columns="group").to_csv(path, index=False)
    edit(data, group={"one": "person", "many": "persons"})
    with caplog.at_level("INFO"):
        older = read_prepared(data.folder)
    assert caplog.messages == [f"{path}: no column 'group': each image counts as its own group"]
    assert older.groups(np.array([5, 0])).tolist() == [5, 0]
    assert older.group_words["many"] == "images"


def test_how_images_came_to_their_size_is_read(data: PreparedDataset) -> None:
    assert data.scaling == "resized"
    edit(data, scaling="cut")
    assert read_prepared(data.folder).scaling == "cut"
    edit(data, scaling=None)  # as before it was recorded
    assert read_prepared(data.folder).scaling == "resized"


def test_a_split_without_images_has_no_rows_and_can_be_required(tmp_path: Path) -> None:
    dataset = small_dataset(
        IMAGES, LABELS, 2, splits=["train", "val"] * 3, required_splits=("train", "val")
    )
    data = write_and_read(tmp_path, dataset)
    assert data.rows("test").tolist() == [] and data.require_rows("val").tolist() == [1, 3, 5]
    with pytest.raises(RepriseError, match=r"index.csv: the test split has no images; raise its"):
        data.require_rows("test")


def test_an_unknown_id_is_refused_with_examples(data: PreparedDataset) -> None:
    with pytest.raises(RepriseError, match="index.csv: no image '0050'.*0000, 0001"):
        data.row("0050")


def test_other_images_can_take_the_place_of_the_datasets(data: PreparedDataset) -> None:
    other = data.with_images(IMAGES[:1])
    assert len(other.images) == 1 and len(data.images) == 6 and other.mean == data.mean


def test_without_merging_every_id_keeps_its_value(tmp_path: Path) -> None:
    data = maps(tmp_path)
    merged, table = data.merged(None)
    assert merged == data.classes and merged.ids == [0, 1, 2]
    assert table.dtype == np.uint8 and np.array_equal(table, np.arange(256))


def test_merged_classes_replace_all_ids_but_the_ignored_one(tmp_path: Path) -> None:
    merged, table = maps(tmp_path).merged(2)
    assert merged.names == ("x", "y") and merged.ignore == 3
    assert table[:4].tolist() == [0, 1, 1, 3]
    assert (table[4:] == 3).all()  # ids that no class has


def test_a_map_that_covers_the_ignored_id_gives_it_a_class(tmp_path: Path) -> None:
    merged = {"2": MERGED["2"] | {"map": [0, 1, 1, 1]}}
    _, table = maps(tmp_path, merged=merged).merged(2)
    assert table[:4].tolist() == [0, 1, 1, 1] and (table[4:] == 3).all()


def test_without_an_ignored_id_unknown_ids_become_255(tmp_path: Path) -> None:
    merged = {"2": MERGED["2"] | {"map": [0, 1, 1, 1]}}
    _, table = maps(tmp_path, merged=merged, ignore=None, count=4).merged(2)
    assert table[:4].tolist() == [0, 1, 1, 1] and (table[4:] == 255).all()


def table_of_training(info: dict[str, Any]) -> np.ndarray:
    """The table of ids as training made it before there was one reader."""
    ignore = 255 if info["ignore"] is None else info["ignore"]
    table = np.full(256, ignore, np.uint8)
    table[: len(info["merged"]["2"]["map"])] = info["merged"]["2"]["map"]
    return table


def table_of_evaluation(info: dict[str, Any]) -> np.ndarray:
    """The table of ids as evaluation made it before there was one reader."""
    table = np.arange(256, dtype=np.uint8)
    ids = info["merged"]["2"]["map"]
    table[: len(ids)] = ids
    if info["ignore"] is not None and info["ignore"] >= len(ids):
        table[info["ignore"]] = info["ignore"]
    return table


@pytest.mark.parametrize(("ids", "ignore", "count"), [
    ([0, 1, 1], 3, 3), ([0, 1, 1, 1], 3, 3), ([0, 1, 1, 1], None, 4), ([0, 1, 1, 0], 255, 4),
])  # fmt: skip
def test_written_labels_merge_as_they_did_in_training_and_in_evaluation(
    tmp_path: Path, ids: list[int], ignore: int | None, count: int
) -> None:
    data = maps(tmp_path, merged={"2": MERGED["2"] | {"map": ids}}, ignore=ignore, count=count)
    _, table = data.merged(2)
    assert np.array_equal(table[data.labels], table_of_training(data.info)[data.labels])
    assert np.array_equal(table[data.labels], table_of_evaluation(data.info)[data.labels])


def test_a_merging_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RepriseError, match=r"dataset.json: merged.5: missing; remove"):
        maps(tmp_path).merged(5)


def test_a_dataset_of_the_other_kind_is_refused(data: PreparedDataset) -> None:
    assert read_prepared(data.folder).kind == "classification"
    with pytest.raises(RepriseError, match="a dataset for classification, not for segmentation"):
        read_prepared(data.folder, "segmentation")


@pytest.mark.parametrize("key", ["kind", "classes", "mean", "width"])
def test_a_missing_key_is_named(data: PreparedDataset, key: str) -> None:
    edit(data, **{key: None})
    with pytest.raises(RepriseError, match=f"dataset.json: {key}: Field required; prepare"):
        read_prepared(data.folder)


def test_class_ids_must_be_consecutive(data: PreparedDataset) -> None:
    edit(data, classes=[{"id": 1, "name": "a"}, {"id": 0, "name": "b"}])
    with pytest.raises(RepriseError, match="classes: the ids must be 0 to 1, in order"):
        read_prepared(data.folder)


def test_a_damaged_index_is_refused(data: PreparedDataset) -> None:
    path = data.folder / "index.csv"
    path.write_text(path.read_text().replace("0001,val", "0001,select"))
    with pytest.raises(RepriseError, match=r"index.csv: row 3: split 'select': use one of train"):
        read_prepared(data.folder)
    path.write_text("id,split,group\n0,train,x\n1,val,y\n2,train,x\n3,test,y\n4,val,x\n")
    message = r"index.csv: row 5: group 'y': in the splits val and test; a group must be in one"
    with pytest.raises(RepriseError, match=message):
        read_prepared(data.folder)
    path.write_text("id,split,group\n0,train,x\n1,val,\n")
    with pytest.raises(RepriseError, match=r"index.csv: row 3: group '': empty; name what"):
        read_prepared(data.folder)
    path.write_text("id,role\n0000,train\n")
    with pytest.raises(RepriseError, match=r"index.csv: column 'split' is missing"):
        read_prepared(data.folder)
    path.unlink()
    with pytest.raises(RepriseError, match=r"index.csv: not found"):
        read_prepared(data.folder)


def test_damaged_arrays_are_refused_when_they_are_used(data: PreparedDataset) -> None:
    np.save(data.folder / "labels.npy", LABELS[:5])
    (data.folder / "images.npy").write_bytes(b"no array")
    damaged = read_prepared(data.folder)
    with pytest.raises(RepriseError, match=r"labels.npy: 5 uint8, expected 6 uint8; prepare"):
        _ = damaged.labels
    with pytest.raises(RepriseError, match=r"images.npy: not a readable array .*; prepare"):
        _ = damaged.images
    (data.folder / "images.npy").unlink()
    with pytest.raises(RepriseError, match=r"images.npy: not found; prepare the dataset first"):
        _ = damaged.images


def test_ids_are_text(tmp_path: Path) -> None:
    data = write_and_read(tmp_path, small_dataset(IMAGES, LABELS, 2, ids=list("012345")))
    assert data.index["id"].tolist() == list("012345") and data.row("4") == 4
    (tmp_path / "index.csv").write_text("id,split\nNA,train\n007,val\n")
    assert read_prepared(tmp_path).index["id"].tolist() == ["NA", "007"]


def test_the_reader_depends_on_no_writer_and_no_source() -> None:
    src = Path(__file__).parents[2] / "src"
    files = closure(src / "reprise/datasets/prepared.py", src=src)
    assert files and not [file for file in files if "reprise/datasets/" in file]
