"""Each number of the reports beside the spread of other solutions and what was measured here."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import nan
from pathlib import Path
from typing import Any

import pandas as pd

from reprise.evaluation.histories import read_history
from reprise.evaluation.holes import Holes
from reprise.evaluation.intervals import wilson
from reprise.evaluation.markdown import Column, Table, between, document, markdown, number, text
from reprise.evaluation.origins import WEIGHTS, weights_of
from reprise.evaluation.reported import EPOCHS, METRICS, OF_CLASS, read_numbers, read_others
from reprise.params import Params
from reprise.params.sets import CourseSet

MOMENTS = {"early_miou": "early", "middle_miou": "middle"}


@dataclass(frozen=True)
class Ours:
    """What was measured here; NaN where there is no number or no interval."""

    role: str = ""
    ours: float = nan
    ours_low: float = nan
    ours_high: float = nan
    ours_both_low: float = nan
    ours_both_high: float = nan
    seeds: int = 0


COLUMNS = ["report", "source", "part", "recipe", "setting", "metric", "value", "n", "low", "high"]
COLUMNS += ["others", "others_min", "others_median", "others_max", "run", "weights", "data"]
COLUMNS += ["same_data", *Ours.__annotations__, "images", "note"]


def beside_table(
    folder: Path,
    results: Path,
    params: Params,
    made: dict[str, Table],
    images: dict[str, pd.Series],
    holes: Holes,
) -> Table:
    """One row a number of the reports.

    Args:
        folder: holds numbers.csv and others.csv (see evaluation/reported.py).
        results: folder of the jobs, for their histories.
        params: the configuration.
        made: the tables of the parts and `epochs`.
        images: part -> number of images of each role.
        holes: learns which histories are missing.

    Returns:
        COLUMNS. `low` and `high` are Wilson's interval at n, of an accuracy; `run` is ours, "" for
        none; `same_data` says whether it is measured on the report's own data set.

    Raises:
        RepriseError: a csv file is missing or wrong, or, with strict `holes`, a history.
    """
    spread = {str(k): rows["value"] for k, rows in read_others(folder).groupby("others")}
    rows = []
    for claim in read_numbers(folder).to_dict("records"):
        part, setting, metric = claim["part"], claim["setting"], claim["metric"]
        run = counterpart(params, part, claim["recipe"], claim["stands_in"], setting)
        row: dict[Any, Any] = (
            claim | {"run": run, "low": nan, "high": nan} | _spread(spread, claim["others"])
        )
        if metric == "accuracy":
            row["low"], row["high"] = wilson(round(claim["value"] * claim["n"]), claim["n"])
        if run:
            found = Ours()
            with holes.leave_out(part):
                found = measured(results, params, made, (part, run, setting), metric)
            row |= asdict(found) | {
                "data": params.stages[part].data,
                "same_data": on_own_data(params, part, claim["layout"]),
                "weights": weights_of(params, part, run, setting),
                "images": int(images[part].get(found.role, 0)),
            }
        rows.append(row)
    frame = pd.DataFrame(rows, columns=COLUMNS)
    texts = {name: "" for name in ("data", "weights", "role")}
    frame = frame.fillna(texts).astype({"seeds": "Int64", "images": "Int64"})
    frame["same_data"] = frame["same_data"].eq(True)
    return Table(frame, _document(frame))


def counterpart(params: Params, part: str, recipe: str, stands_in: str, setting: str) -> str:
    """The run of params.yaml that rebuilds a number, else the one that stands in, else ""."""
    if part == "finetune" and setting not in params.finetune.settings.all:
        return ""
    runs = params.stages[part].runs
    return next((name for name in (recipe, stands_in) if name in runs), "")


def on_own_data(params: Params, part: str, layout: str) -> bool:
    """Whether a part works on a course's registered data of this layout, not on a made sample."""
    recipe = params.prepare.recipes[params.stages[part].data]
    return isinstance(recipe, CourseSet) and recipe.layout == layout and recipe.sample is None


