"""Interactive charts (Vega-Lite, by Altair): hover, zoom, filter, and step through the epochs.

Buttons and lists are the browser's own, so they work with the keyboard and with screen readers. The
data are csv inside the specification, which takes a third of the size of JSON.
"""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from PIL import Image

from reprise.csv_io import read_csv
from reprise.datasets.prepared import PreparedDataset
from reprise.evaluation.markdown import Missing
from reprise.figures import METHODS, style
from reprise.params.load import Params

Spec = dict[str, Any]
# what Vega calls the markers of the figures, in their order
SHAPES = ("circle", "triangle-up", "square", "diamond", "triangle-down", "cross", "arrow", "wedge")
ALL_CLASSES = "all classes"
MAX_POINTS = 3000  # of the charts of a page; of more, every n-th is shown, with a SMALL_THUMBNAIL
THUMBNAIL, SMALL_THUMBNAIL = 48, 24  # pixels
WIDTH = 300  # pixels of a chart; two of them fit a tablet, one a phone


def embedding(
    results: Path, params: Params, name: str, dataset: PreparedDataset, missing: Missing
) -> Spec | None:
    """The layouts of results/embed/<name>: lists of methods and classes, and the kept epochs.

    `missing` collects which layouts are missing or cannot be read; None if no method has one.
    """
    table = _layouts(results / "embed" / name, params.embed[name].methods, missing)
    if table.empty:
        return None
    rows = sorted(table["row"].unique().tolist())
    most = MAX_POINTS // len(params.embed)
    table = table[table["row"].isin(rows[:: -(-len(rows) // most)])].copy()
    names = np.array(dataset.classes.names)
    table["class"] = names[table["label"]]
    table["id"] = dataset.index["id"].to_numpy()[table["row"]]
    classes = [str(names[i]) for i in dataset.classes.ids if (table["label"] == i).any()]
    colors, markers = zip(*map(style.color_and_marker, range(len(classes))), strict=True)
    shapes = [SHAPES[style.MARKERS.index(marker)] for marker in markers]
    color, shape = (alt.Scale(domain=classes, range=values) for values in (colors, shapes))
    epochs = sorted(table["epoch"].unique().tolist())
    stops = alt.binding_radio(options=epochs, name="Epoch: ")
    axis: Any = {"axis": None, "scale": alt.Scale(domain=[-0.55, 0.55])}
    points = sum(block.max_points for block in params.embed.values())
    side = THUMBNAIL if points <= MAX_POINTS else SMALL_THUMBNAIL
    thumbnails = _thumbnails(dataset, table["row"], side)
    chart = (
        alt.Chart(
            csv_data(table[["epoch", "method", "id", "class", "x", "y"]], ["epoch", "x", "y"])
        )
        .mark_point(filled=True, size=28, opacity=0.75)
        .encode(
            x=alt.X("x:Q", **axis),
            y=alt.Y("y:Q", **axis),
            color=alt.Color("class:N", scale=color, title="Class"),
            shape=alt.Shape("class:N", scale=shape, title="Class"),
            opacity=opacity("class", 0.75, 0.04),
            # Vega shows a field with the title "image" as an image
            tooltip=[alt.Tooltip("url:N", title="image"), "class:N", "id:N", "epoch:Q"],
        )
        .transform_filter("datum.method == method && datum.epoch == epoch")
        .transform_lookup("id", alt.LookupData(thumbnails, "id", ["url"]))
        .add_params(
            alt.param(name="epoch", value=epochs[-1], bind=stops),
            choice("method", "Method: ", table["method"].unique().tolist()),
            choice("chosen_class", "Class: ", [ALL_CLASSES, *classes]),
        )
        .properties(
            width=1.3 * WIDTH,
            height=1.3 * WIDTH,
            title=alt.TitleParams(alt.ExprRef("method + ', epoch ' + epoch")),
            description=f"Scatter plot of {name}: choose method, epoch and class below.",
        )
        # without the key, the wheel scrolls the page
        .add_params(alt.selection_interval(bind="scales", zoom="wheel![event.ctrlKey]"))
    )
    return specification(chart)


def _layouts(folder: Path, methods: Sequence[str], missing: Missing) -> pd.DataFrame:
    """Columns epoch, row, label, x, y and method; x and y are scaled into -0.5..0.5."""
    tables = [pd.DataFrame()]
    for method in methods:
        with missing.collecting("embed"):
            table = read_csv(folder / f"{method}.csv", ["epoch", "row", "label", "x", "y"])
            tables.append(table.assign(method=METHODS[method]))
    table = pd.concat(tables, ignore_index=True)
    for _, rows in table.groupby(["method", "epoch"]) if len(table) else ():
        xy = rows[["x", "y"]]
        middle = (xy.max() + xy.min()) / 2
        table.loc[rows.index, ["x", "y"]] = (xy - middle) / (xy.max() - xy.min()).max()
    return table


def choice(name: str, label: str, options: list[str]) -> alt.Parameter:
    """A parameter that the reader chooses from a list of options."""
    select = alt.binding_select(options=options, name=label)
    return alt.param(name=name, value=options[0], bind=select)


def opacity(field: str, chosen: float, others: float) -> Any:
    """Opacity of the chosen class, or of all, and of the other classes."""
    visible = f"chosen_class == '{ALL_CLASSES}' || datum.{field} == chosen_class"
    return alt.condition(visible, alt.value(chosen), alt.value(others))


def csv_data(table: pd.DataFrame, numbers: list[str]) -> alt.InlineData:
    """A table as csv inside a specification; the columns `numbers` are numbers, others text."""
    text = table.to_csv(index=False, float_format="%.4g", lineterminator="\n")
    # an id such as 0012 stays text
    parse: Any = {str(name): "string" for name in table.columns} | dict.fromkeys(numbers, "number")
    return alt.InlineData(values=text, format=alt.CsvDataFormat(type="csv", parse=parse))


def specification(chart: Any) -> Spec:
    """The specification of a chart, in the look of all."""
    white = chart.configure(background="white", font="DejaVu Sans, system-ui, sans-serif")
    # validation takes a third of the page's time; a test validates instead
    spec: Spec = white.configure_view(stroke="#888888").to_dict(validate=False)
    return spec


def _thumbnails(dataset: PreparedDataset, rows: pd.Series, side: int) -> alt.InlineData:
    """Columns id and url: images of at most `side` pixels per side, WebP of half a kilobyte."""
    lines = []
    for row in sorted(set(rows.tolist())):
        thumbnail = Image.fromarray(np.asarray(dataset.images[row]))
        thumbnail.thumbnail((side, side))
        url = data_url(thumbnail, "webp", quality=60)
        lines.append([str(dataset.index["id"].iloc[row]), url])
    return csv_data(pd.DataFrame(lines, columns=["id", "url"]), [])


def data_url(image: Image.Image, form: str, **options: Any) -> str:
    """An image inside a page, in a format of Pillow with its options."""
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return f"data:image/{form};base64," + base64.b64encode(stream.getvalue()).decode()
