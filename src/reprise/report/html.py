"""Results as HTML: the page's templates, and what they show of a results folder.

Templates, styles, scripts and captions are in workflow/report/.
"""

import base64
import gzip
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
from reprise.figures import Spec
from reprise.report.html_tables import markdown

FOLDER = Path("workflow/report")
COMPARE = Path("workflow/compare")  # the page of two results, which the report does not read
# photographs and thousands of points are smaller as PNG
PNG = ("pca", "tsne", "masks", "overlays", "misclassified", "segment_anything")
# bytes of all figures of a page. One with more than its share is embedded as WebP: photographs with
# losses that are not seen, others without losses, from their PNG.
FIGURES_BYTES = 2_000_000
# the table or the folder, below the results, that a kind of figure is drawn from; {} is its subject
DATA = {
    "networks": "tables/layers.csv",
    "convergence": "tables/convergence.csv",
    "curves": "tables/histories.csv",
    "gap": "tables/histories.csv",
    "published_curve": "tables/histories.csv",
    "finetune": "tables/finetune_{0}.csv",
    "labels": "tables/finetune_{0}.csv",
    "iou": "tables/class_iou.csv",
    "calibration": "tables/calibration.csv",
    "cost": "tables/layers.csv",
    "comparisons": "tables/comparisons.csv",
    "published_numbers": "tables/published_numbers.csv",
    "confusion": "tables/confusion.csv",
    "misclassified": "{0}/{1}",
    "masks": "segment/{0}",
    "overlays": "segment/{0}",
    "pca": "embed/{0}/pca.csv",
    "tsne": "embed/{0}/tsne.csv",
    "segment_anything": "segment_anything/{0}/{1}",
}


def _escaped(value: object) -> Markup:
    """A value as HTML; what a template or a function has made HTML already stays as it is."""
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


