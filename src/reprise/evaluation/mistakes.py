"""Which classes are taken for which: all confusion matrices, as one long table."""

from collections.abc import Sequence

import pandas as pd

from reprise.evaluation.confusion import Matrix
from reprise.evaluation.markdown import Column, Table, document, markdown, text
from reprise.evaluation.prepared import Labels
from reprise.evaluation.scores import ClassScore, MaskScore

COLUMNS = ["part", "run", "setting", "truth", "prediction", "count"]
SHOWN = 5  # of the commonest mistakes of each run


def counted(
    part: str, scores: Sequence[ClassScore] | Sequence[MaskScore], labels: Labels
) -> pd.DataFrame:
    """The confusion matrices of the report role, seeds summed, one row a pair of classes.

    Args:
        part: name of the part.
        scores: its jobs.
        labels: the classes of a classification; a segmentation job brings its own.

    Returns:
        COLUMNS; `count` is of images or, in segmentation, of pixels. The classes of a run stand in
        the order of their ids; an ignored id is left out.
    """
    sums: dict[tuple[str, str], Matrix] = {}
    classes: dict[tuple[str, str], Labels] = {}
    for score in scores:
        key = (score.run, score.setting if isinstance(score, ClassScore) else "")
        sums[key] = sums[key] + score.report if key in sums else score.report
        classes[key] = score.labels if isinstance(score, MaskScore) else labels
    rows = [
        [part, *key, names[truth], names[prediction], int(matrix[truth, prediction])]
        for key, matrix in sums.items()
        for names in [classes[key].names]
        for truth in classes[key].declared
        for prediction in classes[key].declared
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def confusion_table(frame: pd.DataFrame) -> Table:
    """The csv holds every count; the readable form the commonest mistakes of each run."""
    columns = [
        Column("Truth", text("truth")),
        Column("Taken for", text("prediction"), "---"),
        Column("Count", text("count")),
        Column("Share of the class", lambda row: f"{100 * row['share']:.1f} %"),
    ]
    blocks = []
    keys = ["part", "run", "setting"]
    for key, rows in frame.groupby(keys, sort=False) if len(frame) else ():
        whole = rows.groupby("truth")["count"].transform("sum")
        wrong = rows.assign(share=rows["count"] / whole.clip(lower=1))
        wrong = wrong[(wrong["truth"] != wrong["prediction"]) & (wrong["count"] > 0)]
        most = wrong.sort_values("count", ascending=False, kind="stable").head(SHOWN)
        blocks.append("### " + ", ".join(str(name) for name in key if name))
        blocks.append(markdown(most, columns) if len(most) else "No mistake.")
    note = (
        f"The {SHOWN} commonest mistakes of each run on the report role, all seeds together: "
        "images in classification, labelled pixels in segmentation. The share is of the true class."
    )
    return Table(frame, document(*blocks, note) if blocks else "No run in params.yaml.\n")
