"""Reads the results for the page; a missing file leaves a note in its place."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from reprise.csv_io import read_csv
from reprise.errors import RepriseError
from reprise.evaluation.markdown import MARK, Missing
from reprise.report import html

# photographs and thousands of points are smaller as PNG
PNG = ("pca_", "tsne_", "masks_", "misclassified_", "segment_anything_")


class ResultsReader:
    """Reads a results folder; `missing` collects what is missing or wrong, in the page's order."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self.missing: list[str] = []

    def table(self, name: str) -> str:
        """tables/<name>.md as HTML."""
        path = self.results / "tables" / f"{name}.md"
        try:
            blocks = path.read_text().strip().split("\n\n")
        except FileNotFoundError:
            return self.missing_note(f"{path}: not found; run `evaluate` first")
        # a table marks the jobs that it lacks
        marks = [block.removeprefix(MARK) for block in blocks if block.startswith(MARK)]
        rest = "\n\n".join(block for block in blocks if not block.startswith(MARK))
        return (html.markdown(rest, name) if rest else "") + "".join(map(self.missing_note, marks))

    def figure(self, name: str, alt: str, caption: str) -> str:
        """A figure with its text alternative: PNG for images, otherwise SVG."""
        folder, suffix = ("figures", "png") if name.startswith(PNG) else ("vector", "svg")
        path = self.results / folder / f"{name}.{suffix}"
        try:
            return html.figure(path.read_bytes(), alt, caption)
        except FileNotFoundError:
            return self.missing_note(f"{path}: not found; run `plot` for this figure first")

    def csv(
        self, path: str, columns: Sequence[str], text_columns: Sequence[str] = ()
    ) -> pd.DataFrame:
        """A csv file below the results (see `read_csv`); empty if it is missing or wrong."""
        try:
            return read_csv(self.results / path, columns, text_columns)
        except RepriseError as error:
            self.missing_note(str(error))
            return pd.DataFrame(columns=list(columns))

    def chart(self, name: str, help_text: str, make: Callable[[Missing], Any]) -> str:
        """The interactive chart that `make` returns, and notes of what it lacks; "" if it is None.

        `make` collects what is missing, or raises a RepriseError.
        """
        missing, spec = Missing(), None
        with missing.collecting(name):
            spec = make(missing)
        notes = "".join(map(self.missing_note, missing.reasons()))
        return (html.vega_chart(name, spec, help_text) if spec else "") + notes

    def missing_note(self, reason: str) -> str:
        """A paragraph that says what is missing here."""
        if reason not in self.missing:
            self.missing.append(reason)
        return html.missing_note(MARK + reason)