TEMPLATES = Environment(
    loader=FileSystemLoader([FOLDER, COMPARE]),
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
def scripts(kinds: frozenset[str] = frozenset()) -> Markup:
    """JavaScript for the end of the page: page.js, and maps.js for a page with such charts."""
    files = ["page.js", *(["maps.js"] if "maps" in kinds else [])]
    script = "\n".join((FOLDER / file).read_text(encoding="utf-8") for file in files)
    # inside HTML a script ends at the first such letters, wherever they are
    return Markup(f"\n{script}".replace("</script", "<\\/script").replace("<!--", "<\\!--"))


@cache
def packed_script() -> str:
    """scatter.js with Vega-Embed, as base64 of gzip: page.js unpacks it for the first such chart.

    It is most of the JavaScript, and a page is shown sooner if it is not read before.
    """
    script = (FOLDER / "scatter.js").read_text(encoding="utf-8")
    bundle = vl_convert.javascript_bundle(f"\n{script}")
    return base64.b64encode(gzip.compress(bundle.encode(), mtime=0)).decode()


class ResultsReader:
    """Reads a results folder; `missing` collects what is missing or wrong, in the page's order.

    `drawn` has the figures and `charts` the kinds of charts of the page so far.
    """

    def __init__(self, results: Path, figures: int = 1) -> None:
        """`figures`: how many the page has."""
        self.results = results
        self.large = FIGURES_BYTES // figures
        self.missing: list[str] = []
        self.drawn: list[str] = []
        self.charts: set[str] = set()

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
        return Markup("\n").join([*markdown(rest, name, macro), *map(self.missing_note, marks)])

    def figure(self, kind: str, *subject: str, alt: str, caption: str = "") -> Markup:
        """A numbered figure with its text alternative: PNG for images, otherwise SVG.

        One with more than its share of FIGURES_BYTES is a WebP. Without a caption it has the one of
        Snakemake's report.
        """
        spec, is_image = Spec(kind, subject), kind in PNG
        try:
            source, size = self.embedded(spec.name, is_image)
        except FileNotFoundError as error:
            return self.missing_note(
                f"{error.filename}: not found; run `plot` for this figure first"
            )
        caption = caption or (FOLDER / f"{kind}.rst").read_text(encoding="utf-8")
        self.drawn.append(spec.name)
        files = [
            ("script", f"../src/{spec.module.replace('.', '/')}.py"),
            ("data", DATA[kind].format(*subject)),
            ("SVG", f"vector/{spec.name}.svg"),
            ("PNG", f"figures/{spec.name}.png"),
        ]
        command = f"snakemake --cores 4 --force results/figures/{spec.name}.png"
        number = len(self.drawn)
        return macro(
            "figure",
            spec.name,
            number,
            source,
            size,
            alt,
            caption.strip(),
            files,
            command,
            not is_image,
        )

    def embedded(self, name: str, is_image: bool) -> tuple[str, tuple[int, int]]:
        """A figure as a URL, and its size in CSS pixels. Raises FileNotFoundError."""
        svg, png = (self.results / folder / f"{name}.{form}" for folder, form in
                    (("vector", "svg"), ("figures", "png")))  # fmt: skip
        data = (png if is_image else svg).read_bytes()
        size = png_size(data) if is_image else svg_size(data)
        form = "png" if is_image else "svg+xml"
        if len(data) > self.large:
            smaller = as_webp(png.read_bytes(), lossless=not is_image)
            form, data = min((form, data), ("webp", smaller), key=lambda pair: len(pair[1]))
        return f"data:image/{form};base64," + base64.b64encode(data).decode(), size

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of charts of the page so far."""
        return frozenset(self.charts)

    def csv(
        self, path: str, columns: Sequence[str], text_columns: Sequence[str] = ()
    ) -> pd.DataFrame:
        """A csv file below the results (see `read_csv`); empty if it is missing or wrong."""
        try:
            return read_csv(self.results / path, columns, text_columns)
        except RepriseError as error:
            self.missing_note(str(error))
            return pd.DataFrame(columns=list(columns))

    def chart(
        self, kind: str, name: str, help_text: str, make: Callable[..., Any], *subject: Any
    ) -> Markup:
        """The chart of a kind (see `scripts`) that `make` returns, with notes of what it lacks.

        `make(*subject, missing)` returns the data of the chart, None if there is none ("" then); it
        collects what is missing, or raises a RepriseError. `help_text` says what a reader can do.
        """
        missing, data = Missing(), None
        with missing.collecting(name):
            data = make(*subject, missing)
        html = [self.missing_note(reason) for reason in missing.reasons()]
        if data:
            self.charts.add(kind)
            html.insert(0, macro("chart", name, help_text, kind, json_text(data)))
        return Markup("\n").join(html)

    def missing_note(self, reason: str) -> Markup:
        """A paragraph that says what is missing here."""
        if reason not in self.missing:
            self.missing.append(reason)
        return macro("missing_note", MARK + reason)


def json_text(data: Any) -> Markup:
    """Data as JSON inside a script of a page, which a "<" could end."""
    return Markup(json.dumps(data, separators=(",", ":"), sort_keys=True).replace("<", "\\u003c"))


def as_webp(png: bytes, lossless: bool) -> bytes:
    """A PNG as a WebP, without losses or with some that are not seen at the size of the page."""
    stream = io.BytesIO()
    options: dict[str, Any] = {"lossless": True} if lossless else {"quality": 60}
    Image.open(io.BytesIO(png)).convert("RGB").save(stream, "webp", method=4, **options)
    return stream.getvalue()


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG in CSS pixels, by its own resolution (without one, its pixels)."""
    image = Image.open(io.BytesIO(data))
    scale = 96 / image.info.get("dpi", (96, 96))[0]
    return round(image.width * scale), round(image.height * scale)


def svg_size(data: bytes) -> tuple[int, int]:
    """Width and height in CSS pixels of an SVG whose first tag gives them in points."""
    size = re.search(rb'<svg[^>]* width="([0-9.]+)pt" height="([0-9.]+)pt"', data)
    if size is None:
        raise RepriseError("an SVG gives no width and height in points; draw it again")
    return round(float(size[1]) * 96 / 72), round(float(size[2]) * 96 / 72)
