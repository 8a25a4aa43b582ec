"""Results as HTML: the page's templates, and what they show of a results folder.

Templates, styles, scripts and captions are in workflow/report/.
"""

import base64
import io
import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from reprise.csv_io import read_csv
from reprise.errors import RepriseError
from reprise.evaluation.markdown import MARK, Missing

FOLDER = Path("workflow/report")
# photographs and thousands of points are smaller as PNG
PNG = ("pca", "tsne", "masks", "overlays", "misclassified", "segment_anything")
# bytes of all figures of a page. One with more than its share is embedded as WebP: photographs with
# losses that are not seen, others without losses, from their PNG.
FIGURES_BYTES = 4_000_000


def _escaped(value: object) -> Markup:
    """A value as HTML; what a template or a function has made HTML already stays as it is."""
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


TEMPLATES = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=True,
    finalize=_escaped,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    extensions=["jinja2.ext.do"],
)


def macro(name: str, *values: Any) -> Markup:
    """The HTML that the macro `name` of macros.html makes of these values."""
    html: Markup = getattr(TEMPLATES.get_template("macros.html").module, name)(*values)
    return html


@cache
def scripts(charts: bool) -> Markup:
    """JavaScript for the end of the page: sorting alone, or with Vega-Embed and the charts."""
    sort = "\n" + (FOLDER / "sort.js").read_text(encoding="utf-8")
    if not charts:
        return Markup(sort)
    bundle = vl_convert.javascript_bundle(
        f"{sort}\n{(FOLDER / 'charts.js').read_text(encoding='utf-8')}"
    )
    # inside HTML a script ends at the first such letters, wherever they are
    return Markup(bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--"))


class ResultsReader:
    """Reads a results folder; `missing` collects what is missing or wrong, in the page's order."""

    def __init__(self, results: Path, figures: int = 1) -> None:
        """`figures`: how many the page has."""
        self.results = results
        self.large = FIGURES_BYTES // figures
        self.missing: list[str] = []

    def table(self, name: str) -> Markup:
        """tables/<name>.md as HTML."""
        path = self.results / "tables" / f"{name}.md"
        try:
            blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
        except FileNotFoundError:
            return self.missing_note(f"{path}: not found; run `evaluate` first")
        # a table marks the jobs that it lacks
        marks = [block.removeprefix(MARK) for block in blocks if block.startswith(MARK)]
        rest = [block for block in blocks if not block.startswith(MARK)]
        return Markup("\n").join([*markdown(rest, name), *map(self.missing_note, marks)])

    def figure(self, kind: str, *subject: str, alt: str, caption: str = "") -> Markup:
        """A figure (see `figures.Spec`) with its text alternative: PNG for images, otherwise SVG.

        One with more than its share of FIGURES_BYTES is a WebP. Without a caption it has the one of
        Snakemake's report.
        """
        folder, suffix = ("figures", "png") if kind in PNG else ("vector", "svg")
        name = "_".join((kind, *subject))
        path = self.results / folder / f"{name}.{suffix}"
        try:
            data = path.read_bytes()
            size = png_size(data) if suffix == "png" else svg_size(data)
            form = "png" if suffix == "png" else "svg+xml"
            if len(data) > self.large:
                path = self.results / "figures" / f"{name}.png"
                form, data = "webp", as_webp(path.read_bytes(), lossless=suffix == "svg")
        except FileNotFoundError:
            return self.missing_note(f"{path}: not found; run `plot` for this figure first")
        source = f"data:image/{form};base64," + base64.b64encode(data).decode()
        caption = caption or (FOLDER / f"{kind}.rst").read_text(encoding="utf-8")
        return macro("figure", source, size, alt, caption.strip())

    def csv(
        self, path: str, columns: Sequence[str], text_columns: Sequence[str] = ()
    ) -> pd.DataFrame:
        """A csv file below the results (see `read_csv`); empty if it is missing or wrong."""
        try:
            return read_csv(self.results / path, columns, text_columns)
        except RepriseError as error:
            self.missing_note(str(error))
            return pd.DataFrame(columns=list(columns))

    def chart(self, name: str, help_text: str, make: Callable[..., Any], *subject: Any) -> Markup:
        """The interactive chart that `make` returns, and notes of what it lacks; "" if it is None.

        `make(*subject, missing)` returns a Vega-Lite specification; it collects what is missing, or
        raises a RepriseError. `help_text` says what a reader can do with the chart.
        """
        missing, spec = Missing(), None
        with missing.collecting(name):
            spec = make(*subject, missing)
        html = [self.missing_note(reason) for reason in missing.reasons()]
        if spec:
            # a "<" in the data could end the script
            data = json.dumps(spec, separators=(",", ":"), sort_keys=True).replace("<", "\\u003c")
            html.insert(0, macro("chart", name, help_text, Markup(data)))
        return Markup("\n").join(html)

    def missing_note(self, reason: str) -> Markup:
        """A paragraph that says what is missing here."""
        if reason not in self.missing:
            self.missing.append(reason)
        return macro("missing_note", MARK + reason)


def as_webp(png: bytes, lossless: bool) -> bytes:
    """A PNG as a WebP, without losses or with some that are not seen at the size of the page."""
    stream = io.BytesIO()
    options: dict[str, Any] = {"lossless": True} if lossless else {"quality": 60}
    Image.open(io.BytesIO(png)).convert("RGB").save(stream, "webp", method=4, **options)
    return stream.getvalue()


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG, which its first chunk has (PNG specification, 11.2.2)."""
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


def svg_size(data: bytes) -> tuple[int, int]:
    """Width and height in CSS pixels of an SVG whose first tag gives them in points."""
    size = re.search(rb'<svg[^>]* width="([0-9.]+)pt" height="([0-9.]+)pt"', data)
    if size is None:
        raise RepriseError("an SVG gives no width and height in points; draw it again")
    return round(float(size[1]) * 96 / 72), round(float(size[2]) * 96 / 72)


def markdown(blocks: Sequence[str], name: str) -> list[Markup]:
    """The blocks of a tables/*.md as HTML: headings of level 3, tables and paragraphs only."""
    html = []
    for block in blocks:
        if block.startswith("### "):
            name = block.removeprefix("### ")
            html.append(macro("heading", name))
        elif block.startswith("| "):
            headings, _, *rows = [cells(line) for line in block.split("\n")]
            html.append(macro("table", headings, rows, name))
        else:
            html.append(macro("note", block))
    return html


def cells(line: str) -> list[str]:
    r"""Cells of one line of a markdown table, with `\|` and `\\` unescaped."""
    inner = re.split(r"(?<!\\)((?:\\\\)*)\|", line.strip())
    # the split keeps the backslash pairs before each bar: they belong to the cell before it
    joined = [a + b for a, b in zip(inner[::2], [*inner[1::2], ""], strict=True)]
    return [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in joined[1:-1]]
