"""What evaluation needs to know about a prepared data set: names, roles and the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reprise.errors import RepriseError
from reprise.files import read_json

ROLES = ("train", "select", "report")


@dataclass(frozen=True)
class Labels:
    """The classes of a data set: entry i of `names` and `colors` belongs to id i.

    `ignore` is the id that stands for "no label"; it may or may not be one of the named ids.
    """

    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    ignore: int | None

    @property
    def declared(self) -> list[int]:
        """The ids that count, in order."""
        return [i for i in range(len(self.names)) if i != self.ignore]


@dataclass(frozen=True)
class Prepared:
    """One prepared data set; row i of `index` describes row i of the arrays in `folder`."""

    folder: Path
    name: str
    task: str
    labels: Labels
    index: pd.DataFrame
    about: dict[str, Any]

    def images(self) -> NDArray[np.uint8]:
        """The images, (n, H, W, 3) uint8, memory-mapped."""
        return _array(self.folder / "images.npy", len(self.index))

    def truth(self) -> NDArray[np.uint8]:
        """Labels (n,) or label maps (n, H, W), uint8, memory-mapped."""
        return _array(self.folder / "labels.npy", len(self.index))

    def rows(self, role: str) -> NDArray[np.intp]:
        """Rows of a role, ascending."""
        return np.flatnonzero((self.index["role"] == role).to_numpy())

    def row(self, image: str) -> int:
        """Row of an image id. Raises RepriseError when there is none."""
        found = np.flatnonzero((self.index["id"] == image).to_numpy())
        if len(found) == 0:
            raise RepriseError(
                f"{self.folder / 'index.csv'}: no image '{image}'; use one of its ids"
            )
        return int(found[0])

    def merged(self, classes: int | None) -> tuple[Labels, NDArray[np.uint8]]:
        """The labels when merged into `classes` (None: as they are), and the table old -> new id.

        The table is (256,) uint8; the ignored id stays what it is.
        """
        table = np.arange(256, dtype=np.uint8)
        if classes is None:
            return self.labels, table
        where = f"{self.folder / 'dataset.json'}: merged.{classes}"
        merged = self.about.get("merged", {}).get(str(classes))
        if merged is None:
            raise RepriseError(f"{where}: not there; remove `merge` from the recipe or add it")
        table[: len(merged["map"])] = merged["map"]
        # a map that reaches the ignored id gives it a class, as CS6550 does with void
        if self.labels.ignore is not None and self.labels.ignore >= len(merged["map"]):
            table[self.labels.ignore] = self.labels.ignore
        return _labels(merged["classes"], self.labels.ignore, where), table


def read_prepared(folder: Path) -> Prepared:
    """Read dataset.json and index.csv. Raises RepriseError naming the file that is wrong."""
    path = folder / "dataset.json"
    about = read_json(path)
    try:
        labels = _labels(about["classes"], about["ignore"], f"{path}: classes")
        return Prepared(folder, about["name"], about["task"], labels, _index(folder), about)
    except KeyError as error:
        raise RepriseError(f"{path}: key {error} is missing; prepare the set again") from None


def _labels(classes: list[dict[str, Any]], ignore: int | None, where: str) -> Labels:
    if [entry["id"] for entry in classes] != list(range(len(classes))):
        raise RepriseError(f"{where}: the ids must be 0 to {len(classes) - 1}, in order")
    colors = [tuple(entry["color"]) for entry in classes if "color" in entry]
    return Labels(tuple(entry["name"] for entry in classes), tuple(colors), ignore)


def _index(folder: Path) -> pd.DataFrame:
    path = folder / "index.csv"
    index = read_table(path, ["id", "role"])
    odd = ~index["role"].isin(ROLES)
    if odd.any():
        row = int(np.flatnonzero(odd.to_numpy())[0])
        raise RepriseError(
            f"{path}: row {row + 2}: role '{index['role'].iloc[row]}'; "
            f"use one of {', '.join(ROLES)}"
        )
    return index


def read_table(path: Path, columns: list[str], texts: Sequence[str] = ()) -> pd.DataFrame:
    """Read a csv that has at least `columns`. Raises RepriseError.

    `id` and the columns named in `texts` are kept as text; in those an empty cell is "".
    """
    try:
        # a class or a run may be called "none" or "NA"; only an empty cell is no value
        kinds = dict.fromkeys(["id", *texts], str)
        table = pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; run the stage that makes it first") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise RepriseError(f"{path}: not a readable csv: {error}") from None
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise RepriseError(
            f"{path}: column '{missing[0]}' is missing; it needs {', '.join(columns)}"
        )
    return table.fillna(dict.fromkeys(texts, "")) if texts else table


def _array(path: Path, rows: int) -> NDArray[np.uint8]:
    try:
        array: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; run `prepare` for this set first") from None
    except (ValueError, EOFError) as error:
        raise RepriseError(
            f"{path}: not a readable array ({error}); prepare the set again"
        ) from None
    if len(array) != rows:
        raise RepriseError(
            f"{path}: {len(array)} rows, index.csv has {rows}; prepare the set again"
        )
    return array
