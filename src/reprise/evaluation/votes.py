"""The vote of several epochs against the single best one: the same training, the same images."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reprise.evaluation.compare import compare
from reprise.evaluation.holes import Holes
from reprise.evaluation.markdown import Column, Table, document, markdown, share, text
from reprise.evaluation.pair_tables import interval, points, probability
from reprise.evaluation.predictions import read_predictions
from reprise.evaluation.prepared import Prepared
from reprise.evaluation.resampling import measure_accuracy
from reprise.params import Params

NAMES = ["single", "vote"]
COMPARED = ["difference", "sd_seeds", "low_images", "high_images", "low_both", "high_both", "p"]
COLUMNS = ["part", "run", "epochs", "images", "seeds"]
COLUMNS += [f"{name}_{what}" for name in reversed(NAMES) for what in ("accuracy", "correct")]
COLUMNS += [*COMPARED, "said"]


def votes_table(results: Path, params: Params, sets: dict[str, Prepared], holes: Holes) -> Table:
    """One row a run whose recipe votes: both accuracies, and their paired difference.

    Raises:
        RepriseError: with strict `holes`, see `read_predictions`; the column `single` holds the
            answer of the single epoch.
    """
    rows = []
    for part, block in (("classify", params.classify), ("faces", params.faces)):
        for run in block.runs:
            if (count := block.recipes[run].vote) > 1 and block.seeds:
                folder = results / part / run
                paths = [folder / str(seed) / "predictions.csv" for seed in block.seeds]
                with holes.leave_out(part):
                    rows.append(_row(part, run, count, paths, sets[part]))
    frame = pd.DataFrame(rows, columns=COLUMNS)
    if frame.empty:
        return Table(frame, "No run of params.yaml lets several epochs vote.\n")
    columns = [
        Column("Run", text("run")),
        Column("Epochs that vote", text("epochs")),
        Column("Vote, report accuracy", share("vote_accuracy")),
        Column("k/n", _counts("vote")),
        Column("Single best epoch", share("single_accuracy")),
        Column("k/n", _counts("single")),
        Column("Difference, points", points("difference")),
        Column("95 % interval, images", interval("images")),
        Column("95 % interval, images and seeds", interval("both")),
        Column("p", probability("p")),
    ]
    note = (
        "Both answers are of one training: the vote is that of the epochs with the lowest select "
        "loss, the single epoch the one with the highest select accuracy. The difference is paired "
        "on the images of the role report; p is McNemar's exact one with one seed, else Student's."
    )
    return Table(frame, document(markdown(frame, columns), " ".join(frame["said"]), note))


def _row(part: str, run: str, count: int, paths: list[Path], prepared: Prepared) -> list[object]:
    right: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in NAMES}
    for path in paths:
        table = read_predictions(path, prepared, ["single"])
        table = table[table["role"] == "report"].sort_values("id", kind="stable")
        for name, column in zip(NAMES, ("single", "prediction"), strict=True):
            right[name].append((table["label"] == table[column]).to_numpy())
    answers = {name: np.array(own) for name, own in right.items()}
    measured = measure_accuracy({(name,): own for name, own in answers.items()})
    pair = compare(part, "", {name: measured[name,] for name in NAMES}, answers).iloc[0]
    seeds, images = answers["vote"].shape
    found = [
        value
        for name in reversed(NAMES)
        for value in (float(answers[name].mean()), int(answers[name].sum()))
    ]
    said = f"{run}: {pair['said']}"
    return [part, run, count, images, seeds, *found, *pair[COMPARED], said]


def _counts(name: str) -> Callable[[pd.Series], str]:
    return lambda row: f"{row[f'{name}_correct']}/{row['images'] * row['seeds']}"
