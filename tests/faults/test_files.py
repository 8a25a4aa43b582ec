"""Promise: whatever files a course, a stranger or an accident leaves, they are read or refused.

`make data` names what is wrong, writes its list and its link last, and changes nothing else.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import bad_files, faults
from support.course_folders import recipe
from support.faults import Ending, ending_of_main, is_reason

from reprise.datasets import course
from reprise.datasets.layouts import LAYOUTS
from reprise.datasets.writer import write_dataset
from reprise.engines.data import main as make_data
from reprise.errors import RepriseError
from reprise.images import FORMATS, read_rgb
from reprise.models import weights

exhaustive = pytest.mark.exhaustive
SIZE = 16
REGISTER = ["given", "--name", "x", "--accept-counts"]
CASE = tuple[str, Path, bad_files.Spoil]  # what is tried, on which file of a folder


def write_layout(folder: Path, layout: str) -> None:
    """The smallest folder of a layout: two classes or maps, four images in train and two in val."""
    rng = np.random.default_rng(0)

    def image(name: str, array: np.ndarray | None = None) -> None:
        pixels = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) if array is None else array
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)

    tables: dict[str, list[str]] = {}
    splits = [("train", "train", 4), ("val", "validation", 2)]
    splits += [("test", "test", 2)] if layout == "camvid_segnet" else []
    for split, other, count in splits:
        for number in range(count):
            label, name = number % 2, f"{number % 2}_{number}"
            if layout == "dlcv_50":
                image(f"{split}_50/{name}.png")
                if split == "val":
                    tables.setdefault("val_gt.csv", ["filename,label"]).append(
                        f"{name}.png,{label}"
                    )
            elif layout == "office_home":
                image(f"office/{split}/{name}.jpg")
                rows = tables.setdefault(f"office/{split}.csv", ["id,filename,label"])
                rows.append(f"{number},{name}.jpg,{label}")
            elif layout == "mini_imagenet" and split == "train":
                image(f"mini/train/{name}.jpg")
                rows = tables.setdefault("mini/train.csv", ["id,filename,label"])
                rows.append(f"{number},{name}.jpg,n{label}")
            elif layout == "deepglobe":
                image(f"{other}/{number}_sat.jpg")
                mask = np.full((SIZE, SIZE, 3), (0, 255, 255 * label), np.uint8)
                image(f"{other}/{number}_mask.png", mask)
            elif layout == "celeba_makeup":
                image(f"{split}/{'no_' * label}heavy_makeup/{number}.jpg")
            elif layout in ("camvid", "camvid_segnet"):
                image(f"{split}/{number}.png")
                image(f"{split}annot/{number}.png", np.full((SIZE, SIZE), label, np.uint8))
            if layout == "camvid":
                rows = tables.setdefault(f"{split}.csv", ["image,label"])
                rows.append(f"{split}/{number}.png,{split}annot/{number}.png")
    for name, lines in tables.items():
        (folder / name).write_text("\n".join(lines) + "\n")


def named(name: bytes) -> bad_files.Spoil:
    """Give a file another name, or leave it where a file system cannot."""

    def spoil(path: Path) -> None:
        os.rename(os.fsencode(path), os.path.join(os.fsencode(path.parent), name))

    return spoil


NAMES = {
    "not UTF-8": b"\xff\xfe.png", "line break": b"0_\n9.png", "250 letters": b"a" * 250 + b".png",
    "huge class": b"99999999999_9.png", "class 256": b"256_9.png", "digits": b"9" * 200 + b"_1.png",
    "no class": b"_.png", "quotes": b"'\"$(x);.png", "spaces": b" .png",
    "control": b"\x07\x1b[2J.png",
    "other digits": "\u0663_9.png".encode(), "upper case": b"0_9.PNG", "dots": b"...png",
}  # fmt: skip


def course_cases(layout: str, folder: Path) -> Iterator[CASE]:
    """Every fault of one image, one label map and each csv file of a layout."""
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    images = [file for file in files if file.suffix != ".csv"]
    masks = [file for file in images if "mask.png" in file.name or "annot" in file.parts[0]]
    for file in (min(set(images) - set(masks)), *masks[:1]):
        for name, spoil in bad_files.IMAGES.items():
            yield f"{file} {name}", file, spoil
        for name, other in NAMES.items():
            yield f"{file} named {name}", file, named(other)
        for seed in range(20):
            yield f"{file} flipped {seed}", file, bad_files.flipped(seed)
    if masks:
        for mode, value in (("L", 200), ("RGB", (1, 2, 3)), ("L", 12), ("RGBA", 0), ("1", 1)):
            mask = Image.new(mode, (SIZE, SIZE), value)
            yield f"mask {mode} {value}", masks[0], lambda path, mask=mask: mask.save(path)
    for file in (file for file in files if file.suffix == ".csv"):
        for name, spoil in (bad_files.PLACES | bad_files.TEXTS).items():
            yield f"{file} {name}", file, spoil
        for name, data in bad_files.csv_faults((folder / file).read_text()):
            yield f"{file} {name}", file, bad_files.content(data)


def in_few_lines(ending: Ending) -> Ending:
    """`make data` lists what it finds and up to 20 problems before the line that refuses."""
    lines = [line for line in ending.stderr.splitlines() if line]
    if ending.status == 1 and len(lines) <= 32 and is_reason(lines[-1]):
        return replace(ending, stderr=lines[-1])
    return ending


def wrong_ending(layout: str, folder: Path, case: CASE) -> tuple[str, Ending] | None:
    """Register a spoiled copy of a folder, and prepare it if it is accepted."""
    name, file, spoil = case
    work = folder.with_name(f"{folder.name} work")
    shutil.copytree(folder, work / "given", symlinks=True)
    try:
        spoil(work / "given" / file)
        ending = in_few_lines(ending_of_main(make_data, REGISTER, work))
        allowed = {"data/raw/x", "data/raw/x.csv"} if ending.status == 0 else set()
        if ending.status == 0 and set(ending.changed) == allowed:
            faults.count("course folders", ending)
            val = 0 if layout == "camvid_segnet" else 0.5
            values = recipe(layout, registered_as="x", size=8, val=val)

            def main() -> None:
                write_dataset(Path("out"), "x", course.prepare(values))

            ending = in_few_lines(ending_of_main(main, [], work))
            allowed = {f"out/{file}" for file in ("images.npy", "labels.npy", "index.csv")}
            allowed |= {"out/dataset.json"}
        faults.count("course folders", ending)
        fair = ending.outcome not in faults.FAULTS and set(ending.changed) <= allowed
        return None if fair else (name, ending)
    finally:
        shutil.rmtree(work)


def sample(cases: Sequence[CASE], count: int) -> list[CASE]:
    """Some cases, spread over all."""
    return [cases[place] for place in np.linspace(0, len(cases) - 1, count).astype(int)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_course_folder_is_registered_or_refused(layout: str, tmp_path: Path) -> None:
    folder = tmp_path / layout
    write_layout(folder, layout)
    cases = sample(list(course_cases(layout, folder)), 6)
    assert [*filter(None, (wrong_ending(layout, folder, case) for case in cases))] == []


@exhaustive
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_course_folder_is_registered_or_refused(layout: str, tmp_path: Path) -> None:
    folder = tmp_path / layout
    write_layout(folder, layout)
    cases = course_cases(layout, folder)
    assert [*filter(None, (wrong_ending(layout, folder, case) for case in cases))] == []


@pytest.fixture
def registered(tmp_path: Path) -> Path:
    """A folder where x stands for a folder `given` in the layout office_home."""
    write_layout(tmp_path / "given", "office_home")
    assert ending_of_main(make_data, REGISTER, tmp_path).status == 0
    return tmp_path


def prepare_office() -> None:
    """Read the registered folder."""
    course.prepare(recipe("office_home", registered_as="x", size=8, val=0.5))


def restore(path: Path, text: str) -> None:
    """Write a file again, whatever is at its path."""
    shutil.rmtree(path) if path.is_dir() else bad_files.delete(path)
    path.write_text(text)


@pytest.mark.parametrize("step", [13, pytest.param(1, marks=exhaustive)])
def test_a_registry_list_is_read_or_refused(registered: Path, step: int) -> None:
    table = registered / "data" / "raw" / "x.csv"
    text = table.read_text()
    cases = dict(bad_files.PLACES | bad_files.TEXTS)
    cases |= {name: bad_files.content(data) for name, data in bad_files.csv_faults(text)}
    for name, spoil in list(cases.items())[::step]:
        restore(table, text)
        spoil(table)
        ending = ending_of_main(prepare_office, [], registered)
        faults.count("registry lists", ending)
        assert ending.outcome not in faults.FAULTS, (name, ending)
        assert ending.changed == ()
    restore(table, text)
    assert ending_of_main(prepare_office, [], registered).outcome == "right"


def test_what_is_registered_is_replaced_last_and_never_in_silence(registered: Path) -> None:
    raw, other = registered / "data" / "raw", ["other", *REGISTER[1:]]
    before = (raw / "x.csv").read_bytes()
    shutil.copytree(registered / "given", registered / "other")
    (registered / "other/office/train/0_0.jpg").write_bytes(b"")
    ending = in_few_lines(ending_of_main(make_data, other, registered))
    assert ending.outcome == "refused" and (raw / "x.csv").read_bytes() == before
    shutil.copy(
        registered / "given/office/train/1_1.jpg", registered / "other/office/train/0_0.jpg"
    )
    ending = ending_of_main(make_data, other, registered)
    assert ending.status == 0 and f"x: was registered for {registered / 'given'}" in ending.stderr
    (raw / "y").mkdir()
    (raw / "y.csv").write_text("of another program")
    ending = ending_of_main(make_data, ["given", "--name", "y", "--accept-counts"], registered)
    assert ending.outcome == "refused" and "y: already exists; move it away" in ending.stderr
    write_layout(registered / "third", "dlcv_50")
    # which has an input of this name
    arguments = ["third", "--name", "val_gt", "--raw", "third", "--accept-counts"]
    ending = in_few_lines(ending_of_main(make_data, arguments, registered))
    assert ending.outcome == "refused" and "val_gt.csv: is an input" in ending.stderr
    for name in ("", "a b", "../x", "a" * 300, "_x", "x;y"):
        ending = in_few_lines(ending_of_main(make_data, ["given", "--name", name], registered))
        faults.count("registry lists", ending)
        assert ending.outcome == "refused", (name, ending)


def fuzz_images(path: Path, seeds: range) -> None:
    """Change bytes of images: each is decoded, or refused with its name."""
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    for seed in seeds:
        format = FORMATS[seed % len(FORMATS)]
        Image.fromarray(pixels).save(path, format)
        bad_files.flipped(seed)(path)
        try:
            assert read_rgb(path, None).dtype == np.uint8
            faults.count("images with changed bytes", "right")
        except RepriseError as error:
            assert str(error).startswith(f"{path}: ")
            faults.count("images with changed bytes", "refused")


def test_changed_bytes_of_an_image_are_decoded_or_refused(tmp_path: Path) -> None:
    fuzz_images(tmp_path / "a.png", range(500))


@exhaustive
def test_many_changed_bytes_of_an_image_are_decoded_or_refused(tmp_path: Path) -> None:
    fuzz_images(tmp_path / "a.png", range(500, 8000))


ADDRESSES = (
    "foo", "", "http://x/a b", "http://x:abc/", "http://[::1/", "https://x/a b", "https://x:abc/",
    "https://[::1/", "https://", "https:///a", "ftp://x/a", "file:///etc/passwd", "data:,a",
    "https://x\n/a", "//x/a", "https://\u0663.example/", "https://" + "a" * 300, "https://x/\0",
)  # fmt: skip
PLACES = (
    "../outside",
    "/outside",
    "data/weights/../outside",
    "",
    ".",
    "data/weights",
    "a.pth",
    "data/weights/" + "a" * 300,
    "data/weights/a\0b",
    "data/weights/a\nb/../../../x",
)


def test_weights_come_over_https_to_their_folder_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def main(path: str, url: str, digest: str | None) -> Callable[[], None]:
        file = weights.WeightsFile(path=path, url=url, sha256=digest)
        return lambda: weights.fetch("a", {"a": file})

    def no_network(request: object) -> None:
        raise OSError("no network here")

    # http.client still checks the address
    monkeypatch.setattr("socket.create_connection", lambda *a, **k: no_network(a))
    good = ("data/weights/a.pth", "https://weights.example/a.pth", "0" * 64)
    cases = [(good[0], url, good[2]) for url in ADDRESSES]
    cases += [(path, good[1], good[2]) for path in PLACES]
    for case in (*cases, (*good[:2], None)):
        ending = ending_of_main(main(*case), [], tmp_path)
        faults.count("weights", ending)
        assert ending.outcome == "refused", (case, ending)
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
