"""One self-contained page of every table and figure, and how each number was made."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reprise.evaluation.evaluate import data_sets
from reprise.evaluation.holes import Holes
from reprise.evaluation.prepared import Prepared, read_prepared
from reprise.evaluation.tables import ASKED as ASKED_PAIRS
from reprise.figures import interactive, page
from reprise.figures.embeddings import METHODS, shown
from reprise.figures.limits import limits
from reprise.figures.made import made
from reprise.figures.scripts import scripts
from reprise.figures.sources import Sources
from reprise.params import Params

LEAD = (
    "Five computer-vision experiment reports, rebuilt as one pipeline on open images. The epoch of "
    "a model is chosen on the images of the role select; a number named report is measured on "
    "other images, by which no epoch was chosen."
)
ASKED = [
    "Fine-tuning: does a backbone that was pretrained without labels (BYOL) help more than one "
    "pretrained with labels, or than none? Settings A to E answer with the same head and the same "
    "budget.",
    "Classification: how far does a small network from scratch stay behind a pretrained one?",
    "Faces: train the last layer alone, the whole pretrained network, or the whole from scratch?",
    "Segmentation: how do two models compare on the same label maps?",
    "Street scenes' questions, asked of label maps of the Earth: what do skip connections give, "
    "and what does merging the classes change?",
]


def report(results: Path, params: Params) -> tuple[str, list[str]]:
    """Build the page.

    Args:
        results: folder with metrics.json, digests.csv, tables/, figures/, vector/, embed/, the
            masks that are shown, and prepare/<data set>/.
        params: the configuration the results were made with.

    Returns:
        HTML that needs no other file, the same bytes for the same results; and what was missing,
        one line each, in whose place the page says so.

    Raises:
        RepriseError: a prepared data set is missing.
    """
    sources = Sources(results)
    every = {name: read_prepared(results / "prepare" / name) for name in data_sets(params)}
    sets = {part: every[block.data] for part, block in params.stages.items()}
    metrics = sources.json("metrics.json")
    ious = sources.csv("tables/iou.csv", ["part", "run", "class", "iou", "share"])
    sections = [
        ("asked", "What was asked", page.bullets(ASKED)),
        ("found", "What was found", _found(sources)),
        ("finetune", "Fine-tuning settings A to E", _finetune(sources, params, metrics, sets)),
        ("pairs", "Every difference", _pairs(sources)),
        ("classify", "Classification", _classify(sources, params, sets)),
        ("faces", "Faces", sources.table("faces") + _errors(sources, "faces")),
        ("segment", "Segmentation", _masks(sources, params, "segment", sets)),
        ("street", "Segmentation with and without skips", _masks(sources, params, "street", sets)),
        *_anything(sources, params),
        ("reported", "Beside the reports' own numbers", _reported(sources)),
        ("classes", "IoU of each class", _classes(sources, ious)),
        ("networks", "Networks", _networks(sources)),
        ("training", "Training histories", _training(sources)),
        ("made", "How each number was made", made(sources, params)),
        (
            "limits",
            "What the numbers do not show",
            page.bullets(limits(params, metrics, ious, every)),
        ),
        ("data", "Data sets", _data(every)),
    ]
    charts = any('class="live"' in html for _, _, html in sections)
    lead = page.paragraph(LEAD)
    return page.page("Reprise: results", sections, lead, scripts(charts)), sources.holes


def _found(sources: Sources) -> str:
    """The sentences of the pairs that were asked for, the settled ones first."""
    columns = ["part", "run", "second", "first", "shown", "said"]
    pairs = sources.csv("tables/pairs.csv", columns, ["run"])
    settings = pairs["part"] == "finetune"
    asked = np.array(
        [pair in ASKED_PAIRS for pair in pairs[["second", "first"]].values.tolist()], bool
    )
    order = pairs[~settings | asked].sort_values("shown", ascending=False, kind="stable")
    said = [
        f"{row['part'].capitalize()}{', run ' + row['run'] if row['run'] else ''}: {row['said']}"
        for row in order.to_dict("records")
    ]
    return page.bullets(said) if said else page.paragraph("No two runs to compare.")


def _finetune(
    sources: Sources, params: Params, metrics: dict[str, Any], sets: dict[str, Prepared]
) -> str:
    values = [
        f"{run} {setting} {one['accuracy']:.3f}"
        for run, block in metrics.get("finetune", {}).items()
        for setting, one in block.items()
    ]
    return "".join(
        [
            sources.table("finetune"),
            sources.figure(
                "finetune",
                f"Bars of the mean report accuracy: {', '.join(values)}.",
                "Mean report accuracy of each setting. A ring is one seed, hatched bars have a "
                "frozen backbone. Look at how far the rings of a bar lie apart, and compare "
                "settings by their difference, further down, not by whether whiskers overlap.",
            ),
            "<h3>Pretraining</h3>\n",
            sources.table("pretrain"),
            _embeddings(sources, params, "finetune", sets),
            _errors(sources, "finetune"),
        ]
    )


def _pairs(sources: Sources) -> str:
    return (
        sources.figure(
            "pairs",
            "Each pair's difference with its intervals; the same numbers stand in the table below.",
            "The difference of each pair, in points. Look at whether the thin line, for other "
            "images and other seeds, crosses zero: then these data do not tell the two apart. The "
            "thick bar is for other images and these very networks. Filled marks are shown after "
            "Holm's correction.",
        )
        + sources.table("pairs")
        + page.details("McNemar's exact test of each seed", sources.table("mcnemar"))
    )


def _reported(sources: Sources) -> str:
    return sources.figure(
        "reported",
        "The number of each report, of other solutions and of this run, where there are; the same "
        "numbers stand in the table below.",
        "Orange: what a report prints, with the interval that its number of images implies. Grey: "
        "the least and most of other public solutions of the same assignment. Blue: ours; a hollow "
        "ring is measured on other images, by the run in brackets, and only its order among our "
        "own can be compared. Look at how wide the grey bars are beside the differences that the "
        "reports draw conclusions from.",
    ) + sources.table("reported")


def _classify(sources: Sources, params: Params, sets: dict[str, Prepared]) -> str:
    blocks = (params.classify, params.faces)
    voting = any(block.recipes[run].vote > 1 for block in blocks for run in block.runs)
    votes = "<h3>The vote of several epochs</h3>\n" + sources.table("votes")
    return (
        sources.table("classify")
        + (votes if voting else "")
        + _embeddings(sources, params, "classify", sets)
        + _errors(sources, "classify")
    )


def _errors(sources: Sources, part: str) -> str:
    """The confusion matrices and the surest mistakes of a part that names the class of an image."""
    return _confusion(sources, part) + sources.figure(
        f"mistakes_{part}",
        f"Images of {part} that were taken for another class with the highest confidence.",
        "The mistakes that each run was surest of: above the image what it was taken for, with the "
        "confidence, below it what it is. Look for labels that are themselves in doubt.",
    )


def _confusion(sources: Sources, part: str) -> str:
    return sources.figure(
        f"confusion_{part}",
        f"Confusion matrices of {part}; the commonest mistakes stand in a table further down.",
        "Rows are the truth, columns what it was taken for, in per cent of the row, all seeds "
        "together. Look for dark cells off the diagonal, and for rows with few counts.",
    )


def _embeddings(sources: Sources, params: Params, source: str, sets: dict[str, Prepared]) -> str:
    who = shown(params, source)
    options = params.embed
    captions = {
        "pca": f"The two leading principal components of {who}, each epoch on its own axes, whose "
        "share of the variance is given. Look at which classes leave the crowd from epoch to "
        "epoch.",
        "tsne": (
            f"t-SNE of {who}: PCA to at most {options.components} components, perplexity "
            f"{options.perplexity:g}, seed {options.seed}, at most {options.points} images; each "
            "epoch goes on from the layout of the one before. Look at which classes stay mixed. "
            "Distances between groups have no meaning. Trustworthiness says how many neighbours "
            "are true ones, the kNN accuracy how well the layout, and the features it was made "
            "of, tell the classes apart."
        ),
    }
    made = ""
    for method in options.methods:
        alt = f"Scatter plots by epoch, coloured by class: {METHODS[method]} of {who}."
        made += sources.figure(f"{method}_{source}", alt, captions[method])
    return made + sources.attempt(
        lambda: page.live(
            f"Layouts of {who}",
            interactive.points(sources.results, params, source, sets[source]),
            "The same points: step through the epochs, choose a class, hover over a point to see "
            "its image, scroll or drag to zoom and move, double-click to go back.",
        )
    )


def _masks(sources: Sources, params: Params, part: str, sets: dict[str, Prepared]) -> str:
    block = params.segment if part == "segment" else params.street
    prepared = sets[part]
    seed = f", seed {block.seeds[0]}" if block.seeds else ""
    roles = [prepared.index["role"].iloc[prepared.row(image)] for image in block.images]
    named = [f"{image} ({role})" for image, role in zip(block.images, roles, strict=True)]
    figure = sources.figure(
        f"masks_{part}",
        f"Images {', '.join(block.images)} with their truth and the masks of "
        f"{', '.join(block.runs)} at an early, a middle and the final epoch, and the wrong pixels.",
        f"Each row: image, truth, the masks of one run at three epochs{seed}, and the pixels that "
        "are wrong at the end. The mIoU is of that image alone, over the classes in its truth or "
        "its mask. Look at whether what is wrong are the borders or whole regions. The images are "
        f"named in params.yaml; their roles: {', '.join(named)}.",
    )

    def explorer() -> str:
        holes = Holes()
        spec = interactive.label_maps(sources.results, params, part, prepared, holes)
        about = (
            "The same masks: choose image, run and moment of training, or one class; hover over a "
            "region to name it, scroll or drag to zoom and move all four pictures together."
        )
        live = page.live(f"Label maps of {part}", spec, about) if spec else ""
        return live + "".join(map(sources.hole, holes.of()))

    return sources.table(part) + figure + sources.attempt(explorer) + _confusion(sources, part)


def _anything(sources: Sources, params: Params) -> list[tuple[str, str, str]]:
    """The section of Segment Anything; none where params.yaml has no run of it."""
    made = ""
    for run in params.anything.runs:
        recipe = params.anything.recipes[run]
        learnt = (
            f"with the published weights {recipe.weights}"
            if recipe.weights != "none"
            else "with RANDOM weights: nothing was learnt, its masks mean nothing, and show only "
            "that the parts of the pipeline fit"
        )
        made += sources.figure(
            f"anything_{run}",
            f"Images {', '.join(params.anything.images)} with the outlines of run {run}'s masks.",
            f"Run {run}: every mask that Segment Anything finds, {recipe.model} {learnt}. It is "
            f"asked at {recipe.points} x {recipe.points} points; masks with a predicted IoU below "
            f"{recipe.least_iou:g} or a stability below {recipe.least_stability:g} are dropped. It "
            "names no class, and no truth says which masks are right. Look at what it takes for "
            "one thing. The masks, and the scores of each, lie in "
            f"results/anything/{run}.",
        )
    return [("anything", "Segment Anything", made)] if made else []


def _classes(sources: Sources, ious: pd.DataFrame) -> str:
    best = [
        f"{row['part']} {row['run']} {row['class']} {row['iou']:.2f}"
        for row in ious.to_dict("records")
        if not pd.isna(row["iou"])
    ]
    figure = sources.figure(
        "iou",
        f"Bars of the IoU of each class: {', '.join(best)}.",
        "IoU of each class on the report role; beside its name, the share of the labelled pixels. "
        "Look at the rare classes: each weighs as much in the mIoU as a common one.",
    )
    mistakes = page.details("The commonest mistakes", sources.table("confusion"))
    return figure + sources.table("iou") + mistakes


def _networks(sources: Sources) -> str:
    figure = sources.figure(
        "architecture",
        "The layer groups of every network as boxes; the same numbers stand in the tables.",
        "Each row is a network, read from left to right. A box is a group of layers: its height "
        "follows the height of the map that it puts out, its colour the share of the network's "
        "multiply-adds. Look at where the work is, and where the parameters are: seldom in the "
        "same layers.",
    )
    layers = page.details("Layer groups of every network", sources.table("layers"))
    return sources.table("architecture") + figure + layers


def _training(sources: Sources) -> str:
    curves = sources.figure(
        "curves",
        "Training loss and select score over the epochs of every run.",
        "One row a part: the training loss, and the score that is watched on held-out images. "
        "Seeds of one run share a colour; a ring marks the epoch that was kept. Look for scores "
        "that still rise at the end.",
    )
    epochs = sources.figure(
        "epochs",
        "The first epoch near the best and the kept epoch of every training; see the table below.",
        "Squares: the first epoch whose select score is near the best of its history. Rings: the "
        "epoch that was kept. A mark at the end of its bar asks for more epochs.",
    )
    return (
        curves
        + epochs
        + page.details("Epochs of every training job", sources.table("epochs"))
        + page.details("Scores of every training job", sources.table("seeds"))
    )


def _data(sets: dict[str, Prepared]) -> str:
    rows = [
        [
            name,
            one.task,
            str(len(one.labels.declared)),
            *(str(len(one.rows(role))) for role in ("train", "select", "report")),
            str(one.about["source"]),
            str(one.about["licence"]),
        ]
        for name, one in sets.items()
    ]
    headings = ["Data set", "Task", "Classes", "Train", "Select", "Report", "Source", "Licence"]
    return page.table(headings, rows, "Data sets", "words")
