"""The numbers that the five homeworks publish, with other public solutions and our own results.

workflow/published/numbers.csv has a row for each number: the homework, where in it the number is,
stage, task and run of the homework's preset that reproduce it, the class if it is the IoU of one,
the task and run of presets/earth.yaml that ask the same question with other images (proxy_task,
proxy_run; empty for none), the layout of the course's data, metric, value and n.
workflow/published/other_solutions.csv has a row for each number of another solution; numbers.csv
refers to them by the column other_solutions.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from reprise.csv_io import check_rows, read_csv
from reprise.datasets.prepared import PreparedDataset
from reprise.errors import RepriseError
from reprise.evaluation import job_outputs
from reprise.evaluation import markdown as md
from reprise.evaluation.recipe_differences import PRESETS, Homeworks
from reprise.evaluation.statistics import wilson
from reprise.evaluation.tables import IMAGES_AND_SEEDS
from reprise.evaluation.training_tables import WEIGHTS
from reprise.jobs import init_weights
from reprise.params.datasets import CourseDataset
from reprise.params.load import Params

PUBLISHED = Path("workflow/published")
TEXTS = ["homework", "source", "stage", "task", "run", "class", "proxy_task", "proxy_run", "layout"]
TEXTS += ["metric", "other_solutions", "note"]
COLUMNS = ["homework", "source", "stage", "task", "run", "class", "metric", "value", "n", "low"]
COLUMNS += ["high", "other_solutions", "other_min", "other_median", "other_max", "our_task"]
COLUMNS += ["our_run", "weights", "data", "same_data", "split", "ours", "ours_low", "ours_high"]
COLUMNS += ["ours_ci_low", "ours_ci_high", "seeds", "images", "differs", "note"]
CLASS_METRIC = "iou_cs6550"  # of one class
BEST_PIXELS = "best_epoch_pixel_accuracy"
# epochs; every other metric is a share of 0..1
EPOCH_METRICS = ("epochs_to_95pct", "best_epoch", BEST_PIXELS)
# named by a key of the recipe's shown_epochs
SHOWN_EPOCHS = ("early_miou", "middle_miou", "final_miou")
LEFT = ("Source", "Metric", "Our run", "Weights", "Our data", "Differs", "Note")  # aligned columns
OTHER_IMAGES, UNVERIFIED, OWN = "other images", "not verified", "the homework's own"
METRICS = {
    "accuracy": "accuracy",
    "miou_dlcv": "mIoU",
    "miou_cs6550": "mIoU, per image",
    "iou_cs6550": "IoU, per image",
    "pixel_accuracy_cs6550": "pixel accuracy",
    "early_miou": "mIoU, early epoch",
    "middle_miou": "mIoU, middle epoch",
    "final_miou": "mIoU, final epoch",
    "epochs_to_95pct": "epochs to convergence",
    "best_epoch": "best epoch",
    BEST_PIXELS: "best epoch by pixel accuracy",
}


def read_numbers(folder: Path = PUBLISHED) -> pd.DataFrame:
    """numbers.csv: TEXTS as text, value (float64), n (int64).

    Raises RepriseError with the file and the row of an unknown stage or metric, of a value outside
    its range, or of an accuracy that is not k of n.
    """
    path, table = _read(folder / "numbers.csv", [*TEXTS, "value", "n"])
    for column, choices in (("stage", tuple(job_outputs.METRICS)), ("metric", tuple(METRICS))):
        unknown = ~table[column].isin(choices)
        check_rows(path, table, column, unknown, f"use one of {', '.join(choices)}")
    value, n = (pd.to_numeric(table[name], errors="coerce") for name in ("value", "n"))
    too_large = ~table["metric"].isin(EPOCH_METRICS) & (value > 1)
    check_rows(path, table, "value", ~(value >= 0) | too_large, "must be between 0 and 1")
    valid = (n >= 1) & (n % 1 == 0)
    check_rows(path, table, "n", ~valid, "must be a whole number, at least 1")
    correct = value * n
    # published with four digits, or in percent with two: half of the last digit, times n
    odd = (table["metric"] == "accuracy") & ((correct - correct.round()).abs() > 0.00006 * n)
    check_rows(path, table, "value", odd, "is not k/n for any whole k")
    return table.assign(value=value.astype(float), n=n.astype(int))


def read_other_solutions(folder: Path = PUBLISHED) -> pd.DataFrame:
    """other_solutions.csv: other_solutions (str), value (float64, 0..1).

    Raises RepriseError as `read_numbers`.
    """
    columns = ["other_solutions", "year", "value", "note"]
    path, table = _read(folder / "other_solutions.csv", columns)
    value = pd.to_numeric(table["value"], errors="coerce")
    check_rows(path, table, "value", ~value.between(0, 1), "must be between 0 and 1")
    return table.assign(value=value.astype(float))[["other_solutions", "value"]]


def _read(path: Path, columns: list[str]) -> tuple[Path, pd.DataFrame]:
    if not path.is_file():
        raise RepriseError(f"{path}: not found; `git checkout {path}` restores it")
    return path, read_csv(path, columns, TEXTS)


def published_numbers_table(
    folder: Path,
    params: Params,
    datasets: dict[str, PreparedDataset],
    jobs: pd.DataFrame,
    tables: dict[str, md.Table],
    presets: Path = PRESETS,
) -> md.Table:
    """COLUMNS, one row per published number.

    `jobs` are from `evaluate.read_jobs`; `tables` are those of the tasks, `convergence` and
    `class_iou`; `presets` is the folder of the homeworks' recipes. `low` and `high`: Wilson's
    interval of an accuracy at n. `our_task` and `our_run`: "" for none. `same_data`: whether ours
    is measured on the homework's own images, verified. `differs`: what differs from its recipe.

    Raises RepriseError when a csv file or a preset is missing or wrong.
    """
    solutions, homeworks = read_other_solutions(folder), Homeworks(presets)
    rows = []
    for row in read_numbers(folder).to_dict("records"):
        stage, n = row["stage"], row["n"]
        others = solutions.loc[solutions["other_solutions"] == row["other_solutions"], "value"]
        row |= {"other_solutions": len(others), "other_median": others.median()}
        row |= {"other_min": others.min(), "other_max": others.max()}
        if row["metric"] == "accuracy":
            row["low"], row["high"] = wilson(round(row["value"] * n), n)
        row["our_task"], row["our_run"] = task, run = matching_run(params, row)
        row |= {"data": "", "weights": "", "same_data": False, "split": "", "differs": ""}
        if run:
            data = getattr(params, stage)[task].data
            row |= {"data": data, "weights": init_weights(params, stage, task, run)}
            row["images_are"] = whose_images(params, datasets[data], row)
            row["same_data"] = row["images_are"] == OWN
            row["differs"] = homeworks.differences(row, params)
            row.update(our_result(params, jobs, tables, row))
            row["images"] = len(datasets[data].rows(row["split"]))
        rows.append(row)
    frame = pd.DataFrame(rows, columns=[*COLUMNS, "images_are"])
    frame = frame.astype({"seeds": "Int64", "images": "Int64"})
    return md.Table(frame[COLUMNS], _document(frame))


def matching_run(params: Params, number: dict[Any, Any]) -> tuple[str, str]:
    """Task and run of params.yaml that reproduce a number, else the proxy's, else "" twice."""
    tasks = getattr(params, number["stage"])
    for task, run in ((number[f"{kind}task"], number[f"{kind}run"]) for kind in ("", "proxy_")):
        if task in tasks and run in tasks[task].runs:
            return task, run
    return "", ""


