"""The page: its sections, built from the tasks in params.yaml."""

from pathlib import Path
from typing import Any

from reprise.datasets.prepared import PreparedDataset, read_prepared
from reprise.jobs import CLASSIFYING, tasks
from reprise.params.load import Params
from reprise.report import charts, html
from reprise.report.methods import dataset_table, limitations, provenance
from reprise.report.results_reader import ResultsReader

TITLES = {
    "pretrain": "Pretraining",
    "finetune": "Fine-tuning",
    "classify": "Classification",
    "segment": "Segmentation",
    "segment_anything": "Segment Anything",
}
LEAD = (
    "The experiments of five computer-vision homeworks, rerun as one pipeline on open images. The "
    "epoch of a model is selected on the val split; test scores are measured on images that were "
    "used neither for training nor for selection."
)
QUESTIONS = {
    "pretrain": "which method learns the better features from {data}?",
    "finetune": "does pretraining improve the accuracy on {data}, with labels or without them, and "
    "if the whole network or only its head is fine-tuned?",
    "classify": "which run has the highest accuracy on {data}?",
    "segment": "which run has the highest mIoU on {data}?",
    "segment_anything": "which masks does the network find in images of {data}?",
}


def report(results: Path, params: Params) -> tuple[str, list[str]]:
    """Build the page.

    Args:
        results: folder with checksums.csv, tables/, figures/, vector/, embed/, the masks that are
            shown, and prepare/<dataset>/.
        params: the configuration of these results.

    Returns:
        HTML that needs no other file, the same bytes for the same results; and what was missing,
        one line each, which the page notes in its place.

    Raises:
        RepriseError: a prepared dataset is missing.
    """
    reader = ResultsReader(results)
    every_task = tasks(params, *TITLES)
    names = sorted({block.data for _, _, block in every_task})
    datasets = {name: read_prepared(results / "prepare" / name) for name in names}
    sections = [
        ("questions", "Questions", _questions(params)),
        ("findings", "Findings", _findings(reader)),
    ]
    for stage, task, block in every_task:
        content = _task(reader, params, stage, task, datasets[block.data])
        sections.append((f"{stage}-{task}", f"{TITLES[stage]}: {task}", content))
    sections += [
        ("comparisons", "Differences between runs", _comparisons(reader)),
        ("published", "Published numbers", _published(reader)),
        *([("classes", "IoU of each class", _classes(reader))] if params.segment else []),
        ("networks", "Networks", _networks(reader)),
        ("training", "Training histories", _training(reader)),
        ("provenance", "How each number was made", provenance(reader, params)),
        ("limitations", "Limitations", limitations(reader, params, datasets)),
        ("datasets", "Datasets", dataset_table(datasets)),
    ]
    # what no section notes, because only a number of it is used there
    content = "".join(section for *_, section in sections)
    notes = [note for note in map(reader.missing_note, reader.missing) if note not in content]
    lead = html.paragraph(LEAD) + "".join(notes)
    return html.page("Reprise: results", lead, sections), reader.missing


def _questions(params: Params) -> str:
    questions = []
    for stage, task, block in tasks(params, *TITLES):
        recipes: dict[str, Any] = getattr(params, stage)[task].recipes
        runs = ", ".join(f"{run} ({recipe_summary(run, recipes[run])})" for run in block.runs)
        question = QUESTIONS[stage].format(data=block.data)
        questions.append(f"{TITLES[stage]}, {task}: {question} Runs: {runs or 'none'}.")
    return html.bullets(questions)


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


def _findings(reader: ResultsReader) -> str:
    """The summaries of the named comparisons, the significant ones first."""
    columns = ["stage", "task", "significant", "named", "summary"]
    table = reader.csv("tables/comparisons.csv", columns, ["task"])
    named = table[table["named"] == 1].sort_values("significant", ascending=False, kind="stable")
    findings = [
        f"{TITLES[row['stage']]}, {row['task']}: {row['summary']}"
        for row in named.to_dict("records")
    ]
    return html.bullets(findings) if findings else html.paragraph("No two runs to compare.")


