"""The page: workflow/report/page.html, filled from the results and the tasks in params.yaml."""

from collections.abc import Mapping
from functools import partial
from math import isnan
from pathlib import Path
from typing import Any

from markupsafe import Markup

from reprise import __version__
from reprise.atomic_io import read_json
from reprise.compare import machine_line
from reprise.csv_io import read_csv
from reprise.datasets.prepared import PreparedDataset, read_prepared
from reprise.errors import RepriseError
from reprise.evaluation.costs import read_costs
from reprise.evaluation.questions import FIRST, how_sure
from reprise.figures import METHODS, figures
from reprise.jobs import STAGES, jobs, tasks
from reprise.params.classify import ClassifyTask
from reprise.params.load import Params
from reprise.params.segment import SegmentTask
from reprise.report import charts, mask_charts, methods
from reprise.report.html import FOLDER, TEMPLATES, ResultsReader, json_text, packed_script, scripts

# of params.yaml: what the rule `report` depends on
KEYS = ("datasets", *STAGES, "segment_anything", "embed", "warning")
MISSING_DATA = Path("data/missing.csv")  # written by `make data`


def report(
    results: Path, params: Params, preset: str = "", values: Mapping[str, Any] | None = None
) -> tuple[str, list[str]]:
    """Build the page.

    Args:
        results: folder with checksums.csv, tables/, figures/, vector/, embed/, the masks that are
            shown, and prepare/<dataset>/.
        params: the configuration of these results.
        preset: that it was written from; "" if that is not known.
        values: those of params.yaml as they are written, which the page keeps for comparisons.

    Returns:
        HTML that needs no other file, the same bytes for the same results; and what was missing,
        one line each, which the page notes in its place.

    Raises:
        RepriseError: a prepared dataset is missing.
    """
    reader = ResultsReader(results, len(figures(params)))
    every_task = tasks(params, *STAGES, "segment_anything")
    names = sorted({block.data for _, _, block in every_task})
    page = TEMPLATES.get_template("page.html").render(
        results=reader,
        params=params,
        tasks=every_task,
        datasets={name: read_prepared(results / "prepare" / name) for name in names},
        images=whose_images(params),
        runs=runs,
        starts=starts_in_words,
        questions=question_rows,
        shown_first=FIRST,
        how_sure=how_sure,
        strip=strip(results, params, preset),
        machine=machine(results),
        accuracies=accuracies,
        image_splits=image_splits,
        class_ious=class_ious,
        methods=methods,
        embeddings=METHODS,
        missing_data=missing_data(MISSING_DATA),
        transfer_rows=transfer_rows,
        cost_rows=cost_rows,
        embedding_chart=partial(charts.embedding, results, params),
        masks_chart=partial(mask_charts.masks, results, params),
        style=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
        scripts=scripts,
        packed_script=packed_script,
        parameters=json_text({key: value for key, value in (values or {}).items() if key in KEYS}),
    )
    return page, reader.missing


def whose_images(params: Params) -> str:
    """Of what images the experiments are: "open images", or those of the courses."""
    courses = [
        recipe.source == "course" and recipe.synthetic_per_class is None
        for recipe in params.datasets.values()
    ]
    return "the courses' images" if all(courses) else "open images"


def missing_data(path: Path) -> list[list[str]]:
    """What `make data` left out: a row for each dataset or file of weights that is missing.

    What is missing, where to get it, and the tasks and runs that lack it; empty without the file.
    """
    if not path.is_file():
        return []
    return read_csv(path, ["name", "what", "where", "tables"])[
        ["name", "what", "where", "tables"]
    ].to_numpy().tolist()  # fmt: skip


def transfer_rows(reader: ResultsReader, task: str, block: ClassifyTask) -> list[list[str]]:
    """Of a classify task with a frozen run: pretrained, trained parameters, accuracy and rank.

    A row for each run, as in the comparison that question 1-4 of the 2019 homework asks for; empty
    for other tasks.
    """
    if not any(block.recipes[run].frozen for run in block.runs):
        return []
    scores = reader.csv(f"tables/classify_{task}.csv", ["run", "test_accuracy"], ["run"])
    networks = reader.csv(
        "tables/networks.csv", ["stage", "task", "run", "trained"], ["task", "run"]
    )
    networks = networks[(networks["stage"] == "classify") & (networks["task"] == task)]
    trained = dict(zip(networks["run"], networks["trained"], strict=True))
    accuracy = dict(zip(scores["run"], scores["test_accuracy"], strict=True))
    rows = []
    for run in block.runs:
        recipe = block.recipes[run]
        if run not in accuracy or run not in trained:
            continue
        better = sum(accuracy[other] > accuracy[run] for other in block.runs if other in accuracy)
        weights = "no" if recipe.weights == "none" else f"yes, {recipe.weights}"
        tuned = "the last layer" if recipe.frozen else "all layers"
        known = not isnan(accuracy[run])
        score = [f"{accuracy[run]:.4f}", str(better + 1)] if known else ["-", "-"]
        rows.append([run, weights, f"{tuned}, {trained[run]:,.0f} parameters", *score])
    return rows