def whose_images(params: Params, dataset: PreparedDataset, number: dict[Any, Any]) -> str:
    """Whose images a dataset has, seen from a published number.

    OWN: the digests of the registered files are those of the homework's archive. UNVERIFIED, or
    the name of another verified archive: the layout is the course's. Otherwise OTHER_IMAGES.
    """
    recipe = params.datasets[dataset.name]
    if not isinstance(recipe, CourseDataset) or recipe.synthetic_per_class is not None:
        return OTHER_IMAGES
    if recipe.layout != number["layout"]:
        return OTHER_IMAGES
    if not dataset.info.get("verified"):
        return UNVERIFIED
    if number["homework"] in dataset.info.get("homeworks", []):
        return OWN
    return f"those of {dataset.info['archive']}"


def our_result(
    params: Params, jobs: pd.DataFrame, tables: dict[str, md.Table], number: dict[Any, Any]
) -> dict[str, Any]:
    """Split, ours (the mean over seeds, of epochs the median) with intervals, and seeds.

    `number` is a row of numbers.csv with `our_task` and `our_run`; what is unknown is left out.
    """
    stage, task, run = number["stage"], number["our_task"], number["our_run"]
    metric, of_run = number["metric"], {"stage": stage, "task": task, "run": run}
    if metric == BEST_PIXELS:
        histories = _where(jobs, of_run)["history"].dropna()
        best = pd.Series([_best_epoch(h) for h in histories], dtype=float)
        return {"split": "val", "ours": best.median(), "seeds": len(best)}
    if metric in EPOCH_METRICS:
        epochs = _where(tables["convergence"].frame, of_run)[metric].dropna()
        return {"split": "val", "ours": epochs.median(), "seeds": len(epochs)}
    if metric in SHOWN_EPOCHS:
        name = metric.removesuffix("_miou")
        scored = _where(jobs, of_run)["shown_miou"].dropna()
        if len(scored):
            scores = pd.Series([of_job[name] for of_job in scored])
            return {"split": "test", "ours": scores.mean(skipna=False), "seeds": len(scores)}
        epoch = params.segment[task].recipes[run].shown_epochs[name]
        histories = _where(jobs, of_run)["history"].dropna()
        scores = pd.Series([h.loc[h["epoch"] == epoch, "score"].mean() for h in histories])
        return {"split": "val", "ours": scores.mean(skipna=False), "seeds": len(scores)}
    row = _where(tables[f"{stage}_{task}"].frame, {"run": run})  # none if a result is missing
    result: dict[str, Any] = {"split": "test", "seeds": int(row["seeds"].sum())}
    if metric == CLASS_METRIC:
        of_class = {"task": task, "run": run, "class": number["class"]}
        return result | {"ours": _where(tables["class_iou"].frame, of_class)[metric].mean()}
    for end in ("low", "high"):
        result[f"ours_{end}"] = row[f"test_{metric}_groups_{end}"].mean()
        result[f"ours_ci_{end}"] = row[f"test_{metric}_ci_{end}"].mean()
    return result | {"ours": row[f"test_{metric}"].mean()}


