"""The data and weights that runs of params.yaml lack, and where to get them."""

from collections.abc import Collection

from reprise.datasets.layouts import LAYOUTS
from reprise.params.datasets import CourseDataset
from reprise.params.load import NETWORKS, Params

Reasons = frozenset[tuple[str, str]]  # ("dataset" or "weights", name in params.yaml)
Runs = dict[str, Reasons]  # why a run cannot be trained, by its name; empty if it can
Key = tuple[str, str]  # stage and task


def missing_of_runs(
    params: Params, datasets: Collection[str], weights: Collection[str]
) -> dict[Key, Runs]:
    """What each run of each task lacks; datasets, weights: names of those that are there."""
    reasons: dict[Key, Runs] = {}
    for stage in NETWORKS:  # pretrain before finetune, which starts from it
        for name, task in getattr(params, stage).items():
            no_data = set() if task.data in datasets else {("dataset", task.data)}
            runs: Runs = {}
            for run in task.runs:
                recipe = task.common if stage == "finetune" else task.recipes[run]
                file = getattr(recipe, "weights", "none")
                lacks = (
                    {("weights", file)} if file in params.weights.keys() - set(weights) else set()
                )
                start = getattr(task.recipes[run], "start", "none")
                if start != "none":
                    lacks |= reasons["pretrain", task.pretraining][start]
                runs[run] = frozenset(no_data | lacks)
            reasons[stage, name] = runs
    return reasons


def missing_rows(
    params: Params, datasets: Collection[str], weights: Collection[str]
) -> list[dict[str, str]]:
    """A row for each dataset and file of weights that is missing and needed.

    Columns: kind, name, what, where (to get it), and tables: the tasks and runs that lack it.
    """
    tables: dict[tuple[str, str], list[str]] = {}
    for (stage, task), runs in missing_of_runs(params, datasets, weights).items():
        for reason in sorted({reason for why in runs.values() for reason in why}):
            lacking = [run for run, why in runs.items() if reason in why]
            tables.setdefault(reason, []).append(f"{stage}.{task} ({', '.join(lacking)})")
    return [
        {"kind": kind, "name": name, **_about(params, kind, name), "tables": "; ".join(lacking)}
        for (kind, name), lacking in sorted(tables.items())
    ]


def _about(params: Params, kind: str, name: str) -> dict[str, str]:
    """What is missing, and where it is to be had."""
    if kind == "dataset":
        recipe = params.datasets[name]
        assert isinstance(recipe, CourseDataset)
        return {
            "what": f"images in the layout {recipe.layout}",
            "where": f"make data FROM=..., with {LAYOUTS[recipe.layout].archive}",
        }
    file = params.weights[name]
    author = "the course's archive, which `make data` searches, or its author"
    where = f"make weights NAME={name}" if file.published else author
    return {"what": f"the file {file.path}", "where": where}
