"""Whether confidences hold: of predictions with a confidence of 0.8, 80 % should be right."""

import numpy as np
import pandas as pd

from reprise.evaluation import markdown as md
from reprise.evaluation.scores import BEST_EPOCH, BINS, confidence_bins

COLUMNS = ["stage", "task", "run", "bin", "predictions", "confidence", "accuracy"]
COLUMNS += ["seeds", "ece", "ece_low", "ece_high"]
NOTE = (
    f"Expected calibration error (ECE): the mean distance between confidence and accuracy in {BINS}"
    " bins of confidence, on the test split; 0 if confidences hold. Mean over seeds. 95 % CI: over "
    "groups of images and seeds, or over groups only with one seed; an ECE cannot be below 0, so "
    "small ones are biased upwards."
)


def calibration_table(runs: pd.DataFrame) -> md.Table:
    """COLUMNS, a row for each run of classification and bin of confidence with predictions.

    `predictions` counts those of all seeds in the bin, `confidence` is their mean and `accuracy`
    the share that is right; the ECE of the run is repeated in each of its rows. All in 0..1.
    """
    rows = []
    classified = runs[runs["stage"].isin(["classify", "finetune"])] if len(runs) else runs
    for run in classified.to_dict("records"):
        if run["run"].endswith(BEST_EPOCH):
            continue
        correct = np.concatenate([counts.correct for counts in run["counts"]])
        confidence = np.concatenate([counts.confidence for counts in run["counts"]])
        bins, ends = confidence_bins(confidence), "ci" if run["seeds"] > 1 else "groups"
        for number in np.unique(bins).tolist():
            inside = bins == number
            row = [run["stage"], run["task"], run["run"], number, int(inside.sum())]
            row += [float(confidence[inside].mean()), float(correct[inside].mean()), run["seeds"]]
            ece = [run["test_ece"], *(run[f"test_ece_{ends}_{end}"] for end in ("low", "high"))]
            rows.append([*row, *ece])
    frame = pd.DataFrame(rows, columns=COLUMNS)
    columns = [
        *md.left("stage", "task", "run"),
        md.Column("ECE", md.number("ece", ".3f")),
        md.Column("95 % CI", md.interval("ece")),
        *md.named(md.text, "seeds"),
    ]
    per_run = frame.drop_duplicates(["stage", "task", "run"])
    return md.page(frame, [md.table(per_run, columns)], NOTE)
