"""metrics.json: the numbers of the tables, nested part -> run -> [setting ->] metric."""

from typing import Any

import numpy as np
import pandas as pd

ACCURACY = ["accuracy", "accuracy_sd", "accuracy_low", "accuracy_high", "correct", "n", "images"]
ACCURACY += ["select_accuracy", "seeds", "accuracy_both_low", "accuracy_both_high"]
MASKS = ["miou", "miou_sd", "pixel_accuracy", "counted", "declared", "images"]
MASKS += ["miou_dlcv", "miou_cs6550", "pixel_accuracy_cs6550"]
MASKS += ["select_miou", "seeds", "miou_low", "miou_high", "miou_both_low", "miou_both_high"]
PAIRS = ["difference", "sd_seeds", "low_images", "high_images", "low_both", "high_both"]
PAIRS += ["p", "p_holm"]
PRETRAIN = ["epochs", "kept", "knn_accuracy_random", "knn_accuracy", "select_accuracy"]
PRETRAIN += ["std", "effective_rank"]


def nest(frame: pd.DataFrame, keys: list[str], values: list[str]) -> dict[str, Any]:
    """Turn rows into nested dicts: one level for each key, then the named values.

    Numbers are rounded to 6 digits; NaN (no value) is left out, for JSON has none.
    """
    tree: dict[str, Any] = {}
    for row in frame.to_dict("records"):  # keeps the type of each column, unlike iterrows
        leaf = tree
        for key in keys:
            leaf = leaf.setdefault(str(row[key]), {})
        leaf |= {name: number(row[name]) for name in values if not pd.isna(row[name])}
    return tree


def pairs_by_name(frame: pd.DataFrame) -> dict[str, Any]:
    """The pairs, nested part -> [run ->] `second-first` -> metric."""
    named = frame.assign(pair=frame["second"] + "-" + frame["first"])
    tree = nest(named, ["part", "run", "pair"], PAIRS)
    # where runs are compared, no run stands above them
    return {part: runs.get("", runs) for part, runs in tree.items()}


def number(value: Any) -> int | float:
    """A plain int for a count, else a float of 6 digits."""
    return int(value) if isinstance(value, (int, np.integer)) else round(float(value), 6)


def metrics(frames: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Build metrics.json from the frames of the tables.

    Args:
        frames: table name (pretrain, finetune, classify, faces, segment, street, iou, pairs) ->
            frame.

    Returns:
        Nested dict of numbers; write it with sorted keys.
    """
    tree: dict[str, Any] = {
        "pretrain": nest(frames["pretrain"], ["run", "method"], PRETRAIN),
        "finetune": nest(frames["finetune"], ["run", "setting"], ACCURACY),
    }
    for part in ("classify", "faces"):
        tree[part] = nest(frames[part], ["run"], ACCURACY)
    for part in ("segment", "street"):
        tree[part] = nest(frames[part], ["run"], MASKS)
        ious = frames["iou"][frames["iou"]["part"] == part]
        for run, leaf in nest(ious.assign(key="iou"), ["run", "key", "class"], ["iou"]).items():
            tree[part][run]["iou"] = {name: one["iou"] for name, one in leaf["iou"].items() if one}
    return tree | {"pairs": pairs_by_name(frames["pairs"])}
