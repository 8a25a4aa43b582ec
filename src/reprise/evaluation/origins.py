"""Where the weights that a training starts from come from, for the tables."""

from collections.abc import Callable

import pandas as pd

from reprise.evaluation.markdown import Column
from reprise.params import Params

NONE, OWN = "none", "own"


def weights_of(params: Params, part: str, run: str, name: str = "") -> str:
    """The name of the published weights that a job starts from, NONE (from scratch), or OWN.

    Args:
        params: the configuration.
        part: a training stage.
        run: one of its runs.
        name: the setting, of finetune; the method, of pretrain; else "".

    OWN is a backbone that a pretraining of this configuration made.
    """
    pretrained = params.pretrain.recipes.get(run)
    supervised = pretrained.supervised.weights if pretrained else NONE
    if part == "pretrain":
        return supervised if name == "supervised" else NONE
    if part == "finetune":
        start = params.finetune.settings.start(name)
        if start == "scratch":
            return NONE
        return supervised if start == "supervised" and supervised != NONE else OWN
    blocks = {"classify": params.classify, "faces": params.faces}
    if part in blocks:
        return blocks[part].recipes[run].weights
    return (params.segment if part == "segment" else params.street).recipes[run].weights


def with_weights(
    frame: pd.DataFrame, origin: Callable[[str, str], str], name: str = ""
) -> pd.DataFrame:
    """A table of runs with the column `weights`; `name` is its column of settings or methods."""
    names = frame[name] if name else [""] * len(frame)
    found = [origin(run, own) for run, own in zip(frame["run"], names, strict=True)]
    return frame.assign(weights=pd.Series(found, index=frame.index, dtype=object))


def _said(row: pd.Series) -> str:
    words = {NONE: "none (from scratch)", OWN: "own pretraining"}
    return words.get(row["weights"], f"{row['weights']} (published)")


WEIGHTS = Column("Weights", _said, "---")
