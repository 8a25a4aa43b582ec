"""The tables of the stage model_summary: one row per network, and the layer groups of each."""

import pandas as pd

from reprise.evaluation import markdown as md

KEYS = ["stage", "task", "run"]
SHAPE = ["model", "input", "group", "layers", "output", "parameters", "multiply_adds"]
COUNTED = (
    "Multiply-adds are those of convolutions and linear layers for one image; a multiplication and "
    "its addition count once. Normalization, activations, pooling and interpolation are not "
    "counted."
)
SEGMENT_ANYTHING = (
    "For Segment Anything they are for one image and one point prompt, and include the products of "
    "attention, of position encodings and of masks. An image passes through the image encoder "
    "once, and through the mask decoder once for each point prompt."
)
MILLIONS = md.Column("Multiply-adds (M)", lambda row: f"{row['multiply_adds'] / 1e6:.2f}")


def networks_table(layers: pd.DataFrame) -> md.Table:
    """One row per network.

    Args:
        layers: one row per layer group: stage, task, run, model, input, group, layers, output (as
            "channels x height x width"), parameters, trained, multiply_adds (whole numbers).

    Returns:
        stage, task, run, model, input, output, parameters, trained, multiply_adds.
    """
    if layers.empty:
        return md.Table(layers, md.NO_RUN)
    how = {"model": "first", "input": "first", "output": "last"}
    how |= dict.fromkeys(("parameters", "trained", "multiply_adds"), "sum")
    frame = layers.groupby(KEYS, sort=False, as_index=False).agg(how)
    others = ("input", "output", "parameters", "trained")
    columns = [
        *md.left(*KEYS, "model"),
        *(md.Column(name.capitalize(), md.text(name)) for name in others),
        MILLIONS,
    ]
    note = (
        f"{COUNTED} For pretraining, the online network with its heads is counted; fine-tuning "
        "takes only its backbone. Trained parameters are those with a gradient: with a frozen "
        "backbone, only those of the head."
    )
    return md.Table(frame, md.document(md.table(frame, columns), note, _segment_anything(layers)))


def layers_table(layers: pd.DataFrame) -> md.Table:
    """The layer groups of each network; the markdown has networks of one shape only once."""
    columns = [
        md.Column("Layers", md.text("group")),
        md.Column("Type", md.text("layers"), "---"),
        md.Column("Output", md.text("output")),
        md.Column("Parameters", md.text("parameters")),
        MILLIONS,
    ]
    if layers.empty:
        return md.Table(layers, md.NO_RUN)
    blocks = []
    for names, rows in distinct(layers):
        blocks += [f"### {names}", md.table(rows, columns)]
    return md.Table(layers, md.document(*blocks, COUNTED, _segment_anything(layers)))


def _segment_anything(layers: pd.DataFrame) -> str:
    """What is counted differently, if a run of Segment Anything is among the networks."""
    return SEGMENT_ANYTHING if (layers["stage"] == "segment_anything").any() else ""


def distinct(layers: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Networks of one shape together: "stage task run; ..." and their layer groups."""
    networks: dict[str, tuple[list[str], pd.DataFrame]] = {}
    for key, rows in md.groups(layers, *KEYS):
        names, _ = networks.setdefault(rows[SHAPE].to_csv(index=False), ([], rows))
        names.append(" ".join(key))
    return [("; ".join(names), rows) for names, rows in networks.values()]
