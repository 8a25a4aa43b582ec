"""What the page is made of; a file that is missing leaves a hole that says so."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from reprise.errors import RepriseError
from reprise.evaluation.holes import MARK
from reprise.evaluation.prepared import read_table
from reprise.figures import page
from reprise.files import read_json

# photographs and thousands of points are smaller as pixels
PIXELS = ("pca_", "tsne_", "masks_", "mistakes_", "anything_")


class Sources:
    """Reads the results; `holes` collects what was missing or wrong, in the order of the page."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self.holes: list[str] = []

    def table(self, name: str) -> str:
        """tables/<name>.md as HTML."""
        path = self.results / "tables" / f"{name}.md"
        try:
            text = path.read_text()
        except FileNotFoundError:
            return self.hole(f"{path}: not found; run `evaluate` first")
        # what evaluate left out and said so
        blocks = text.strip().split("\n\n")
        marks = [block.removeprefix(MARK) for block in blocks if block.startswith(MARK)]
        rest = "\n\n".join(block for block in blocks if not block.startswith(MARK))
        made = page.markdown(rest, name) if rest else ""
        return made + "".join(map(self.hole, marks))

    def figure(self, name: str, alt: str, caption: str) -> str:
        """A figure: PNG where it is made of pixels, else SVG, sharp on paper and small."""
        pixels = name.startswith(PIXELS)
        folder, form = ("figures", "png") if pixels else ("vector", "svg")
        path = self.results / folder / f"{name}.{form}"
        try:
            return page.figure(path.read_bytes(), alt, caption)
        except FileNotFoundError:
            return self.hole(f"{path}: not found; run `plot` for this figure first")

    def csv(self, path: str, columns: Sequence[str], texts: Sequence[str] = ()) -> pd.DataFrame:
        """A csv below the results (see `read_table`); empty where it is missing."""
        try:
            return read_table(self.results / path, list(columns), texts)
        except RepriseError as error:
            self.hole(str(error))
            return pd.DataFrame(columns=list(columns))

    def json(self, path: str) -> dict[str, Any]:
        """A JSON file below the results; empty where it is missing."""
        try:
            found: dict[str, Any] = read_json(self.results / path)
        except RepriseError as error:
            self.hole(str(error))
            return {}
        return found

    def attempt(self, make: Callable[[], str]) -> str:
        """A part of the page; a hole where what it needs is missing or wrong."""
        try:
            return make()
        except RepriseError as error:
            return self.hole(str(error))

    def hole(self, why: str) -> str:
        """A paragraph that says what is missing here."""
        if why not in self.holes:
            self.holes.append(why)
        return page.hole(MARK + why)
