"""What each run costs next to its score, and which runs are Pareto-optimal.

From the tables of the stages evaluate (seeds) and model_summary (layers).
"""

from pathlib import Path

import pandas as pd

from reprise.csv_io import read_csv
from reprise.evaluation.markdown import groups

KEYS = ["stage", "task", "run"]
COSTS = [*KEYS, "output", "metric", "score", "lowest", "highest", "parameters", "multiply_adds"]
COSTS += ["pareto_optimal"]


FAMILY = ["stage", "task", "output"]  # runs with the same classes


def read_costs(results: Path) -> pd.DataFrame:
    """COSTS, one row for each run with a test score, in the order of tables/seeds.csv.

    score, lowest and highest: the mean, smallest and largest test score of the seeds, 0..1.
    multiply_adds: of one image through the whole network. output: its size, such as 7 x 128 x 128;
    runs with other classes are not compared. pareto_optimal: see `pareto_optimal`.

    Raises RepriseError when one of the two tables is missing or wrong.
    """
    seeds = read_csv(results / "tables" / "seeds.csv", [*KEYS, "metric", "test"], KEYS)
    numbers = ["parameters", "multiply_adds"]
    layers = read_csv(results / "tables" / "layers.csv", [*KEYS, *numbers, "output"], KEYS)
    if seeds.empty:
        return pd.DataFrame(columns=COSTS)
    scores = seeds.groupby([*KEYS, "metric"], sort=False)["test"].agg(["mean", "min", "max"])
    scores = scores.rename(columns={"mean": "score", "min": "lowest", "max": "highest"})
    networks = layers.groupby(KEYS, sort=False)
    sums = networks[numbers].sum().join(networks["output"].last())
    frame = scores.reset_index().merge(sums.reset_index(), "left", KEYS)
    frame["output"] = frame["output"].fillna("")
    parts = [pareto_optimal(r["multiply_adds"], r["score"]) for _, r in groups(frame, *FAMILY)]
    return frame.assign(pareto_optimal=pd.concat(parts))[COSTS]


def pareto_optimal(costs: pd.Series, scores: pd.Series) -> pd.Series:
    """Whether no other run costs at most as much and has at least the score, (runs,) bool.

    One of both must be better, so that equal runs do not rule each other out. A run whose cost is
    NaN is dominated.
    """
    results = []
    for cost, score in zip(costs, scores, strict=True):
        rules_out = (costs <= cost) & (scores >= score) & ((costs < cost) | (scores > score))
        results.append(not pd.isna(cost) and not rules_out.any())
    return pd.Series(results, costs.index, dtype=bool)
