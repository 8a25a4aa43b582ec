"""The table of every pair of true and predicted class."""

from itertools import product

import pandas as pd

from reprise.evaluation import markdown as md
from reprise.evaluation.scores import BEST_EPOCH

CONFUSION = ["stage", "task", "run", "truth", "prediction", "count"]
MOST_FREQUENT = 5  # confusions of each run in the markdown


def confusion_table(runs: pd.DataFrame) -> md.Table:
    """CONFUSION: test images or, in segmentation, pixels of each pair of classes, seeds summed.

    The classes of a run are in the order of their ids, without the ignored one; the markdown has
    the most frequent confusions.
    """
    rows = []
    for run in runs[~runs["run"].str.endswith(BEST_EPOCH)].to_dict("records"):
        key, classes = [run[name] for name in CONFUSION[:3]], run["counts"][0].classes
        matrix = sum(counts.test for counts in run["counts"])
        for t, p in product(classes.ids, repeat=2):
            rows.append([*key, classes.names[t], classes.names[p], matrix[t, p]])
    frame = pd.DataFrame(rows, columns=CONFUSION)
    note = (
        f"The {MOST_FREQUENT} most frequent confusions of each run on the test split, summed over "
        "seeds: images in classification, labeled pixels in segmentation. The share is of the "
        "true class."
    )
    return md.page(frame, md.sections(frame, CONFUSION[:3], _most_frequent), note)


def _most_frequent(pairs: pd.DataFrame) -> list[str]:
    of_class = pairs.groupby("truth")["count"].transform("sum")
    wrong = pairs.assign(share=pairs["count"] / of_class.clip(lower=1))
    wrong = wrong[(wrong["truth"] != wrong["prediction"]) & (wrong["count"] > 0)]
    top = wrong.sort_values("count", ascending=False, kind="stable").head(MOST_FREQUENT)
    columns = [
        *md.left("truth"),
        md.Column("Predicted as", md.text("prediction"), "---"),
        *md.named(md.text, "count"),
        md.Column("Share of the class", lambda row: f"{100 * row['share']:.1f} %"),
    ]
    return [md.table(top, columns) if len(top) else "No errors."]
