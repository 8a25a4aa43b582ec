"""How often intervals hold the true score on simulated data: writes docs/coverage.md.

make coverage                      2,000 draws a row, five minutes
python -m bench.coverage --draws N --out FILE
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.measure import ROOT

sys.path.insert(0, str(ROOT / "tests"))

from support import simulation  # noqa: E402
from support.simulation import Effects  # noqa: E402

from reprise.evaluation.scores import accuracy, miou  # noqa: E402
from reprise.evaluation.statistics import Estimate, SeedScores, holm  # noqa: E402
from reprise.evaluation.summaries import over_seeds  # noqa: E402

Z = 1.959964  # of 95 %
SCORE = 0.65  # expected accuracy of all runs
EFFECTS = {"moderate": Effects(), "groups differ more": Effects(group=1.0, own=0.5)}
EFFECTS["chains differ more"] = Effects(pretraining=0.12, finetuning=0.12)
STUDY = ROOT / "docs" / "study" / "seeds.csv"
ACCURACY_SETS, MIOU_SETS = ("climate", "newworld", "glasses"), ("landcover", "igbp")
RUNS = 5  # of a family of equal runs: ten pairs
COLUMNS = ["dataset", "images", "groups", "effects", "statistic", "images independent"]
COLUMNS += ["groups and chains", "width / oracle", "families"]


@dataclass
class Count:
    """Of intervals for one true value: how many hold it, their widths, the estimates."""

    truth: float
    held: int = 0
    draws: int = 0
    width: float = 0.0
    values: tuple[float, ...] = ()

    def add(self, estimate: Estimate) -> None:
        """Count an interval."""
        self.held += estimate.ci_low <= self.truth <= estimate.ci_high
        self.draws += 1
        self.width += estimate.ci_high - estimate.ci_low
        self.values += (estimate.value,)

    @property
    def coverage(self) -> float:
        """The share of the intervals that hold the truth."""
        return self.held / self.draws

    @property
    def width_to_oracle(self) -> float:
        """The mean width over that of an interval which knows the variance."""
        return self.width / self.draws / (2 * Z * float(np.std(self.values)))


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("bench.coverage", description=__doc__, formatter_class=layout)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "coverage.md")
    args = parser.parse_args()
    rows = []
    for row in table(args.draws):
        print(row, flush=True)
        rows.append(row)
    text = page(pd.DataFrame(rows, columns=COLUMNS), args.draws, all_effects()["measured"])
    args.out.write_text(text)


def measured_effects() -> Effects:
    """Chains that differ as much as the 20 of each setting of docs/study, else `moderate`.

    The variance over simulated chains is that of the images plus a constant times the square of
    the chains' effect, so two simulations give the effect whose variance is the measured one.
    """
    study = pd.read_csv(STUDY)
    scores = study[study["stage"] == "finetune"].groupby("run")["test"]
    groups = simulation.test_groups("newworld")  # of the study
    expected = np.full(scores.ngroups, scores.mean().mean())

    def variance(effect: float) -> float:
        effects = Effects(pretraining=effect, finetuning=effect)
        return float(np.mean([
            simulation.correct_images(groups, expected, effects, rng).mean(-1).var(1, ddof=1).mean()
            for rng in simulation.repeated(1000, seed=2)
        ]))  # fmt: skip

    least, unit = variance(0), 0.1
    slope = (variance(unit) - least) / unit**2
    effect = round(float(np.sqrt(max(0.0, scores.var().mean() - least) / slope)), 3)
    return Effects(pretraining=effect, finetuning=effect)


@cache
def all_effects() -> dict[str, Effects]:
    """What moves the simulated predictions, by the name that the page gives it."""
    return EFFECTS | {"measured": measured_effects()}


def table(draws: int) -> Iterator[list[object]]:
    """The rows: an accuracy and a difference of two, mIoU and a difference, for each dataset."""
    every = all_effects()
    for name in ACCURACY_SETS:
        groups = simulation.test_groups(name)
        for title, effects in every.items():
            head = [name, len(groups), groups.max() + 1, title]
            score, old_score, gap, old_gap, families = accuracies(groups, effects, draws)
            yield [*head, "accuracy", old_score.coverage, *_new(score), None]
            yield [*head, "difference", old_gap.coverage, *_new(gap), families]
    for name in MIOU_SETS:
        groups = simulation.test_groups(name)
        head = [name, len(groups), groups.max() + 1, "moderate"]
        for statistic, count in mious(simulation.class_pixels(name), draws).items():
            yield [*head, statistic, None, *_new(count), None]


def _new(count: Count) -> list[float]:
    return [count.coverage, count.width_to_oracle]


def accuracies(
    groups: NDArray[np.int64], effects: Effects, draws: int
) -> tuple[Count, Count, Count, Count, float]:
    """Accuracy and difference, each new and old, and the share of families with a false verdict.

    old: images count as independent, and one pretraining stands behind all seeds of a run.
    """
    score, old_score, gap, old_gap = Count(SCORE), Count(SCORE), Count(0.0), Count(0.0)
    wrong = 0
    for rng in simulation.repeated(draws):
        expected = np.full(RUNS, SCORE)
        runs = seed_scores(simulation.correct_images(groups, expected, effects, rng), groups)
        score.add(runs[0].estimate())
        gap.add((runs[0] - runs[1]).estimate())
        pairs = [(a - b).estimate().p() for i, a in enumerate(runs) for b in runs[:i]]
        wrong += bool((holm(pairs) < 0.05).any())
        images = simulation.correct_images(groups, expected[:2], effects, rng, 3, True)
        old = seed_scores(images, np.arange(len(groups)))
        old_score.add(old[0].estimate())
        old_gap.add((old[0] - old[1]).estimate())
    return score, old_score, gap, old_gap, wrong / draws


def seed_scores(correct: NDArray[np.bool_], groups: NDArray[np.int64]) -> list[SeedScores]:
    """The accuracies of each run of (runs, seeds, images)."""
    return [over_seeds([accuracy(seed) for seed in run], groups) for run in correct]


def mious(pixels: NDArray[np.float64], draws: int) -> dict[str, Count]:
    """The mIoU of a run, and the difference of two equal ones."""
    effects, ids = Effects(), list(range(pixels.shape[1]))
    population = [
        simulation.confusion_matrices(pixels, effects, rng)[0, 0]
        for rng in simulation.repeated(1000, seed=1)
    ]
    counts = {"mIoU": Count(miou(np.concatenate(population), ids).value), "difference": Count(0.0)}
    for rng in simulation.repeated(draws):
        matrices = simulation.confusion_matrices(pixels, effects, rng)
        one, other = (
            over_seeds([miou(seed, ids) for seed in run], np.arange(len(pixels)))
            for run in matrices
        )
        counts["mIoU"].add(one.estimate())
        counts["difference"].add((one - other).estimate())
    return counts


def page(frame: pd.DataFrame, draws: int, measured: Effects) -> str:
    """The text of docs/coverage.md."""
    shown = frame.copy()
    for column in COLUMNS[5:]:
        digits = ".2f" if column == "width / oracle" else ".1%"
        shown[column] = ["-" if pd.isna(v) else format(v, digits) for v in frame[column]]
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in shown.to_numpy().tolist()]
    heading = "| " + " | ".join(COLUMNS) + " |\n|" + "---|" * 5 + "---:|" * (len(COLUMNS) - 5)
    table = "\n".join([heading, *lines])
    return PAGE.format(draws=draws, table=table, measured=measured.pretraining)


PAGE = """# How often the intervals hold the truth

