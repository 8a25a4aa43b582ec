"""Archives whose files are known, so that "the homework's own images" is checked and not assumed.

A split is known by the sha256 of the lines that `sha256sum` prints for its images and label maps
(checksum, two spaces, folder/file), sorted. Names count, because they have the labels. This is
code, not a file of data: a job that uses it runs again when it changes.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from reprise.datasets.listing import Listing

NTU_2022 = "NTU DLCV 2022 HW1"
CAMVID = "CamVid of the SegNet tutorial"
# the presets of the homeworks that are known to have these very files
HOMEWORKS = {NTU_2022: ["dlcv2022"], CAMVID: ["cs6550"]}
_TRAIN = "255e02505a003ab91665ef30e3a1a71d40c013f8329be51031b5341e3132646e"
_VAL = "ee92f446baef32caf512a2db625c1be283b55c98410f2a1ff6a1dd9ec8261380"
# by layout: the archive, and the digest of each split
KNOWN = {
    "dlcv_50": (
        NTU_2022,
        {
            "train": "30d838b3fd491f7fac1124b10247e029b0b30f8b61c96ee05012104825cc90f7",
            "val": "9a1ebe393cef56f382f73ec61c487600de83d601a1b689a9e17e6a9f73977146",
        },
    ),
    "deepglobe": (
        NTU_2022,
        {
            "train": "483ddbd0f9bf5e70d755085d10633f008bf742f24535e29991a9d519ecc37bbf",
            "val": "2869a1782adc79706617347591ee0587879f77bec4e553ca46f4cd5349885de6",
        },
    ),
    "camvid": (CAMVID, {"train": _TRAIN, "val": _VAL}),
    "camvid_segnet": (
        CAMVID,
        {
            "train": _TRAIN,
            "val": _VAL,
            "test": "7ad48f958ef80f9df7df6dadf91458de92cc4b1ff27cdf2733c16c72897df4ea",
        },
    ),
}


def split_digests(listing: Listing, digests: Mapping[Path, str]) -> dict[str, str]:
    """The digest of each split of a listing; digests: sha256 of each of its files."""
    lines: dict[str, list[str]] = {}
    for item in listing.items:
        for path in item.files:
            name = path.relative_to(listing.root).as_posix()
            lines.setdefault(item.split, []).append(f"{digests[path]}  {name}")
    return {split: digest(split_lines) for split, split_lines in lines.items()}


def digest(lines: Iterable[str]) -> str:
    """The sha256 of lines, sorted, each with its line end."""
    return hashlib.sha256("".join(f"{line}\n" for line in sorted(lines)).encode()).hexdigest()


def known_archive(layout: str, listing: Listing, digests: Mapping[Path, str]) -> str | None:
    """The known archive that a listing is, in every split; None if it is another one."""
    archive, splits = KNOWN.get(layout, ("", {}))
    return archive if splits and split_digests(listing, digests) == splits else None
