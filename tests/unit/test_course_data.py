"""The courses' folders: each layout is read as it is handed out, and every fault is named."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from reprise.data.course.layouts import LAYOUTS, find, listing_of
from reprise.data.course.pictures import read_id_mask, read_picture
from reprise.data.course.read import read_handout
from reprise.data.course.registry import read_registered, register
from reprise.data.course.sample import Form, read_sample, write_sample
from reprise.data.store import Prepared, open_set, write_set
from reprise.errors import RepriseError
from reprise.params import CourseSet
from reprise.training.classification import every_class_trains
from reprise.training.pretraining import Neighbours

COUNT = 4
PLAIN = Form()


def recipe(layout: str, **more: Any) -> CourseSet:
    values = {"source": "course", "layout": layout, "folder": "here", "select": 0.25} | more
    return CourseSet.model_validate(values)


def prepare(folder: Path, layout: str, **more: Any) -> Prepared:
    return read_handout(listing_of(folder, layout), recipe(layout, **more))


@pytest.fixture(scope="module")
def handout(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Form], Path]:
    """Folders of samples, written once each and not to be changed."""
    made: dict[tuple[str, Form], Path] = {}

    def give(layout: str, form: Form = PLAIN) -> Path:
        if (layout, form) not in made:
            folder = tmp_path_factory.mktemp(layout)
            write_sample(folder, layout, COUNT, form)
            made[layout, form] = folder
        return made[layout, form]

    return give


Give = Callable[..., Path]


@pytest.fixture
def own(tmp_path: Path, handout: Give) -> Give:
    """A copy that a test may spoil."""

    def give(layout: str, form: Form = PLAIN) -> Path:
        return Path(shutil.copytree(handout(layout, form), tmp_path / "own", dirs_exist_ok=True))

    return give


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_becomes_a_prepared_set(layout: str, tmp_path: Path, handout: Give) -> None:
    size = 48 if layout == "office" else None
    prepared = prepare(handout(layout), layout, size=size)
    write_set(tmp_path, layout, prepared)
    data = open_set(tmp_path, LAYOUTS[layout].task)
    assert data.info["images"]["train"] > data.info["images"]["select"] > 0
    assert (data.info["images"]["report"] > 0) == (layout != "mini")
    assert data.index["id"].is_unique and data.unlabelled == (layout == "mini")


def test_train_and_val_stay_apart_and_select_is_cut_from_train(handout: Give) -> None:
    prepared = prepare(handout("fifty"), "fifty")
    for file, name, role in zip(
        prepared.columns["file"], prepared.names or [], prepared.roles, strict=True
    ):
        assert (role == "report") == file.startswith("val_50/") == (not name.startswith("train_"))
    select = prepared.roles == "select"
    assert np.bincount(prepared.labels[select]).tolist() == [1] * 8  # a quarter of each class's 4
    other = prepare(handout("fifty"), "fifty", seed=1).roles
    assert not np.array_equal(prepared.roles, other)


def test_labels_are_those_of_names_and_csv(handout: Give) -> None:
    fifty = prepare(handout("fifty"), "fifty")
    assert [str(label) for label in fifty.labels] == [
        Path(file).name.split("_")[0] for file in fifty.columns["file"]
    ]
    numbers = prepare(handout("office"), "office", size=32)
    words = prepare(handout("office", Form(words=True)), "office", size=32)
    assert np.array_equal(numbers.labels, words.labels)
    assert np.array_equal(numbers.images, words.images)
    assert [c["name"] for c in words.classes] == [f"Thing{i}" for i in range(8)]
    labelled = prepare(handout("mini", Form(labels=True)), "mini")
    assert not labelled.unlabelled and len(labelled.classes) == 8
    faces = prepare(handout("makeup"), "makeup")
    assert [c["name"] for c in faces.classes] == ["heavy_makeup", "no_heavy_makeup"]


def test_masks_come_with_their_own_image_whatever_the_order_of_files(
    tmp_path: Path, handout: Give
) -> None:
    prepared = prepare(handout("satellite"), "satellite")
    root = find(handout("satellite"), "satellite")
    for row, file in enumerate(prepared.columns["file"]):
        image = np.asarray(Image.open(root / file))
        mask = np.asarray(Image.open(root / file.replace("_sat.jpg", "_mask.png")))
        assert np.array_equal(prepared.images[row], image)
        assert np.array_equal(prepared.labels[row] == 4, (mask == (0, 0, 255)).all(axis=-1))


def test_red_pixels_are_unknown(own: Give) -> None:
    folder = own("satellite")
    path = next(folder.rglob("validation/0000_mask.png"))
    mask = np.array(Image.open(path))
    mask[:5] = (255, 0, 0)
    Image.fromarray(mask).save(path)
    prepared = prepare(folder, "satellite")
    assert (prepared.labels[(prepared.names or []).index("0000")][:5] == prepared.ignore).all()


def test_camvid_is_the_same_with_and_without_a_header(handout: Give) -> None:
    head, bare = (
        prepare(handout("camvid", Form(header=header)), "camvid") for header in (True, False)
    )
    assert np.array_equal(head.images, bare.images) and np.array_equal(head.labels, bare.labels)
    assert (head.roles == "report").sum() == COUNT // 2 + 1
    assert head.merged["3"]["map"] == [0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 1]


def test_line_ends_do_not_matter(handout: Give) -> None:
    dos, unix = (
        prepare(handout("office", Form(line_end=end)), "office", size=32) for end in ("\r\n", "\n")
    )
    assert np.array_equal(dos.labels, unix.labels)


def test_an_archive_may_nest_its_folder_and_leave_rubbish(own: Give, tmp_path: Path) -> None:
    folder = own("fifty")
    nested = tmp_path / "hw1_data" / "hw1_data"
    nested.mkdir(parents=True)
    (folder / "p1_data").rename(nested / "p1_data")
    rubbish = tmp_path / "hw1_data" / "__MACOSX" / "p1_data"
    for name in ("train_50", "val_50"):
        (rubbish / name).mkdir(parents=True)
    (nested / "p1_data" / "train_50" / "._0_1.png").write_bytes(b"x")
    assert find(tmp_path / "hw1_data", "fifty") == nested / "p1_data"
    assert listing_of(tmp_path / "hw1_data", "fifty").faults == []
    for name in ("train_50", "val_50"):
        (tmp_path / "hw1_data" / "copy" / name).mkdir(parents=True)
    with pytest.raises(RepriseError, match="are both of layout fifty"):
        find(tmp_path / "hw1_data", "fifty")
    with pytest.raises(RepriseError, match="no folder here holds train, validation"):
        find(tmp_path / "hw1_data", "satellite")


@pytest.mark.parametrize("shape", [(64, 64), (70, 128), (131, 97), (20, 31)])
def test_resizing_is_torchvisions(shape: tuple[int, int], tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    theirs = v2.Compose([v2.Resize(64), v2.CenterCrop(64)])(Image.open(tmp_path / "a.png"))
    assert np.array_equal(read_picture(tmp_path / "a.png", 64), np.asarray(theirs))


def test_grey_and_transparent_images_are_read_and_sixteen_bits_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(grey).save(path)
    assert np.array_equal(read_picture(path, None), np.repeat(grey[..., None], 3, axis=2))
    rgba = np.dstack([grey, grey + 1, grey + 2, np.full_like(grey, 7)])
    Image.fromarray(rgba).save(path)
    assert np.array_equal(read_picture(path, None), rgba[..., :3])
    Image.fromarray(grey.astype(np.uint16) * 1000).save(path)
    with pytest.raises(RepriseError, match="a.png: mode I;16 has more than 8 bits"):
        read_picture(path, None)


def spoil(folder: Path, fault: str) -> None:
    """Make one of the mistakes that a user can make."""
    if fault == "outside":
        path = next(folder.rglob("office/val.csv"))
        rows = ("99,../train/0_0.jpg,0", "98,/etc/passwd,0", "97,C:\\x.jpg,0", "")
        path.write_text(path.read_text() + "\n".join(rows))
    elif fault == "twice":
        path = next(folder.rglob("office/val.csv"))
        path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    elif fault == "no label":
        path = next(folder.rglob("office/train.csv"))
        path.write_text("id,filename,label\n0,0_0.jpg,None\n")
    elif fault == "mixed labels":
        path = next(folder.rglob("office/train.csv"))
        path.write_text(path.read_text().replace(",0_1.jpg,0", ",0_1.jpg,Couch"))
    elif fault == "no file":
        next(folder.rglob("office/train/3_1.jpg")).unlink()
    elif fault == "no row":
        path = next(folder.rglob("office/train/3_1.jpg"))
        path.with_name("new.jpg").write_bytes(path.read_bytes())
    elif fault == "no header":
        path = next(folder.rglob("office/train.csv"))
        path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("outside", r"val.csv: line \d+: '\.\./train/0_0.jpg' is no name of a file in"),
        ("twice", r"val.csv: line \d+: the name '0_0' is taken"),
        ("no label", r"train.csv: line 2: no label \(it says 'None'\)"),
        ("mixed labels", r"train.csv: line \d+: label 'Couch' where others are a number"),
        ("no file", r"train.csv: line \d+: .*3_1.jpg does not exist"),
        ("no row", r"new.jpg: stands in no row of .*train.csv"),
        ("no header", r"train.csv: line 1: no header id,filename,label"),
    ],
)
def test_a_fault_of_a_csv_is_named_with_file_and_line(own: Give, fault: str, said: str) -> None:
    folder = own("office")
    spoil(folder, fault)
    with pytest.raises(RepriseError, match=said):
        prepare(folder, "office", size=32)


def test_nothing_outside_the_folder_is_read(own: Give) -> None:
    folder = own("office")
    spoil(folder, "outside")
    listing = listing_of(folder, "office")
    assert sum("is no name of a file" in fault for fault in listing.faults) == 3
    assert all(folder in path.parents and ".." not in path.parts for path in listing.files)


def test_pairs_sizes_and_labels_are_checked(own: Give) -> None:
    folder = own("satellite")
    root = find(folder, "satellite")
    (root / "train" / "0001_mask.png").rename(root / "train" / "0009_mask.png")
    assert len(listing_of(folder, "satellite").faults) == 2
    with pytest.raises(RepriseError, match=r"0001_sat.jpg: has no 0001_mask.png .*and 1 more"):
        prepare(folder, "satellite")
    (root / "train" / "0009_mask.png").rename(root / "train" / "0001_mask.png")
    Image.new("RGB", (64, 128)).save(root / "train" / "0001_mask.png")
    with pytest.raises(RepriseError, match=r"0001_mask.png: \(64, 128\).*its image \(128, 128\)"):
        prepare(folder, "satellite")
    Image.new("L", (128, 128), 12).save(root / "train" / "0001_mask.png")
    with pytest.raises(RepriseError, match="0001_mask.png: mode L; a mask has colours"):
        prepare(folder, "satellite")
    with pytest.raises(RepriseError, match="holds id 12; the ids are 0 to 11"):
        read_id_mask(root / "train" / "0001_mask.png", None, 11)


def test_sizes_that_differ_need_one(handout: Give) -> None:
    with pytest.raises(RepriseError, match=r"office.*set `size` in prepare.recipes"):
        prepare(handout("office"), "office")


def test_a_class_without_a_training_image_is_named(own: Give) -> None:
    folder = own("fifty")
    for path in folder.rglob("train_50/3_*.png"):
        path.unlink()
    with pytest.raises(RepriseError, match="class '3' has no image in the train split"):
        prepare(folder, "fifty")


def test_val_gt_must_agree_with_the_names(own: Give) -> None:
    folder = own("fifty")
    path = next(folder.rglob("val_gt.csv"))
    path.write_text(path.read_text().replace("2_1.png,2", "2_1.png,5") + "7_99.png,7\n")
    faults = listing_of(folder, "fifty").faults
    assert len(faults) == 2 and "label 5, the name says 2" in faults[0]
    assert "val_50/7_99.png does not exist" in faults[1]


def test_registering_names_all_faults_at_once(
    own: Give, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = own("office")
    spoil(folder, "no file")
    spoil(folder, "mixed labels")
    broken = next(folder.rglob("val/0_1.jpg"))
    broken.write_bytes(broken.read_bytes()[:300])
    with pytest.raises(RepriseError, match="3 faults, named above"):
        register("here", folder, tmp_path / "raw")
    said = caplog.text
    assert "3_1.jpg does not exist" in said and "'Couch'" in said
    assert "0_1.jpg: does not decode" in said
    assert not (tmp_path / "raw").exists()


def test_what_was_registered_is_what_is_read(
    own: Give, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    raw, folder = tmp_path / "raw", own("office")
    with pytest.raises(RepriseError, match=r"not registered; `make data NAME=here PATH="):
        read_registered(recipe("office"), raw)
    with caplog.at_level(logging.INFO):
        digest = register("here", folder, raw)
    assert digest == register("here", folder, raw)  # again is no mistake
    assert "office: train: 32 of 3951 images: not the number that the course" in caplog.text
    assert "not in this folder: fifty (train_50, val_50)" in caplog.text
    prepared = read_registered(recipe("office", size=32, sha256=digest), raw)
    assert np.array_equal(prepared.images, prepare(folder, "office", size=32).images)
    with pytest.raises(RepriseError, match="params.yaml says 000"):
        read_registered(recipe("office", size=32, sha256="0" * 64), raw)
    Image.new("RGB", (70, 70)).save(next(folder.rglob("train/0_0.jpg")))
    with pytest.raises(RepriseError, match="0_0.jpg: not as it was registered"):
        read_registered(recipe("office", size=32, sha256=digest), raw)
    with pytest.raises(RepriseError, match="holds none of the courses' layouts"):
        register("here", next(folder.rglob("office/val")), raw)


def test_a_sample_says_what_it_is() -> None:
    prepared = read_sample(recipe("satellite", sample=COUNT))
    assert prepared.source.startswith("a small sample") and "not the course's" in prepared.note
    again = read_sample(recipe("satellite", sample=COUNT))
    assert np.array_equal(prepared.images, again.images)
    assert np.array_equal(prepared.labels, again.labels)


def test_a_set_without_labels_is_no_set_to_learn_classes_from(
    tmp_path: Path, handout: Give
) -> None:
    write_set(tmp_path, "mini", prepare(handout("mini"), "mini"))
    data = open_set(tmp_path, "classification")
    with pytest.raises(RepriseError, match="has no labels to learn"):
        every_class_trains(data)
    nowhere: Any = None
    assert np.isnan(Neighbours(data, nowhere, nowhere, 3)(torch.nn.Identity()))
