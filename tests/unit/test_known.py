"""A folder is a known archive only if every file of it is that file, under its name."""

from pathlib import Path

import numpy as np
from PIL import Image
from support.course_folders import recipe

from reprise.atomic_io import sha256
from reprise.datasets import known
from reprise.datasets.known import HOMEWORKS, KNOWN, digest, known_archive, split_digests
from reprise.datasets.layouts import LAYOUTS, list_folder
from reprise.datasets.listing import Listing
from reprise.datasets.registry import register


def folder_of(root: Path) -> Listing:
    for split in ("train", "val"):
        (root / f"{split}_50").mkdir(parents=True)
        for label in range(2):
            for number in range(4):
                pixels = np.full((4, 4, 3), 16 * label + 4 * number + (split == "val"), np.uint8)
                pixels[0] = 255
                Image.fromarray(pixels).save(root / f"{split}_50" / f"{label}_{number}.png")
    return list_folder(root, "dlcv_50")


def digests_of(listing: Listing) -> dict[Path, str]:
    return {path: sha256(path) for path in listing.files}


def test_a_digest_is_that_of_sha256sum(tmp_path: Path) -> None:
    listing = folder_of(tmp_path)
    lines = [f"{sha256(p)}  val_50/{p.name}" for p in sorted((tmp_path / "val_50").iterdir())]
    assert split_digests(listing, digests_of(listing))["val"] == digest(reversed(lines))


def test_known_splits_are_those_of_their_layouts() -> None:
    for layout, (archive, splits) in KNOWN.items():
        assert splits.keys() == LAYOUTS[layout].published.keys()
        assert all(len(value) == 64 and int(value, 16) for value in splits.values())
        assert HOMEWORKS[archive]


def test_the_homeworks_own_images_are_verified(tmp_path: Path, monkeypatch) -> None:
    listing = folder_of(tmp_path / "given")
    of_folder = split_digests(listing, digests_of(listing))
    assert known_archive("dlcv_50", listing, digests_of(listing)) is None
    monkeypatch.setitem(known.KNOWN, "dlcv_50", (known.NTU_2022, of_folder))
    assert known_archive("dlcv_50", listing, digests_of(listing)) == known.NTU_2022
    from reprise.datasets.course import prepare

    register(tmp_path / "given", "here", tmp_path / "raw", accept_counts=True)
    details = prepare(recipe("dlcv_50"), tmp_path / "raw").details
    assert details["verified"] is True and details["homeworks"] == ["dlcv2022"]
    # two images that change their labels have the same digests, but other names
    one, other = (tmp_path / "given/train_50" / name for name in ("0_0.png", "1_0.png"))
    one.rename(tmp_path / "x")
    other.rename(one)
    (tmp_path / "x").rename(other)
    swapped = list_folder(tmp_path / "given", "dlcv_50")
    assert known_archive("dlcv_50", swapped, digests_of(swapped)) is None
    other.unlink()
    fewer = list_folder(tmp_path / "given", "dlcv_50")
    assert known_archive("dlcv_50", fewer, digests_of(fewer)) is None
