"""Interactive charts (Vega-Lite, by Altair): hover, zoom, filter, and step through the epochs.

Sliders and lists are the browser's own, so they work with the keyboard and with screen readers. The
data are csv inside the specification, which takes a third of the size of JSON.
"""

import base64
import io
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from PIL import Image

from reprise.csv_io import read_csv
from reprise.datasets.prepared import Bytes, Classes, PreparedDataset
from reprise.evaluation.job_outputs import read_mask
from reprise.evaluation.markdown import Missing
from reprise.figures import METHODS, style
from reprise.jobs import Job
from reprise.params.load import Params
from reprise.params.segment import SegmentTask

Spec = dict[str, Any]
# what Vega calls the markers of the figures, in their order
SHAPES = ("circle", "triangle-up", "square", "diamond", "triangle-down", "cross", "arrow", "wedge")
PANELS = ["image", "truth", "prediction", "wrong"]
EPOCHS = ("early", "middle", "final")  # of the masks
ALL_CLASSES = "all classes"
NO_CLASS = 255
THUMBNAIL = 48  # pixels
WIDTH = 300  # pixels of a chart; two of them fit a tablet, one a phone


def embedding(
    results: Path, params: Params, name: str, dataset: PreparedDataset, missing: Missing
) -> Spec | None:
    """The layouts of results/embed/<name>: lists of methods and classes, and a slider of epochs.

    `missing` collects which layouts are missing or cannot be read; None if no method has one.
    """
    table = _layouts(results / "embed" / name, params.embed[name].methods, missing)
    if table.empty:
        return None
    names = np.array(dataset.classes.names)
    table["class"] = names[table["label"]]
    table["id"] = dataset.index["id"].to_numpy()[table["row"]]
    classes = [str(names[i]) for i in dataset.classes.ids if (table["label"] == i).any()]
    colors, markers = zip(*map(style.color_and_marker, range(len(classes))), strict=True)
    shapes = [SHAPES[style.MARKERS.index(marker)] for marker in markers]
    color, shape = (alt.Scale(domain=classes, range=values) for values in (colors, shapes))
    epochs = sorted(table["epoch"].unique().tolist())
    slider = alt.binding_range(min=epochs[0], max=epochs[-1], step=1, name="Epoch: ")
    # the layout of the last saved epoch at or before the slider
    saved_epoch = " : ".join(f"epoch >= {epoch} ? {epoch}" for epoch in reversed(epochs))
    saved_epoch += f" : {epochs[0]}"
    axis: Any = {"axis": None, "scale": alt.Scale(domain=[-0.55, 0.55])}
    chart = (
        alt.Chart(_csv(table[["epoch", "method", "id", "class", "x", "y"]], ["epoch", "x", "y"]))
        .mark_point(filled=True, size=28, opacity=0.75)
        .encode(
            x=alt.X("x:Q", **axis),
            y=alt.Y("y:Q", **axis),
            color=alt.Color("class:N", scale=color, title="Class"),
            shape=alt.Shape("class:N", scale=shape, title="Class"),
            opacity=_opacity("class", 0.75, 0.04),
            # Vega shows a field with the title "image" as an image
            tooltip=[alt.Tooltip("url:N", title="image"), "class:N", "id:N", "epoch:Q"],
        )
        .transform_filter(f"datum.method == method && datum.epoch == ({saved_epoch})")
        .transform_lookup("id", alt.LookupData(_thumbnails(dataset, table["row"]), "id", ["url"]))
        .add_params(
            alt.param(name="epoch", value=epochs[-1], bind=slider),
            _list("method", "Method: ", table["method"].unique().tolist()),
            _list("chosen_class", "Class: ", [ALL_CLASSES, *classes]),
        )
        .properties(
            width=1.3 * WIDTH,
            height=1.3 * WIDTH,
            title=alt.TitleParams(alt.ExprRef(f"method + ', epoch ' + ({saved_epoch})")),
            description=f"Scatter plot of {name}: choose method, epoch and class below.",
        )
        .interactive()
    )
    return _spec(chart)


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