def _task(
    reader: ResultsReader, params: Params, stage: str, task: str, dataset: PreparedDataset
) -> str:
    """The section of one task: its table, then its figures and charts."""
    if stage == "segment_anything":
        return _segment_anything(reader, params, task)
    content = reader.table(f"{stage}_{task}")
    if stage == "finetune":
        content += _accuracy(reader, task)
    for name, embed in params.embed.items():
        if (embed.stage, embed.task) == (stage, task):
            content += _embedding(reader, params, name, dataset)
    if stage == "segment":
        content += _masks(reader, params, task, dataset)
    if stage != "pretrain":
        content += reader.figure(
            f"confusion_{stage}_{task}",
            f"Confusion matrices of {stage} {task}; a table further down lists the confusions.",
            "Rows are the truth, columns the prediction, in per cent of the row, over all seeds. "
            "Look for dark cells off the diagonal, and for rows with few images.",
        )
    if stage in CLASSIFYING:
        content += reader.figure(
            f"misclassified_{stage}_{task}",
            f"Images of {stage} {task} that were misclassified with the highest confidence.",
            "The wrong predictions with the highest confidence: above an image the predicted class "
            "and its confidence, below it the true class. Look for labels that may be wrong.",
        )
    return content


def _accuracy(reader: ResultsReader, task: str) -> str:
    table = reader.csv(f"tables/finetune_{task}.csv", ["run", "test_accuracy"], ["run"])
    values = [f"{row['run']} {row['test_accuracy']:.3f}" for row in table.to_dict("records")]
    return reader.figure(
        f"finetune_{task}",
        f"Bars of the mean test accuracy: {', '.join(values)}.",
        "Mean test accuracy of each run. A ring is one seed; hatched bars have a frozen backbone. "
        "Compare runs by their difference, further down, not by whether their whiskers overlap.",
    )


def _embedding(reader: ResultsReader, params: Params, name: str, dataset: PreparedDataset) -> str:
    """PCA and t-SNE of one job's features: figures, and a chart to explore."""
    embed = params.embed[name]
    features = f"the penultimate layer of run {embed.run}, seed {embed.seed}"
    captions = {
        "pca": f"The first two principal components of {features}; each epoch has its own axes, "
        "with their share of the variance. Look at which classes separate from epoch to epoch.",
        "tsne": f"t-SNE of {features}: PCA to at most {embed.pca_components} components, "
        f"perplexity {embed.perplexity:g}, random state {embed.random_state}, at most "
        f"{embed.max_points} images; each epoch starts from the layout of the epoch before. "
        "Distances between groups have no meaning. Trustworthiness: whether neighbors in the "
        "layout are neighbors in the features. kNN accuracy: how well the layout, and the features "
        "themselves, separate the classes.",
    }
    alt = "Scatter plots by epoch, colored by class:"
    figures = [
        reader.figure(
            f"{method}_{name}", f"{alt} {charts.METHODS[method]} of {features}.", captions[method]
        )
        for method in embed.methods
    ]
    return "".join(figures) + reader.chart(
        f"Layouts of {features}",
        "The same points: step through the epochs, choose a class, hover over a point to see its "
        "image, scroll or drag to zoom and move, double-click to reset.",
        lambda missing: charts.embedding(reader.results, params, name, dataset, missing),
    )


def _masks(reader: ResultsReader, params: Params, task: str, dataset: PreparedDataset) -> str:
    """The label maps of a segmentation task: a figure, and a chart to explore."""
    block = params.segment[task]
    seed = f", seed {block.seeds[0]}" if block.seeds else ""
    splits = dict(zip(dataset.index["id"], dataset.index["split"], strict=True))
    images = [f"{image} ({splits.get(image, 'unknown')})" for image in block.images]
    figure = reader.figure(
        f"masks_{task}",
        f"Images {', '.join(block.images)} with their truth and the masks of "
        f"{', '.join(block.runs)} at an early, a middle and the final epoch, and the wrong pixels.",
        f"Each row: image, truth, the masks of one run at three epochs{seed}, and the pixels that "
        "are wrong at the end. The mIoU is of that image alone, over the classes in its truth or "
        "its mask. Look at whether borders are wrong, or whole regions. Images and their splits: "
        f"{', '.join(images)}.",
    )
    return figure + reader.chart(
        f"Label maps of {task}",
        "The same masks: choose image, run and epoch, or one class; hover over a region to see its "
        "class, scroll or drag to zoom and move all four panels together.",
        lambda missing: charts.masks(reader.results, params, task, dataset, missing),
    )


