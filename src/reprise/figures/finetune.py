"""Settings A to E: the mean of the seeds as bars, every seed as a point."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reprise.evaluation.prepared import read_table
from reprise.figures import style


def finetune(results: Path) -> Figure:
    """Draw tables/finetune.csv and the seeds of tables/seeds.csv; one panel a run."""
    table = read_table(
        results / "tables" / "finetune.csv",
        ["run", "setting", "pretraining", "tuned", "accuracy", "accuracy_low", "accuracy_high"]
        + ["accuracy_both_low", "accuracy_both_high"],
    )
    seeds = read_table(results / "tables" / "seeds.csv", ["part", "run", "setting", "report"])
    runs = list(dict.fromkeys(table["run"]))
    if not runs:
        return style.notice("No fine-tuning run in params.yaml.")
    figure = style.new_figure(7.0, 3.4 * len(runs))
    for axes, run in zip(figure.subplots(len(runs), 1, squeeze=False)[:, 0], runs, strict=True):
        points = seeds[(seeds["part"] == "finetune") & (seeds["run"] == run)]
        _bars(axes, table[table["run"] == run].reset_index(drop=True), points)
        axes.set_title(f"Fine-tuning, run {run}", loc="left")
    return figure


def _bars(axes: Axes, table: pd.DataFrame, seeds: pd.DataFrame) -> None:
    kinds = list(dict.fromkeys(table["pretraining"]))
    mean = table["accuracy"]
    for kind in kinds:
        own = table[table["pretraining"] == kind]
        hatches = ["//" if tuned.startswith("frozen") else "" for tuned in own["tuned"]]
        look: dict[str, Any] = {
            "color": style.color(kinds.index(kind)),
            "alpha": 0.8,
            "edgecolor": "white",
        }
        label = f"pretraining: {kind}"
        axes.bar(own.index, own["accuracy"], 0.62, hatch=hatches, label=label, **look)
    reach = np.array([mean - table["accuracy_low"], table["accuracy_high"] - mean])
    whisker: dict[str, Any] = {"fmt": "none", "ecolor": style.INK, "elinewidth": 1.6, "capsize": 4}
    axes.errorbar(table.index - 0.22, mean, reach, label="95 %, images (Wilson)", **whisker)
    if table["accuracy_both_low"].notna().any():
        low, high = (table[f"accuracy_both_{end}"] for end in ("low", "high"))
        thin = whisker | {"elinewidth": 0.9, "capsize": 2}
        whole = np.array([mean - low, high - mean])
        axes.errorbar(table.index + 0.22, mean, whole, label="95 %, images and seeds", **thin)
    for place, row in enumerate(table.to_dict("records")):
        own_seeds = seeds.loc[seeds["setting"] == row["setting"], "report"].to_numpy()
        _points(axes, place, own_seeds)
        top = np.nanmax([row["accuracy_high"], row["accuracy_both_high"], *own_seeds])
        look = {"textcoords": "offset points", "ha": "center", "fontweight": "bold"}
        axes.annotate(f"{row['accuracy']:.3f}", (place, top), (0, 6), **look)
    tuned = table["tuned"].str.replace(" ", "\n")
    axes.set_xticks(table.index, (table["setting"] + "\n" + tuned).tolist())
    axes.set_ylabel("report accuracy")
    axes.grid(False, axis="x")
    highest = [*table["accuracy_high"], *table["accuracy_both_high"], *seeds["report"]]
    style.unit_axis(axes, highest)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _points(axes: Axes, place: int, values: NDArray[np.float64]) -> None:
    """Every seed as a ring, side by side so that equal ones do not hide each other."""
    spread = np.linspace(-0.14, 0.14, len(values)) if len(values) > 1 else np.zeros(len(values))
    label = "one seed" if place == 0 else None
    ring: dict[str, Any] = {"ms": 5, "mfc": "white", "mec": style.INK, "mew": 1.1, "zorder": 4}
    axes.plot(place + spread, values, "o", label=label, **ring)
