"""Numbers that the homeworks and other public solutions print, and ours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reprise.csv_io import read_csv
from reprise.evaluation.markdown import Missing, groups
from reprise.evaluation.published_numbers import CLASS_METRIC, EPOCH_METRICS, METRICS
from reprise.figures import style
from reprise.params.load import Params

PUBLISHED = ["homework", "source", "stage", "task", "run", "metric", "value", "low", "high"]
PUBLISHED += ["other_min", "other_median", "other_max", "our_task", "our_run", "same_data"]
PUBLISHED += ["ours", "ours_low", "ours_high"]
TEXTS = ["source", "task", "run", "our_task", "our_run"]
THEIRS, OURS, OTHERS = style.CYCLE[1], style.CYCLE[0], "#cccccc"


def published_numbers(results: Path, params: Params, missing: Missing) -> Figure:
    """Draw tables/published_numbers.csv: two panels for each homework.

    On the left what is of the homework's data; on the right our runs on other images, whose numbers
    cannot be compared with these. Numbers of epochs and of single classes are left out.
    """
    table = read_csv(results / "tables" / "published_numbers.csv", PUBLISHED, TEXTS)
    table = table[~table["metric"].isin([*EPOCH_METRICS, CLASS_METRIC])]
    panels = list(groups(table, "homework"))
    if not panels:
        return style.empty_figure("No published numbers in numbers.csv.")
    heights = [len(rows) + 1.6 for _, rows in panels]
    figure = style.new_figure(9.6, 0.24 * sum(heights) + 0.9)
    grid = figure.subplots(
        len(panels), 2, squeeze=False, sharex=True, sharey="row",
        gridspec_kw={"height_ratios": heights, "width_ratios": [1.5, 1]},
    )  # fmt: skip
    for (theirs, others), ((homework,), rows) in zip(grid, panels, strict=True):
        _numbers(theirs, others, rows)
        theirs.set_title(homework, loc="left")
    grid[0, 0].set_title("on the homework's data", loc="right", fontweight="normal", fontsize=8.5)
    grid[0, 1].set_title("ours, on other images", loc="right", fontweight="normal", fontsize=8.5)
    for axes in grid[-1]:
        axes.set_xlabel("accuracy, pixel accuracy or mIoU")
        axes.set_xlim(0, 1.03)  # so that a mark at 1 is drawn whole
    handles = [
        style.line("published", "D", ls="-", color=THEIRS, ms=4.5, lw=1.4),
        style.line("ours", "o", ls="-", color=OURS, ms=5, lw=1.4),
        style.line(
            "ours, other images", "o", ls="-", color=OURS, mfc="white", ms=5, mew=1.3, lw=1.4
        ),
        style.line("other solutions", ls="-", color=OTHERS, lw=7),
        style.line("their median", "|", color=style.OUTLINE, ms=9, mew=1.6),
    ]
    style.legend(grid[0, 1], handles=handles)
    return figure


def _numbers(theirs: Axes, others: Axes, rows: pd.DataFrame) -> None:
    for y, row in enumerate(rows.to_dict("records")):
        reach = [row["other_min"], row["other_max"]]
        theirs.plot(reach, [y] * 2, color=OTHERS, lw=7, solid_capstyle="butt", zorder=1)
        theirs.plot([row["other_median"]], [y], "|", color=style.OUTLINE, ms=9, mew=1.6, zorder=2)
        theirs.plot([row["low"], row["high"]], [y - 0.16] * 2, color=THEIRS, lw=1.4)
        theirs.plot([row["value"]], [y - 0.16], "D", color=THEIRS, ms=4.5)
        axes, fill, lower = (theirs, OURS, 0.16) if row["same_data"] else (others, "white", 0.0)
        axes.plot([row["ours_low"], row["ours_high"]], [y + lower] * 2, color=OURS, lw=1.4)
        axes.plot([row["ours"]], [y + lower], "o", ms=5, mfc=fill, mec=OURS, mew=1.3)
    style.name_rows(theirs, distinct_names(rows))
    others.grid(False, axis="y")


def distinct_names(rows: pd.DataFrame) -> list[str]:
    """The names of the rows; where two are the same, with the question of the homework."""
    names = pd.Series([_number_name(row) for row in rows.to_dict("records")], rows.index)
    again = names.duplicated(keep=False)
    parts = rows["source"].str.split(" ", n=2).str[-1]
    return names.where(~again, names + ", " + parts).tolist()


def _number_name(row: Mapping[Any, Any]) -> str:
    """The homework's run and what was measured; in brackets our run, of fine-tuning our task."""
    name = str(row["run"])
    is_own = (row["our_task"], row["our_run"]) == (row["task"], row["run"])
    ours = "" if is_own else row["our_run"]
    if row["stage"] == "finetune":
        name = f"run {name}"
        ours = row["our_task"] if row["our_task"] != row["task"] else ""
    if row["metric"] != "accuracy":
        name += f", {METRICS[row['metric']].split(',', 1)[0]}"
    epoch = row["metric"].partition("_")[0]
    if epoch in ("early", "middle", "final"):
        name += f" at the {epoch} epoch"
    return f"{name} ({ours})" if ours else name
