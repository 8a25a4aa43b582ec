"""Charts that a reader can hover, zoom, filter and step through by epoch: Vega-Lite by Altair.

Their inputs (sliders and lists) are the browser's own, so they work by keyboard and are named to a
screen reader. The data are csv inside the specification, which is a third of the size of JSON.
"""

import base64
import io
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from reprise.evaluation.holes import Holes
from reprise.evaluation.predictions import read_mask
from reprise.evaluation.prepared import Labels, Prepared, read_table
from reprise.figures import style
from reprise.figures.embeddings import METHODS
from reprise.figures.masks import MOMENTS, Mask
from reprise.params import Params

Spec = dict[str, Any]
SHAPES = ("circle", "triangle-up", "square", "diamond", "triangle-down", "cross", "arrow", "wedge")
PANELS = ["image", "truth", "answer", "wrong"]
EVERY = "every class"
THUMBNAIL = 48  # pixels
WIDTH = 300  # pixels of a chart; two of them fit a tablet, one a phone


def points(
    results: Path, params: Params, source: str, prepared: Prepared, holes: Holes
) -> Spec | None:
    """The layouts of `source` by every method: an epoch slider, a list of classes, zoom, hover.

    `holes` learn which layouts are missing or cannot be read; None where no method has one.
    """
    table = _layouts(results, params, source, holes)
    if table.empty:
        return None
    names = np.array(prepared.labels.names)
    table["class"] = names[table["label"]]
    table["id"] = prepared.index["id"].to_numpy()[table["row"]]
    shown = [str(names[i]) for i in prepared.labels.declared if (table["label"] == i).any()]
    marks = [style.mark(position) for position in range(len(shown))]
    shapes = [SHAPES[style.MARKERS.index(marker)] for _, marker in marks]

    epochs = sorted(table["epoch"].unique().tolist())
    epoch = alt.param(
        name="epoch", value=epochs[-1],
        bind=alt.binding_range(min=epochs[0], max=epochs[-1], step=1, name="Epoch: "),
    )  # fmt: skip
    # the layout of the last kept epoch at or before the slider
    at = " : ".join(f"epoch >= {one} ? {one}" for one in reversed(epochs)) + f" : {epochs[0]}"
    method = _choice("method", "Method: ", table["method"].unique().tolist())
    chosen = _choice("chosen", "Class: ", [EVERY, *shown])
    columns = ["epoch", "method", "id", "class", "x", "y"]
    chart = (
        alt.Chart(_csv(table[columns], ["epoch", "x", "y"]))
        .mark_point(filled=True, size=28, opacity=0.75)
        .encode(
            x=alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-0.55, 0.55])),
            y=alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[-0.55, 0.55])),
            color=alt.Color(
                "class:N", scale=alt.Scale(domain=shown, range=[c for c, _ in marks]), title="Class"
            ),
            shape=alt.Shape("class:N", scale=alt.Scale(domain=shown, range=shapes), title="Class"),
            opacity=alt.condition(
                f"chosen == '{EVERY}' || datum.class == chosen", alt.value(0.75), alt.value(0.04)
            ),
            # Vega shows what is called "image" as a picture
            tooltip=[alt.Tooltip("url:N", title="image"), "class:N", "id:N", "epoch:Q"],
        )
        .transform_filter(f"datum.method == method && datum.epoch == ({at})")
        .transform_lookup("id", alt.LookupData(_thumbnails(prepared, table["row"]), "id", ["url"]))
        .add_params(epoch, method, chosen)
        .properties(
            width=1.3 * WIDTH,
            height=1.3 * WIDTH,
            title=alt.TitleParams(alt.ExprRef(f"method + ', epoch ' + ({at})")),
            description=f"Scatter plot of {source}: choose method, epoch and class below it.",
        )
        .interactive()
    )
    return _spec(chart)


def _layouts(results: Path, params: Params, source: str, holes: Holes) -> pd.DataFrame:
    """Columns epoch, row, label, x, y and method; x and y are of a square of side 1 around 0."""
    tables = [pd.DataFrame()]
    for name in params.embed.methods:
        path = results / "embed" / source / f"{name}.csv"
        with holes.leave_out(source):
            table = read_table(path, ["epoch", "row", "label", "x", "y"])
            tables.append(table.assign(method=METHODS[name]))
    table = pd.concat(tables, ignore_index=True)
    for _, rows in table.groupby(["method", "epoch"]) if len(table) else ():
        xy = rows[["x", "y"]]
        middle = (xy.max() + xy.min()) / 2
        table.loc[rows.index, ["x", "y"]] = (xy - middle) / (xy.max() - xy.min()).max()
    return table


def label_maps(
    results: Path, params: Params, part: str, prepared: Prepared, holes: Holes
) -> Spec | None:
    """Image, truth, answer and error of named images: lists of image, run and class, and a slider.

    None when params.yaml names no run, seed or image of the part. `holes` learn which masks are
    missing or cannot be read; their panels stay empty.
    """
    block = params.segment if part == "segment" else params.street
    if not block.runs or not block.seeds or not block.images:
        return None
    frames, colors = [], dict[str, str]()
    for run, name in enumerate(block.runs):
        labels, merge = prepared.merged(block.recipes[name].merge)
        codes = _codes(labels, colors, name)
        folder = results / part / name / str(block.seeds[0]) / "masks"
        for image, one in enumerate(block.images):
            truth = merge[prepared.truth()[prepared.row(one)]]
            panels = [(1, 0, truth)]
            for moment, word in enumerate(MOMENTS, 1):
                with holes.leave_out(part):
                    mask = read_mask(folder / f"{one}_{word}.png", truth.shape, labels)
                    panels += [(2, moment, mask), (3, moment, wrong_alone(mask, truth, labels))]
            for panel, moment, ids in panels:
                made = _stretches(ids, codes)
                frames.append(made.assign(run=run, image=image, panel=panel, moment=moment))
    height, width = prepared.truth().shape[1:]
    for image, one in enumerate(block.images):
        url = _png(np.asarray(prepared.images()[prepared.row(one)]))
        frames.append(pd.DataFrame([{"image": image, "panel": 0, "url": url}]))
    table = pd.concat(frames, ignore_index=True)
    whole = [name for name in table.columns if name != "url"]
    data = _csv(table.astype(dict.fromkeys(whole, "Int64")), whole)
    return _spec(_explorer(data, block.images, block.runs, colors, (height, width), part))


