"""The tables of architectures: one row a network, and the layer groups of each."""

import pandas as pd

from reprise.evaluation.markdown import Column, Table, document, markdown, text

KEYS = ["part", "run", "setting"]
SHAPE = ["model", "input", "group", "layers", "output", "parameters", "multiply_adds"]
COUNTED = (
    "Multiply-adds are those of convolutions and linear layers for one image; a multiplication and "
    "its addition count once. Norms, activations, pooling and interpolation are left out."
)
ANYTHING = (
    "Of Segment Anything, those of one image and one point, with the products of attention, of "
    "position encodings and of masks. An image passes its image encoder once, its mask decoder "
    "once for each point that it is asked at."
)


def networks_table(layers: pd.DataFrame) -> Table:
    """One row a network.

    Args:
        layers: one row a layer group: part, run, setting, model, input, group, layers, output (as
            "channels x height x width"), parameters, trained, multiply_adds (whole numbers).

    Returns:
        part, run, setting, model, input, output, parameters, trained, multiply_adds.
    """
    if layers.empty:
        return Table(layers, "No run in params.yaml.\n")
    rows = layers.groupby(KEYS, sort=False, as_index=False)
    counts = {name: (name, "sum") for name in ("parameters", "trained", "multiply_adds")}
    firsts = {name: (name, "first") for name in ("model", "input")}
    frame = rows.agg(**firsts, output=("output", "last"), **counts)
    columns = [
        Column("Part", text("part")),
        Column("Run", text("run"), "---"),
        Column("Setting", lambda row: row["setting"] or "-", "---"),
        Column("Model", text("model"), "---"),
        Column("Input", text("input")),
        Column("Output", text("output")),
        Column("Parameters", text("parameters")),
        Column("Trained", text("trained")),
        Column("Multiply-adds (M)", millions),
    ]
    notes = [
        f"{COUNTED} Of a pretraining, the online network with what is put on the backbone; "
        "fine-tuning takes the backbone alone. Trained are the parameters that have a gradient: "
        "of a frozen backbone, its head alone."
    ]
    return Table(frame, document(markdown(frame, columns), *notes, *_anything(layers)))


def layers_table(layers: pd.DataFrame) -> Table:
    """The layer groups of each network; the readable form has networks of one shape once."""
    columns = [
        Column("Layers", text("group")),
        Column("What", text("layers"), "---"),
        Column("Output", text("output")),
        Column("Parameters", text("parameters")),
        Column("Multiply-adds (M)", millions),
    ]
    if layers.empty:
        return Table(layers, "No run in params.yaml.\n")
    blocks = []
    for names, rows in distinct(layers):
        blocks += [f"### {names}", markdown(rows, columns)]
    return Table(layers, document(*blocks, COUNTED, *_anything(layers)))


def _anything(layers: pd.DataFrame) -> list[str]:
    """What is counted otherwise, where a run of Segment Anything is among the networks."""
    return [ANYTHING] if (layers["part"] == "anything").any() else []


def distinct(layers: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Networks of one shape together: "part run setting, ..." and their layer groups."""
    names: dict[tuple[tuple[object, ...], ...], list[str]] = {}
    shapes: dict[tuple[tuple[object, ...], ...], pd.DataFrame] = {}
    for key, rows in layers.groupby(KEYS, sort=False):
        shape = tuple(map(tuple, rows[SHAPE].to_numpy().tolist()))
        names.setdefault(shape, []).append(" ".join(str(part) for part in key if part))
        shapes.setdefault(shape, rows)
    return [("; ".join(names[shape]), rows) for shape, rows in shapes.items()]


def millions(row: pd.Series) -> str:
    """Multiply-adds in millions, with two digits behind the point."""
    return f"{row['multiply_adds'] / 1e6:.2f}"
