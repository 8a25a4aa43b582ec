"""One self-contained page of every table and figure, and how each number was made."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reprise.evaluation.evaluate import data_sets
from reprise.evaluation.prepared import Prepared, read_prepared
from reprise.evaluation.tables import ASKED as ASKED_PAIRS
from reprise.figures import page, pictures
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
        ("faces", "Faces", sources.table("faces") + pictures.errors(sources, "faces")),
        ("segment", "Segmentation", pictures.masks(sources, params, "segment", sets)),
        (
            "street",
            "Segmentation with and without skips",
            pictures.masks(sources, params, "street", sets),
        ),
        *pictures.anything(sources, params),
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
            pictures.embeddings(sources, params, "finetune", sets),
            pictures.errors(sources, "finetune"),
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
        + pictures.embeddings(sources, params, "classify", sets)
        + pictures.errors(sources, "classify")
    )


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