def _segment_anything(reader: ResultsReader, params: Params, task: str) -> str:
    block = params.segment_anything[task]
    content = ""
    for run in block.runs:
        recipe = block.recipes[run]
        weights = f"with the published weights {recipe.weights}"
        if recipe.weights == "none":
            weights = "with RANDOM weights: nothing was learned, its masks mean nothing"
        points = recipe.points_per_side
        content += reader.figure(
            f"segment_anything_{task}_{run}",
            f"Images {', '.join(block.images)} with the outlines of run {run}'s masks.",
            f"Run {run}: every mask that Segment Anything finds, {recipe.model} {weights}. The "
            f"prompts are {points} x {points} points; masks with a predicted IoU below "
            f"{recipe.min_predicted_iou:g} or a stability below {recipe.min_stability:g} are "
            "dropped. The masks have no classes, and there is no ground truth for them. The masks "
            f"and their scores are in results/segment_anything/{task}/{run}.",
        )
    return content or html.paragraph("No runs in params.yaml.")


def _comparisons(reader: ResultsReader) -> str:
    return reader.figure(
        "comparisons",
        "The difference between each two runs with its intervals; the table below has the numbers.",
        "Differences in percentage points. If the thin line, the 95 % CI over images and seeds, "
        "crosses zero, these results do not separate the two runs. The thick bar is the 95 % CI "
        "over images, for these trained networks. Filled: significant after Holm's correction.",
    ) + reader.table("comparisons")


def _published(reader: ResultsReader) -> str:
    return reader.figure(
        "published_numbers",
        "The number of each homework, of other solutions and of our run; the table below has them.",
        "Orange: the published number, with the interval that its number of images implies. Gray: "
        "the range of other public solutions of the same assignment. Blue: ours, by the run or "
        "task in brackets; a hollow ring was measured on other images, where only the order of our "
        "runs can be compared. The gray bars are often wider than the differences that the "
        "homeworks discuss.",
    ) + reader.table("published_numbers")


def _classes(reader: ResultsReader) -> str:
    columns = ["task", "run", "class", "iou"]
    table = reader.csv("tables/class_iou.csv", columns, columns[:3]).dropna(subset="iou")
    values = [" ".join([*row[:3], f"{row[3]:.2f}"]) for row in table[columns].values.tolist()]
    figure = reader.figure(
        "iou",
        f"Bars of the IoU of each class: {', '.join(values)}.",
        "IoU of each class on the test split; next to its name, its share of the labeled pixels. "
        "Look at the rare classes: each has as much weight in the mIoU as a frequent one.",
    )
    return figure + reader.table("class_iou")


def _networks(reader: ResultsReader) -> str:
    figure = reader.figure(
        "networks",
        "The layer groups of every network as boxes; the tables have the same numbers.",
        "A row is a network, a box a group of layers: its height shows the height of its output, "
        "its color the share of the network's multiply-adds. Most of the work and most of the "
        "parameters are seldom in the same layers.",
    )
    layers = html.details("Layer groups of every network", reader.table("layers"))
    return reader.table("networks") + figure + layers


def _training(reader: ResultsReader) -> str:
    figures = reader.figure(
        "curves",
        "Training loss and validation score over the epochs of every run.",
        "A row for each task: the training loss, and the validation score. Seeds of one run have "
        "the same color; a ring marks the selected epoch. Look for scores that rise to the end.",
    ) + reader.figure(
        "convergence",
        "The first epoch near the best score and the best epoch of every run, as in the table.",
        "Squares: the first epoch that reaches 95 % of the best validation score. Rings: the best "
        "epoch. If a mark is at the end of its bar, more epochs could give a better score.",
    )
    details = {
        "Epochs of every training job": "convergence",
        "Scores of every training job": "seeds",
        "Most frequent confusions": "confusion",
    }
    tables = [html.details(title, reader.table(name)) for title, name in details.items()]
    return figures + "".join(tables)