def cost_rows(reader: ResultsReader) -> list[list[str]]:
    """A row for each run with a test score: the score, that of its worst group, and its cost."""
    try:
        costs = read_costs(reader.results)
    except RepriseError as error:
        reader.missing_note(str(error))
        return []
    rows = []
    for row in costs.to_dict("records"):
        name = f"{row['stage']} {row['task']} {row['run']}"
        known = not isnan(row["multiply_adds"])
        cost = [f"{row['parameters']:,.0f}", f"{row['multiply_adds'] / 1e6:,.1f}"]
        rows.append([name, f"{row['score']:.4f}", worst_group(reader, row)])
        rows[-1] += [*(cost if known else ["-", "-"]), "yes" if row["pareto_optimal"] else "no"]
    return rows


def worst_group(reader: ResultsReader, row: Mapping[Any, Any]) -> str:
    """The accuracy of a run's worst group; "-" where there is none."""
    if row["metric"] != "accuracy":
        return "-"
    columns = ["run", "worst_group_accuracy"]
    table = reader.csv(f"tables/{row['stage']}_{row['task']}.csv", columns, ["run"])
    values = table.loc[table["run"] == row["run"], "worst_group_accuracy"].tolist()
    return f"{values[0]:.4f}" if values and not isnan(values[0]) else "-"


def runs(task: Any) -> str:
    """The runs of a task, each with its recipe in a few words."""
    described = [f"{run} ({recipe_summary(run, task.recipes[run])})" for run in task.runs]
    return ", ".join(described) or "none"


def recipe_summary(run: str, recipe: Any) -> str:
    """A recipe in a few words: network or method, initial weights, frozen, merged classes."""
    values = recipe.model_dump()
    start = values.get("start", values.get("weights", "none"))
    words = [
        values.get("method") or values.get("model"),  # often the name of the run
        "from scratch" if start == "none" else f"weights: {start}",
        "frozen backbone" if values.get("frozen") else None,
        f"{values['merge_classes']} merged classes" if values.get("merge_classes") else None,
    ]
    return ", ".join(word for word in words if word and word != run)


def question_rows(reader: ResultsReader) -> list[dict[Any, Any]]:
    """The rows of tables/answers.csv, with `link`: the section of their task."""
    columns = ["question", "answer", "number", "certainty", "stage", "task", "why"]
    table = reader.csv("tables/answers.csv", columns, columns)
    table["link"] = table["stage"] + "-" + table["task"]
    return table.astype(object).fillna("").to_dict("records")


def strip(results: Path, params: Params, preset: str) -> list[tuple[str, str]]:
    """What the page is made from, in pairs of name and value."""
    try:
        machine = read_json(results / "intervals.json").get("machine", {})
    except RepriseError:  # no number on the page depends on it
        machine = {}
    names = {
        "Machine": ["cpu_capability", "device"],
        "Precision": ["precision"],
        "torch": ["torch"],
    }
    pairs = [("Preset", preset)] if preset else []
    pairs.append(("Trainings", str(len(jobs(params)))))
    for name, keys in names.items():
        values = [" and ".join(machine[key]) for key in keys if machine.get(key)]
        pairs.append((name, ", ".join(values) or "not recorded"))
    return [*pairs, ("Reprise", __version__)]


def machine(results: Path) -> str:
    """What the networks were trained on and with."""
    try:
        return machine_line(read_json(results / "intervals.json").get("machine", {}))
    except RepriseError:  # no number on the page depends on it
        return machine_line({})


def accuracies(reader: ResultsReader, task: str) -> str:
    """The mean test accuracy of each run of a fine-tuning task."""
    table = reader.csv(f"tables/finetune_{task}.csv", ["run", "test_accuracy"], ["run"])
    return ", ".join(f"{row['run']} {row['test_accuracy']:.3f}" for row in table.to_dict("records"))


def image_splits(task: SegmentTask, dataset: PreparedDataset) -> str:
    """The images of a segmentation task, each with its split."""
    splits = dict(zip(dataset.index["id"], dataset.index["split"], strict=True))
    return ", ".join(f"{image} ({splits.get(image, 'unknown')})" for image in task.images)


def class_ious(reader: ResultsReader) -> str:
    """The IoU of each class of each segmentation run."""
    columns = ["task", "run", "class", "iou"]
    table = reader.csv("tables/class_iou.csv", columns, columns[:3]).dropna(subset="iou")
    values = table[columns].values.tolist()
    return ", ".join(f"{task} {run} {name} {iou:.2f}" for task, run, name, iou in values)


def starts_in_words(params: Params) -> list[str]:
    """For each task of fine-tuning a sentence that says what the names of its runs mean."""
    sentences = []
    for name, task in params.finetune.items():
        words = []
        for run in task.runs:
            recipe, start = task.recipes[run], "from scratch"
            if recipe.start != "none" and task.pretraining:
                pretraining = params.pretrain[task.pretraining].recipes[recipe.start]
                unlabeled = "" if pretraining.method == "supervised" else " without labels"
                start = f"from {recipe.start} pretraining{unlabeled}"
            words.append(f"{run}: {start}{', frozen backbone' if recipe.frozen else ''}")
        sentences.append(f"Runs of {name}: {'; '.join(words)}.")
    return sentences
