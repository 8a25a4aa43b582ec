"""Which runs and settings are compared with each other, and how far each score can be trusted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reprise.evaluation.compare import COLUMNS, EXACT, compare, exact_tests
from reprise.evaluation.prepared import Labels
from reprise.evaluation.resampling import Key, measure_accuracy, measure_miou
from reprise.evaluation.scores import ClassScore, MaskScore
from reprise.evaluation.uncertainty import Estimate, estimate


@dataclass(frozen=True, eq=False)
class Compared:
    """All comparisons of a part.

    `estimates` holds each (run, setting), setting "" where there is none; `pairs` has the columns
    compare.COLUMNS, `exact` compare.EXACT.
    """

    estimates: dict[Key, Estimate]
    pairs: pd.DataFrame
    exact: pd.DataFrame


def compare_classes(part: str, scores: Sequence[ClassScore]) -> Compared:
    """The settings of each run against each other; where there are no settings, the runs."""
    answers: dict[Key, list[ClassScore]] = {}
    for score in scores:
        answers.setdefault((score.run, score.setting), []).append(score)
    right = {key: np.array([one.right for one in own]) for key, own in answers.items()}
    measured = measure_accuracy(right)
    groups: dict[str, list[Key]] = {}
    seeds, whole = complete(answers)
    for run, setting in whole:
        groups.setdefault(run if setting else "", []).append((run, setting))
    pairs, exact = [], []
    for run, keys in groups.items():
        names = {setting or own: (own, setting) for own, setting in keys}
        own_right = {name: right[key] for name, key in names.items()}
        own_scores = {name: measured[key] for name, key in names.items()}
        pairs.append(compare(part, run, own_scores, own_right))
        exact.append(exact_tests(part, run, seeds, own_right))
    estimates = {key: estimate(one) for key, one in measured.items()}
    return Compared(estimates, joined(pairs, COLUMNS), joined(exact, EXACT))


def compare_masks(part: str, scores: Sequence[MaskScore]) -> Compared:
    """The runs with the same classes against each other, by mIoU."""
    sets: dict[Labels, dict[Key, list[MaskScore]]] = {}
    for score in scores:
        sets.setdefault(score.labels, {}).setdefault((score.run, ""), []).append(score)
    estimates: dict[Key, Estimate] = {}
    pairs = []
    for labels, runs in sets.items():
        images = {key: np.array([one.images for one in own]) for key, own in runs.items()}
        measured = measure_miou(images, labels.declared)
        estimates |= {key: estimate(one) for key, one in measured.items()}
        _, whole = complete(runs)
        pairs.append(compare(part, "", {run: measured[run, setting] for run, setting in whole}, {}))
    return Compared(estimates, joined(pairs, COLUMNS), joined([], EXACT))


def complete(
    jobs: Mapping[Key, Sequence[ClassScore] | Sequence[MaskScore]],
) -> tuple[list[int], list[Key]]:
    """The seeds, in their order, and the runs that have them all: only those can be compared."""
    seeds = {key: [score.seed for score in own] for key, own in jobs.items()}
    longest = max(seeds.values(), key=len, default=[])
    return longest, [key for key, own in seeds.items() if own == longest]


def joined(frames: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """Frames below each other; with these columns also when there is none."""
    full = [frame for frame in frames if len(frame)]
    return pd.concat(full, ignore_index=True) if full else pd.DataFrame(columns=list(columns))