`python -m bench.coverage --draws {draws}` writes this page (`make coverage`: 2,000 draws a row),
with three seeds a run. The simulated predictions (tests/support/simulation.py) have the groups of
the test splits of `earth` with their real sizes and, for label maps, their real classes; the true
scores are known. An interval of 95 % should hold the true score in 95 % of the draws.

- *images independent*: the share that held it when images counted as independent and all seeds of a
  run started from one pretraining.
- *groups and chains*: the share with the intervals of this project, over groups and over seeds with
  a pretraining each.
- *width / oracle*: their mean width over that of an interval that knows the true variance.
- *families*: the share of families of five equal runs in which any of the ten differences was
  significant after Holm's correction; it should be at most 5 %.

The effects are standard deviations of the variable that decides whether an image is right, whose
noise has 1. *measured*: {measured} for a pretraining and for a fine-tuning, with which simulated
chains on the images of `newworld` differ as much as the 20 chains of each setting in
[the study](study/README.md). *moderate* has 0.06, *chains differ more* 0.12: there a difference of
three chains a side is called significant too often (on `climate` also with the measured effects, if
five runs are compared), and its interval is a third wider than necessary.

An mIoU with a class in effectively fewer than four groups gets no interval in the tables: the rows
of such datasets show why.

{table}
"""


if __name__ == "__main__":
    main()