def _best_epoch(history: pd.DataFrame) -> int:
    """The first epoch of the highest pixel accuracy on val."""
    return int(history["epoch"].iloc[history["val_pixel_accuracy"].argmax()])


def _where(frame: pd.DataFrame, values: dict[str, str]) -> pd.DataFrame:
    for column, value in values.items():
        frame = frame[frame[column] == value]
    return frame


def _on_own_images(same: int, all_numbers: int) -> str:
    """How many of the published numbers are measured here on the images of their homework."""
    if not same:
        return f"None of these {all_numbers} numbers is measured here on the homework's own images."
    return (
        f"{same} of these {all_numbers} numbers are measured here on the homework's own images: "
        "the SHA-256 of all files of each split are those of its known archive. Not verified: the "
        "course's layout, but no such checksum is known."
    )


def _document(frame: pd.DataFrame) -> str:
    texts = pd.DataFrame([_cells(row) for _, row in frame.iterrows()])
    columns = [md.Column(n, md.text(n), "---" if n in LEFT else "---:") for n in map(str, texts)]
    same = int(frame["same_data"].sum())
    return md.document(
        *md.sections(frame, ["homework"], lambda rows: [md.table(texts.loc[rows.index], columns)]),
        f"{_on_own_images(same, len(frame))} On other images their number and size and the labels "
        "differ: compare the order of our runs with the order of the published ones, not the "
        "numbers. Differs: what our recipe has instead of the homework's, which is in "
        "brackets; docs/homeworks.md has what differs in all recipes.",
        "Published: each number is of one training, whose epoch was selected on the test images "
        "where the homework says how; ours is selected on the val split. The 95 % CI is Wilson's "
        "at the published n; for an mIoU or a pixel accuracy it cannot be computed from the number "
        "alone. Other solutions: how many public solutions of the same assignment, their median, "
        "minimum and maximum; their networks and budgets differ.",
        "mIoU and pixel accuracy are computed as in the course's own script, ours too. The mIoU of "
        "an early, middle or final epoch is ours on the same images where the recipe has "
        "score_shown_epochs, otherwise on the val split, as the best epochs are. Epochs to "
        "convergence: ours is the median over seeds of the epochs to 95 % (see the table "
        "convergence); the homework does not say how it found its own.",
    )


def _cells(row: pd.Series) -> dict[str, str]:
    """The texts of a number in the markdown, by the heading of their column."""
    name, form = str(row["run"]), "g" if row["metric"] in EPOCH_METRICS else ".4f"
    correct = f"{round(row['value'] * row['n'])}/{row['n']}"
    interval = f"{row['low']:.3f} to {row['high']:.3f}"
    span = f"{row['other_median']:.3f}, {row['other_min']:.3f} to {row['other_max']:.3f}"
    ours = (row["our_task"], row["our_run"])
    proxy = " (proxy)" if ours != (row["task"], row["run"]) else ""
    of_accuracy, has_ours = row["metric"] == "accuracy", bool(row["our_run"])
    return {
        "Run": f"{name}, {row['class']}" if row["class"] else name,
        "Source": row["source"],
        "Metric": METRICS[row["metric"]],
        "Published": format(row["value"], form),
        "k/n": correct if of_accuracy else "-",
        "95 % CI": interval if of_accuracy else "-",
        "Other solutions": f"{row['other_solutions']}: {span}" if row["other_solutions"] else "-",
        "Our run": " ".join(ours) + proxy if has_ours else "-",
        "Weights": WEIGHTS.cell(row) if has_ours else "-",
        "Our data": f"{row['data']}, {row['images_are']}" if has_ours else "-",
        "Ours": md.number("ours", form)(row),
        "95 % CI (images)": md.interval("ours")(row),
        IMAGES_AND_SEEDS: md.interval("ours_ci")(row),
        "Images": md.number("images", "d")(row),
        "Seeds": md.number("seeds", "d")(row),
        "Differs": row["differs"] or "-",
        "Note": row["note"] or "-",
    }