def measured(
    results: Path, params: Params, made: dict[str, Table], job: tuple[str, str, str], metric: str
) -> Ours:
    """Our value of a metric for (part, run, setting): the mean over seeds, of epochs the median."""
    part, run, setting = job
    if metric in EPOCHS:
        rows = _of(made["epochs"].frame, part=part, run=run, setting=setting)
        values = rows[metric].dropna()
        value = float(values.median()) if len(values) else nan
        return Ours(role="select", ours=value, seeds=len(values))
    if metric in MOMENTS:
        block = params.segment if part == "segment" else params.street
        epoch = block.recipes[run].moments[MOMENTS[metric]]
        scores = []
        for seed in block.seeds:
            history = read_history(
                results / part / run / str(seed) / "history.csv", ["select_miou"]
            )
            scores.append(float(history.loc[history["epoch"] == epoch, "select_miou"].mean()))
        return Ours(role="select", ours=float(pd.Series(scores).mean()), seeds=len(scores))
    if metric == OF_CLASS:
        rows = _of(made["iou"].frame, **{"part": part, "run": run, "class": setting})
        seeds = _of(made[part].frame, run=run)["seeds"].sum()
        return Ours("report", float(rows[metric].mean()), seeds=int(seeds))
    frame = made[part].frame
    row = _of(frame, run=run, setting=setting) if setting else _of(frame, run=run)
    if row.empty:  # no seed, or a hole
        return Ours(role="report")
    one = row.iloc[0]
    ends = ("", "_low", "_high", "_both_low", "_both_high")
    value, low, high, both_low, both_high = (float(one[metric + end]) for end in ends)
    return Ours("report", value, low, high, both_low, both_high, int(one["seeds"]))


def _of(frame: pd.DataFrame, **wanted: str) -> pd.DataFrame:
    for name, value in wanted.items():
        frame = frame[frame[name] == value]
    return frame


def _spread(spread: dict[str, "pd.Series[float]"], name: str) -> dict[str, Any]:
    values = spread.get(name, pd.Series(dtype=float))
    return {
        "others": len(values),
        "others_min": values.min(),
        "others_median": values.median(),
        "others_max": values.max(),
    }


def _document(frame: pd.DataFrame) -> str:
    columns = [
        Column("Number", _name),
        Column("Where", text("source"), "---"),
        Column("Metric", lambda row: METRICS[row["metric"]], "---"),
        Column("Reported", _value("value")),
        Column("k/n", lambda r: _counted(r) if r["metric"] == "accuracy" else "-"),
        Column("95 % interval", between("low", "high")),
        Column("Other solutions", _others),
        Column("Our run", _run, "---"),
        Column("Weights", lambda row: WEIGHTS.cell(row) if row["run"] else "-", "---"),
        Column("Our data", _data, "---"),
        Column("Ours", _value("ours")),
        Column("95 % interval, images", between("ours_low", "ours_high")),
        Column("images and seeds", between("ours_both_low", "ours_both_high")),
        Column("Images", number("images")),
        Column("Seeds", number("seeds")),
        Column("Note", lambda row: row["note"] or "-", "---"),
    ]
    blocks = []
    for report, rows in frame.groupby("report", sort=False):
        blocks += [f"### {report}", markdown(rows, columns)]
    return document(*blocks, *_notes(frame))


def _notes(frame: pd.DataFrame) -> list[str]:
    own = int(frame["same_data"].sum())
    return [
        f"{own} of these {len(frame)} numbers are measured here on the report's own data. Where "
        "the data are other images, so are their size, the labels and the budget: there ours "
        "cannot be compared with the report's, only the order of our runs with the order of its.",
        "Reported: each is one training, and where the report says how its epoch was chosen, it "
        "was by the very images that it was measured on; ours, by others (role select). The "
        "interval is Wilson's at the report's n, for other images; of an mIoU or a pixel accuracy "
        "none can be given from one number, for how the images differ is not in it. Other "
        "solutions: how many public ones of the same assignment, their median, least and "
        "most; their networks and budgets differ.",
        "mIoU and pixel accuracy are counted as the course's own script counts them, ours too. "
        "Epochs to converge: ours is the first epoch near the best (see the table of epochs); by "
        "which rule the report's was found it does not say. Of epochs, the median over our seeds.",
    ]


def _name(row: pd.Series) -> str:
    own = str(row["recipe"]).removeprefix(f"{row['report']}").removeprefix("_")
    if row["metric"] == OF_CLASS:
        return f"{own}, {row['setting']}"
    return f"setting {row['setting']}" if row["setting"] else own


def _counted(row: pd.Series) -> str:
    return f"{round(row['value'] * row['n'])}/{row['n']}"


def _value(name: str) -> Callable[[pd.Series], str]:
    def cell(row: pd.Series) -> str:
        form = "g" if row["metric"] in EPOCHS else ".4f"
        return "-" if pd.isna(row[name]) else format(row[name], form)

    return cell


def _others(row: pd.Series) -> str:
    if not row["others"]:
        return "-"
    ends = f"{row['others_min']:.3f} to {row['others_max']:.3f}"
    return f"{row['others']}: {row['others_median']:.3f}, {ends}"


def _run(row: pd.Series) -> str:
    stands_in = row["run"] and row["run"] != row["recipe"]
    return f"{row['run']} (stands in)" if stands_in else row["run"] or "-"


def _data(row: pd.Series) -> str:
    if not row["run"]:
        return "-"
    whose = "the report's own" if row["same_data"] else "other images"
    return f"{row['data']}, {whose}"