def masks(
    results: Path, params: Params, task: str, dataset: PreparedDataset, missing: Missing
) -> Spec | None:
    """Image, truth, prediction, errors: lists of images, runs and classes, a slider of epochs.

    None if the task has no run, seed or image. `missing` collects which masks are missing or cannot
    be read; their panels stay empty.
    """
    block = params.segment[task]
    if not block.runs or not block.seeds or not block.images:
        return None
    frames, colors = [], dict[str, str]()
    for position, run in enumerate(block.runs):
        classes, table = dataset.merged(block.recipes[run].merge_classes)
        codes = _codes(classes, colors, run)
        folder = Job("segment", task, run, block.seeds[0]).folder(results) / "masks"
        for image, image_id in enumerate(block.images):
            truth = table[dataset.labels[dataset.row(image_id)]]
            panels = [(1, 0, truth)]
            for epoch, name in enumerate(EPOCHS, 1):
                with missing.collecting("masks"):
                    mask = read_mask(folder / f"{image_id}_{name}.png", truth.shape, classes)
                    panels += [(2, epoch, mask), (3, epoch, errors_only(mask, truth, classes))]
            for panel, epoch, ids in panels:
                runs = run_lengths(ids, codes)
                frames.append(runs.assign(run=position, image=image, panel=panel, epoch=epoch))
    for image, image_id in enumerate(block.images):
        photo = Image.fromarray(np.asarray(dataset.images[dataset.row(image_id)]))
        url = _data_url(photo, "png", optimize=True)
        frames.append(pd.DataFrame({"image": [image], "panel": [0], "url": [url]}))
    rows = pd.concat(frames, ignore_index=True)
    numbers = [column for column in rows.columns if column != "url"]
    data = _csv(rows.astype(dict.fromkeys(numbers, "Int64")), numbers)
    chart = _mask_chart(data, block, colors, dataset.labels.shape[1:])
    text = f"Label maps of {task}: choose image, run, epoch and class below."
    return _spec(chart.properties(description=text))


def _mask_chart(
    data: alt.InlineData, block: SegmentTask, colors: dict[str, str], size: tuple[int, ...]
) -> alt.FacetChart:
    """The chart of rows of numbers: class, x, length and y of a run of pixels, and whose it is."""
    height, width = size
    side = WIDTH / 1.5
    slider = alt.binding_range(min=1, max=len(EPOCHS), step=1, name="Early, middle, final: ")
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, width], nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[height, 0], nice=False))
    photo = (
        alt.Chart()
        .mark_image(width=side, height=side, smooth=False)
        .encode(x=x, y=y, url="url:N")
        .transform_filter("datum.panel == 0")
        .transform_calculate(x=str(width / 2), y=str(height / 2))
    )
    scale = alt.Scale(domain=list(colors), range=list(colors.values()))
    color = alt.Color("named:N", title="Class", scale=scale)
    tooltip = [alt.Tooltip("named:N", title="class")]
    code_name = f"{json.dumps(list(colors))}[datum.class]"
    regions = (
        alt.Chart()
        .mark_rect()
        .encode(x=x, y=y, x2="x2:Q", y2="y2:Q", color=color, tooltip=tooltip)
        .encode(opacity=_opacity("named", 1, 0.1))
        .transform_filter("datum.panel > 0")
        .transform_calculate(x2="datum.x + datum.length", y2="datum.y + 1", named=code_name)
    )
    visible = (
        f"{json.dumps(block.images)}[datum.image] == chosen_image && (datum.panel == 0 || "
        f"({json.dumps(block.runs)}[datum.run] == chosen_run && "
        "(datum.panel == 1 || datum.epoch == chosen_epoch)))"
    )
    return (
        alt.layer(photo, regions, data=data)
        .properties(width=side, height=side)
        .interactive()
        .facet(alt.Facet("title:N", sort=PANELS, title=None), columns=2)
        .transform_filter(visible)
        .transform_calculate(title=f"{json.dumps(PANELS)}[datum.panel]")
        .add_params(
            _list("chosen_image", "Image: ", block.images),
            _list("chosen_run", "Run: ", block.runs),
            alt.param(name="chosen_epoch", value=len(EPOCHS), bind=slider),
            _list("chosen_class", "Class: ", [ALL_CLASSES, *colors]),
        )
    )


