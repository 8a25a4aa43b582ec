"""What the numbers do not show: sentences whose numbers are computed from the results."""

from typing import Any

import pandas as pd

from reprise.evaluation.prepared import Prepared
from reprise.params import Params

FEW = 0.02  # a class below this share of the pixels is named
EMBEDDED = ("tiles", "maps", "faces")  # sources of the data that stand in for the reports' own


def limits(
    params: Params, metrics: dict[str, Any], ious: pd.DataFrame, sets: dict[str, Prepared]
) -> list[str]:
    """All limits, the general ones first.

    Args:
        params: for the seeds.
        metrics: metrics.json.
        ious: tables/iou.csv.
        sets: the prepared sets by name.
    """
    said = [_seeds(params), _pretraining(params), _interval(metrics), *_rare(ious)]
    said.append(
        "The intervals take images as independent. Images of one place or one person are alike, "
        "so the true uncertainty is larger."
    )
    if any(params.prepare.recipes[name].source in EMBEDDED for name in sets):
        said.append(
            "Where the images are not those of the five reports, neither are their size, the "
            "labels and the budget, and our numbers cannot be compared with theirs. What can "
            "be compared is the order of the runs."
        )
    said += _notes(sets)
    return [sentence for sentence in said if sentence]


def _seeds(params: Params) -> str:
    single = [
        part
        for part, block in params.stages.items()
        if part != "pretrain" and block.runs and len(getattr(block, "seeds", [])) == 1
    ]
    if not single:
        return ""
    return (
        f"One seed only: {', '.join(single)}. There the difference between two runs holds the "
        "chance of one draw, and no sd can be given."
    )


def _pretraining(params: Params) -> str:
    if not params.pretrain.runs or not params.pretrain.methods:
        return ""
    count = len(params.pretrain.runs) * len(params.pretrain.methods)
    return (
        f"Each of the {count} pretrainings ran with one seed. The seeds of fine-tuning start from "
        "the same backbone, so their sd leaves out what another pretraining would have given."
    )


def _interval(metrics: dict[str, Any]) -> str:
    settings = [
        (f"{run} {name}", one)
        for run, block in metrics.get("finetune", {}).items()
        for name, one in block.items()
    ]
    if not settings:
        return ""
    widths = [one["accuracy_high"] - one["accuracy_low"] for _, one in settings]
    return (
        f"With {settings[0][1]['images']} report images, the accuracy of a setting is known to "
        f"about {100 * max(widths) / 2:.1f} points either way. The difference of "
        "two settings is measured on the same images and has an interval of its own."
    )


def _rare(ious: pd.DataFrame) -> list[str]:
    said = []
    for part, rows in ious[ious["share"] < FEW].groupby("part", sort=False):
        names = {str(row["class"]): float(row["share"]) for row in rows.to_dict("records")}
        listed = ", ".join(f"{name} {100 * share:.2f} %" for name, share in sorted(names.items()))
        said.append(
            f"Rare classes of {part}, by share of the labelled report pixels: {listed}. Their IoU "
            "rests on few pixels, and each weighs as much in the mIoU as a common class."
        )
    return said


def _notes(sets: dict[str, Prepared]) -> list[str]:
    """What each data set says of itself; sets with the same note share a line."""
    names: dict[str, list[str]] = {}
    for name, one in sets.items():
        names.setdefault(str(one.about["note"]), []).append(name)
    return [
        f"{'Data set' if len(own) == 1 else 'Data sets'} {', '.join(own)}: {note}"
        for note, own in names.items()
        if note
    ]
