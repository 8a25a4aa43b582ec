"""How many epochs each training took to come near its best, and which epoch was kept."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reprise.evaluation.prepared import read_table
from reprise.figures import style

COLUMNS = ["part", "run", "setting", "seed", "epochs", "kept", "near_best"]


def epochs(results: Path) -> Figure:
    """Draw tables/epochs.csv: a line for each run or setting, its seeds above each other."""
    table = read_table(results / "tables" / "epochs.csv", COLUMNS, ["setting"])
    table = table[table["epochs"] > 0]  # where weights are published, nothing was trained
    if table.empty:
        return style.notice("No run in params.yaml.")
    table["name"] = (table["part"] + " " + table["run"] + " " + table["setting"]).str.strip()
    names = list(dict.fromkeys(table["name"]))
    figure = style.new_figure(7.4, 0.26 * len(names) + 0.9)
    axes = figure.subplots()
    for place, name in enumerate(names):
        rows = table[table["name"] == name].reset_index(drop=True)
        axes.plot([1, rows["epochs"].max()], [place] * 2, color="#cccccc", lw=4, zorder=1)
        rise = _rise(rows)
        look: dict[str, Any] = {"ls": "", "ms": 6, "zorder": 3}
        label = ("first epoch near the best", "kept epoch") if place == 0 else (None, None)
        axes.plot(
            rows["near_best"],
            place - rise,
            marker="s",
            color=style.CYCLE[0],
            label=label[0],
            **look,
        )
        ring: dict[str, Any] = {"mfc": "none", "mec": style.CYCLE[1], "mew": 1.4}
        axes.plot(rows["kept"], place - rise, marker="o", label=label[1], **ring, **look)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("epoch; the bar ends at the last one")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(False, axis="y")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _rise(rows: pd.DataFrame) -> pd.Series:
    """A little height for each seed, so that equal epochs do not hide each other."""
    middle = (len(rows) - 1) / 2
    return (rows.index.to_series() - middle) * 0.2
