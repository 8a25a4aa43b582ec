"""One self-contained page of every table and figure, and how each number was made."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from reprise.errors import RepriseError
from reprise.evaluation.evaluate import data_sets
from reprise.evaluation.prepared import Prepared, read_prepared, read_table
from reprise.figures import page
from reprise.figures.embeddings import METHODS, shown
from reprise.figures.limits import limits
from reprise.files import read_json
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


def report(results: Path, params: Params) -> str:
    """Build the page.

    Args:
        results: folder with metrics.json, tables/, figures/ and prepare/<data set>/.
        params: the configuration the results were made with.

    Returns:
        HTML that needs no other file; the same bytes for the same results.

    Raises:
        RepriseError: names the file that is missing.
    """
    metrics = read_json(results / "metrics.json")
    sets = {name: read_prepared(results / "prepare" / name) for name in data_sets(params)}
    ious = read_table(results / "tables" / "iou.csv", ["part", "run", "class", "iou", "share"])
    said = limits(params, metrics, ious, sets)
    sections = [
        ("asked", "What was asked", page.bullets(ASKED)),
        ("finetune", "Fine-tuning settings A to E", _finetune(results, params, metrics)),
        ("pairs", "Every difference", _pairs(results)),
        ("classify", "Classification", _classify(results, params)),
        ("faces", "Faces", _table(results, "faces") + _errors(results, "faces")),
        ("segment", "Segmentation", _masks(results, params, "segment", sets[params.segment.data])),
        (
            "street",
            "Segmentation with and without skips",
            _masks(results, params, "street", sets[params.street.data]),
        ),
        ("classes", "IoU of each class", _classes(results, ious)),
        ("training", "Training histories", _training(results)),
        ("made", "How each number was made", _made(results, params)),
        (
            "limits",
            "What the numbers do not show",
            page.bullets(said),
        ),
        ("data", "Data sets", _data(sets)),
    ]
    return page.page("Reprise: results", sections, page.paragraph(LEAD))


def _table(results: Path, name: str) -> str:
    path = results / "tables" / f"{name}.md"
    try:
        return page.markdown(path.read_text(), name)
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; run `evaluate` first") from None


def _figure(results: Path, name: str, alt: str, caption: str) -> str:
    path = results / "figures" / f"{name}.png"
    try:
        return page.figure(path.read_bytes(), alt, caption)
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; run `plot` for this figure first") from None


def _finetune(results: Path, params: Params, metrics: dict[str, Any]) -> str:
    values = [
        f"{run} {setting} {one['accuracy']:.3f}"
        for run, block in metrics["finetune"].items()
        for setting, one in block.items()
    ]
    return "".join(
        [
            _table(results, "finetune"),
            _figure(
                results,
                "finetune",
                f"Bars of the mean report accuracy: {', '.join(values)}.",
                "Mean report accuracy of each setting; a ring is one seed, hatched bars have a "
                "frozen backbone, whiskers are 95 % intervals for one set of images.",
            ),
            "<h3>Pretraining</h3>\n",
            _table(results, "pretrain"),
            _embeddings(results, params, "finetune"),
            _errors(results, "finetune"),
        ]
    )


def _pairs(results: Path) -> str:
    return (
        _figure(
            results,
            "pairs",
            "Each pair's difference with its intervals; the same numbers stand in the table below.",
            "The difference of each pair, in points. Look at whether the thin line, for other "
            "images and other seeds, crosses zero: then these data do not tell the two apart. The "
            "thick bar is for other images and these very networks. Filled marks are shown after "
            "Holm's correction.",
        )
        + _table(results, "pairs")
        + page.details("McNemar's exact test of each seed", _table(results, "mcnemar"))
    )


def _errors(results: Path, part: str) -> str:
    """The confusion matrices and the surest mistakes of a part that names the class of an image."""
    return _confusion(results, part) + _figure(
        results,
        f"mistakes_{part}",
        f"Images of {part} that were taken for another class with the highest confidence.",
        "The mistakes that each run was surest of: above the image what it was taken for, with the "
        "confidence, below it what it is. Look for labels that are themselves in doubt.",
    )


def _confusion(results: Path, part: str) -> str:
    return _figure(
        results,
        f"confusion_{part}",
        f"Confusion matrices of {part}; the commonest mistakes stand in a table further down.",
        "Rows are the truth, columns what it was taken for, in per cent of the row, all seeds "
        "together. Look for dark cells off the diagonal, and for rows with few counts.",
    )


def _classify(results: Path, params: Params) -> str:
    return (
        _table(results, "classify")
        + _embeddings(results, params, "classify")
        + _errors(results, "classify")
    )


def _embeddings(results: Path, params: Params, source: str) -> str:
    who = shown(params, source)
    options = params.embed
    captions = {
        "pca": f"The two leading principal components of {who}, each epoch on its own axes.",
        "tsne": (
            f"t-SNE of {who}: PCA to at most {options.components} components, perplexity "
            f"{options.perplexity:g}, seed {options.seed}, at most {options.points} images. "
            "Distances between groups have no meaning."
        ),
    }
    made = ""
    for method in options.methods:
        alt = f"Scatter plots by epoch, coloured by class: {METHODS[method]} of {who}."
        made += _figure(results, f"{method}_{source}", alt, captions[method])
    return made


def _masks(results: Path, params: Params, part: str, prepared: Prepared) -> str:
    block = params.segment if part == "segment" else params.street
    seed = f", seed {block.seeds[0]}" if block.seeds else ""
    roles = [prepared.index["role"].iloc[prepared.row(image)] for image in block.images]
    named = [f"{image} ({role})" for image, role in zip(block.images, roles, strict=True)]
    figure = _figure(
        results,
        f"masks_{part}",
        f"Images {', '.join(block.images)} with their truth and the masks of "
        f"{', '.join(block.runs)} at an early, a middle and the final epoch.",
        f"Each row: image, truth, and the masks of one run at three epochs{seed}. The images are "
        f"named in params.yaml; their roles: {', '.join(named)}.",
    )
    return _table(results, part) + figure + _confusion(results, part)


def _classes(results: Path, ious: pd.DataFrame) -> str:
    best = [
        f"{row['part']} {row['run']} {row['class']} {row['iou']:.2f}"
        for row in ious.to_dict("records")
        if not pd.isna(row["iou"])
    ]
    figure = _figure(
        results,
        "iou",
        f"Bars of the IoU of each class: {', '.join(best)}.",
        "IoU of each class on the report role; beside its name, the share of the labelled pixels.",
    )
    mistakes = page.details("The commonest mistakes", _table(results, "confusion"))
    return figure + _table(results, "iou") + mistakes


def _training(results: Path) -> str:
    curves = _figure(
        results,
        "curves",
        "Training loss and select score over the epochs of every run.",
        "One row a part: the training loss, and the score that is watched on held-out images. "
        "Seeds of one run share a colour; a ring marks the epoch that was kept.",
    )
    epochs = _figure(
        results,
        "epochs",
        "The first epoch near the best and the kept epoch of every training; see the table below.",
        "Squares: the first epoch whose select score is near the best of its history. Rings: the "
        "epoch that was kept. A mark at the end of its bar asks for more epochs.",
    )
    return (
        curves
        + epochs
        + page.details("Epochs of every training job", _table(results, "epochs"))
        + page.details("Scores of every training job", _table(results, "seeds"))
    )


def _made(results: Path, params: Params) -> str:
    made = [
        page.paragraph(
            "Each number comes from predictions that lie in the results folder. The values below "
            "are those of params.yaml, with defaults filled in; the command rebuilds what is out "
            "of date of that part, and nothing else."
        )
    ]
    for part, block in params.stages.items():
        if not block.runs:
            continue
        values = yaml.safe_dump(block.model_dump(exclude_none=True), sort_keys=False)
        made.append(f"<h3>{part}</h3>\n")
        made.append(page.code(f"snakemake --cores 4 {target(part, params)}"))
        made.append(page.details(f"Parameters of {part}", page.code(values)))
    made.append("<h3>Everything</h3>\n" + page.code("snakemake --cores 4"))
    return "".join(made)


def target(part: str, params: Params) -> str:
    """The files whose making runs every job of a part; in braces, as a shell expands them."""
    block = params.stages[part]
    levels: list[Sequence[str | int]] = [block.runs]
    if part == "pretrain":
        levels.append(params.pretrain.methods)
    if part == "finetune":
        levels.append(params.finetune.settings.all)
    levels.append(getattr(block, "seeds", []))
    folders = [_braces([str(name) for name in level]) for level in levels if level]
    return "/".join(["results", part, *folders, "history.csv"])


def _braces(names: list[str]) -> str:
    return names[0] if len(names) == 1 else "{" + ",".join(names) + "}"


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