def _list(name: str, label: str, options: list[str]) -> alt.Parameter:
    select = alt.binding_select(options=options, name=label)
    return alt.param(name=name, value=options[0], bind=select)


def _opacity(field: str, chosen: float, others: float) -> Any:
    """Opacity of the chosen class, or of all, and of the other classes."""
    visible = f"chosen_class == '{ALL_CLASSES}' || datum.{field} == chosen_class"
    return alt.condition(visible, alt.value(chosen), alt.value(others))


def _csv(table: pd.DataFrame, numbers: list[str]) -> alt.InlineData:
    text = table.to_csv(index=False, float_format="%.4g", lineterminator="\n")
    # an id such as 0012 stays text
    parse: Any = {str(name): "string" for name in table.columns} | dict.fromkeys(numbers, "number")
    return alt.InlineData(values=text, format=alt.CsvDataFormat(type="csv", parse=parse))


def _spec(chart: Any) -> Spec:
    white = chart.configure(background="white", font="DejaVu Sans, system-ui, sans-serif")
    # validation takes a third of the page's time; a test validates instead
    spec: Spec = white.configure_view(stroke="#888888").to_dict(validate=False)
    return spec


def _codes(classes: Classes, colors: dict[str, str], run: str) -> dict[int, int]:
    """id -> position in `colors`, which gets the names; one with another color names its run."""
    codes = {}
    for i in classes.ids:
        color = "#{:02x}{:02x}{:02x}".format(*classes.colors[i])
        name = classes.names[i]
        name = name if colors.get(name, color) == color else f"{name} ({run})"
        colors[name] = color
        codes[i] = list(colors).index(name)
    return codes


def errors_only(mask: Bytes, truth: Bytes, classes: Classes) -> Bytes:
    """The wrong predictions of a mask; NO_CLASS where it is correct or the pixel is ignored."""
    wrong = (mask != truth) & (truth != classes.ignore)
    errors: Bytes = np.where(wrong, mask, NO_CLASS).astype(np.uint8)
    return errors


def run_lengths(ids: Bytes, codes: dict[int, int]) -> pd.DataFrame:
    """Runs of equal pixels in each line of a label map: class, x, length and y, in pixels.

    Ids without a code (the ignored one, or NO_CLASS) are left out.
    """
    rows = []
    for y, line in enumerate(ids):
        edges = [0, *(np.flatnonzero(np.diff(line)) + 1).tolist(), len(line)]
        for start, end in pairwise(edges):
            if int(line[start]) in codes:
                rows.append((codes[int(line[start])], start, end - start, y))
    return pd.DataFrame(rows, columns=["class", "x", "length", "y"])


def _thumbnails(dataset: PreparedDataset, rows: pd.Series) -> alt.InlineData:
    """Columns id and url: images of at most THUMBNAIL pixels per side, WebP of half a kilobyte."""
    lines = []
    for row in sorted(set(rows.tolist())):
        thumbnail = Image.fromarray(np.asarray(dataset.images[row]))
        thumbnail.thumbnail((THUMBNAIL, THUMBNAIL))
        url = _data_url(thumbnail, "webp", quality=60)
        lines.append([str(dataset.index["id"].iloc[row]), url])
    return _csv(pd.DataFrame(lines, columns=["id", "url"]), [])


def _data_url(image: Image.Image, form: str, **options: Any) -> str:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return f"data:image/{form};base64," + base64.b64encode(stream.getvalue()).decode()
