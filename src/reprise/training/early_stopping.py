"""Early stopping: training ends when the score on val has not risen for some epochs."""

from collections.abc import Mapping, Sequence

from reprise.params.training import Training


def stops_early(recipe: Training, rows: Sequence[Mapping[str, float | int]]) -> bool:
    """Whether a training ends after the last of these rows of its history.

    So it does if the selected epoch is `patience` epochs ago (Goodfellow et al. 2016, Deep
    Learning, algorithm 7.1), but not before the last epoch that a key of the recipe names. A recipe
    without patience never does.
    """
    if not recipe.patience or not rows:
        return False
    epoch = int(rows[-1]["epoch"])
    best = max((int(row["epoch"]) for row in rows if row.get("selected")), default=epoch)
    return epoch >= recipe.named_epochs and epoch - best >= recipe.patience