def _explorer(
    data: alt.InlineData,
    images: list[str],
    runs: list[str],
    colors: dict[str, str],
    size: tuple[int, int],
    part: str,
) -> alt.FacetChart:
    """The chart over rows of numbers: class, x, length and y of a stretch of pixels, and whose."""
    height, width = size
    side = WIDTH / 1.5
    moment = alt.param(
        name="at", value=len(MOMENTS),
        bind=alt.binding_range(min=1, max=len(MOMENTS), step=1, name="Early, middle, final: "),
    )  # fmt: skip
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
    seen = f"chosen == '{EVERY}' || datum.named == chosen"
    regions = (
        alt.Chart()
        .mark_rect()
        .encode(
            x=x,
            y=y,
            x2="x2:Q",
            y2="y2:Q",
            color=alt.Color("named:N", title="Class", scale=scale),
            opacity=alt.condition(seen, alt.value(1), alt.value(0.1)),
            tooltip=[alt.Tooltip("named:N", title="class")],
        )
        .transform_filter("datum.panel > 0")
        .transform_calculate(
            x2="datum.x + datum.length",
            y2="datum.y + 1",
            named=f"{json.dumps(list(colors))}[datum.class]",
        )
    )
    shown = (
        f"{json.dumps(images)}[datum.image] == picture && (datum.panel == 0 || "
        f"({json.dumps(runs)}[datum.run] == by && (datum.panel == 1 || datum.moment == at)))"
    )
    return (
        alt.layer(photo, regions, data=data)
        .properties(width=side, height=side)
        .interactive()
        .facet(alt.Facet("shown:N", sort=PANELS, title=None), columns=2)
        .transform_filter(shown)
        .transform_calculate(shown=f"{json.dumps(PANELS)}[datum.panel]")
        .add_params(
            _choice("picture", "Image: ", images),
            _choice("by", "Run: ", runs),
            moment,
            _choice("chosen", "Class: ", [EVERY, *colors]),
        )
        .properties(description=f"Label maps of {part}: choose image, run, epoch and class below.")
    )


def _choice(name: str, label: str, options: list[str]) -> alt.Parameter:
    select = alt.binding_select(options=options, name=label)
    return alt.param(name=name, value=options[0], bind=select)


def _csv(table: pd.DataFrame, numbers: list[str]) -> alt.InlineData:
    text = table.to_csv(index=False, float_format="%.4g", lineterminator="\n")
    # an id such as 0012 stays text
    parse: Any = {str(name): "string" for name in table.columns} | dict.fromkeys(numbers, "number")
    return alt.InlineData(values=text, format=alt.CsvDataFormat(type="csv", parse=parse))


def _spec(chart: Any) -> Spec:
    white = chart.configure(background="white", font="DejaVu Sans, system-ui, sans-serif")
    # to check it takes a third of the page's time; a test does
    made: Spec = white.configure_view(stroke="#888888").to_dict(validate=False)
    return made


def _codes(labels: Labels, colors: dict[str, str], run: str) -> dict[int, int]:
    """id -> place in `colors`, which learns the names; one of two colours is told apart by run."""
    codes = {}
    for i in labels.declared:
        color = "#{:02x}{:02x}{:02x}".format(*labels.colors[i])
        name = labels.names[i]
        name = name if colors.get(name, color) == color else f"{name} ({run})"
        colors[name] = color
        codes[i] = list(colors).index(name)
    return codes


def wrong_alone(mask: Mask, truth: Mask, labels: Labels) -> Mask:
    """The answers that are wrong; 255, which is no class, where they are right or do not count."""
    kept: Mask = np.where((mask != truth) & (truth != labels.ignore), mask, 255).astype(np.uint8)
    return kept


def _stretches(ids: Mask, codes: dict[int, int]) -> pd.DataFrame:
    """Stretches of one class in each line of a label map: class, x, length and y, in pixels.

    An id without a code (the ignored one, or 255) has none.
    """
    rows = []
    for y, line in enumerate(ids):
        cuts = [0, *(np.flatnonzero(np.diff(line)) + 1).tolist(), len(line)]
        for x, end in pairwise(cuts):
            if int(line[x]) in codes:
                rows.append((codes[int(line[x])], x, end - x, y))
    return pd.DataFrame(rows, columns=["class", "x", "length", "y"])


def _thumbnails(prepared: Prepared, rows: pd.Series) -> alt.InlineData:
    """Column id and the picture, at most THUMBNAIL pixels a side, as WebP: half a kilobyte each."""
    images = prepared.images()
    lines = []
    for row in sorted(set(rows.tolist())):
        picture = Image.fromarray(np.asarray(images[row]))
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        url = _url(picture, "webp", quality=60)
        lines.append([str(prepared.index["id"].iloc[row]), url])
    return _csv(pd.DataFrame(lines, columns=["id", "url"]), [])


def _png(picture: NDArray[np.uint8]) -> str:
    return _url(Image.fromarray(picture), "png", optimize=True)


def _url(picture: Image.Image, form: str, **options: Any) -> str:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return f"data:image/{form};base64," + base64.b64encode(stream.getvalue()).decode()
