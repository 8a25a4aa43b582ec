"""Which runs are compared, and the sentences that are made from the numbers."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reprise.datasets.prepared import Classes
from reprise.evaluation.comparisons import (
    FEW,
    ONE_GROUP,
    SHARED,
    compare,
    compare_family,
    sentence,
)
from reprise.evaluation.evaluate import evaluate
from reprise.evaluation.scores import ClassCounts, accuracy
from reprise.evaluation.statistics import holm, sign_flip
from reprise.evaluation.summaries import constant_sentences, over_seeds
from reprise.params.load import Params

ONE_SEED = {"ci_low": math.nan, "ci_high": math.nan, "seeds_sd": math.nan, "seeds": 1,
            "seeds_needed": math.nan, "no_verdict": FEW[1]}  # fmt: skip


def row(**values: Any) -> dict[str, Any]:
    """A comparison as in tables/comparisons.csv; by default one that is not significant."""
    default = {
        "a": "C", "b": "B", "difference": 0.031, "ci_low": -0.008, "ci_high": 0.07,
        "groups_low": -0.004, "groups_high": 0.066, "seeds_sd": 0.01, "images": 458, "seeds": 3,
        "p": 0.11, "significant": False, "seeds_needed": 106.0, "no_verdict": "",
    }  # fmt: skip
    return default | values


def test_the_sentence_is_made_from_the_numbers() -> None:
    assert sentence(row(), 10) == (
        "C - B: +3.1 points, 95 % CI [-0.8, 7.0]; not significant. At this effect size about 110 "
        "seeds would be needed."
    )


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {"significant": True, "p": 0.001, "seeds_needed": math.nan},
            "C - B: +3.1 points, 95 % CI [-0.8, 7.0]; significant after Holm's correction for 10 "
            "comparisons.",
        ),
        (
            {"difference": -0.01, "p": 0.02, "seeds_needed": 7.0},
            "C - B: -1.0 point, 95 % CI [-0.8, 7.0]; not significant after Holm's correction for "
            "10 comparisons (significant without it). At this effect size about 7 seeds would be "
            "needed.",
        ),
        (
            {"difference": -0.0001, "seeds_needed": math.nan},
            "C - B: +0.0 points, 95 % CI [-0.8, 7.0]; not significant.",
        ),
        (
            ONE_SEED,
            "C - B: +3.1 points, 95 % CI [-0.4, 6.6] (images only); one training each: a "
            "difference of two networks, not of two methods.",
        ),
        (
            {"no_verdict": SHARED, "seeds_needed": math.nan},
            "C - B: +3.1 points, 95 % CI [-0.8, 7.0]; of one pretraining: no verdict on the "
            "methods of pretraining.",
        ),
    ],
)
def test_the_sentence_says_what_is_significant_and_what_is_not(
    values: dict[str, Any], text: str
) -> None:
    assert sentence(row(**values), 10) == text


def predictions(*shares: float, seeds: int = 3, images: int = 400) -> dict[str, np.ndarray]:
    """Run -> (seeds, images), which images each seed gets right: this share of them."""
    rng = np.random.default_rng(0)
    hard = rng.random(images)
    return {
        name: hard + rng.normal(0, 0.1, (seeds, images)) < share
        for name, share in zip("ABCDE", shares, strict=False)
    }


def run(name: str, correct: np.ndarray, seeds: tuple[int, ...]) -> dict[str, Any]:
    """A row of `summarize`."""
    classes, empty = Classes(("a", "b"), (), None), np.zeros((2, 2), np.int64)
    groups = np.arange(correct.shape[1]) // 4
    constant = np.zeros(correct.shape[1], bool)
    counts = [ClassCounts(classes, 0.5, empty, seed, groups, constant) for seed in correct]
    scores = {"accuracy": over_seeds([accuracy(seed) for seed in correct], groups)}
    whose = {"stage": "finetune", "task": "tiny", "run": name, "seed_list": seeds}
    whose["above_constant"] = True
    return whose | {"counts": counts, "scores": scores}


def compared(
    correct: dict[str, np.ndarray], named: tuple[tuple[str, str], ...] = ()
) -> pd.DataFrame:
    runs = [run(name, values, tuple(range(len(values)))) for name, values in correct.items()]
    return compare_family("accuracy", runs, named)


def test_every_pair_is_compared_once_and_corrected_together() -> None:
    frame = compared(predictions(0.5, 0.52, 0.6, 0.7, 0.7))
    assert len(frame) == 10 and (frame["a"] > frame["b"]).all()
    assert frame["p_holm"].tolist() == holm(frame["p"].tolist()).tolist()
    assert (frame["significant"] == (frame["p_holm"] < 0.05)).all()
    pairs = frame.set_index(["a", "b"])
    assert pairs.loc[("D", "A"), "significant"] and not pairs.loc[("E", "D"), "significant"]
    assert frame.loc[frame["significant"], "seeds_needed"].isna().all()


def test_swapping_the_runs_swaps_the_sign_and_nothing_else() -> None:
    correct = predictions(0.5, 0.6)
    one = compared(correct).iloc[0]
    two = compared({"A": correct["B"], "B": correct["A"]}).iloc[0]
    assert one["difference"] == -two["difference"] > 0
    assert (one["ci_low"], one["ci_high"]) == pytest.approx((-two["ci_high"], -two["ci_low"]))
    assert one["p"] == pytest.approx(two["p"])


def test_a_named_pair_has_the_order_in_which_it_is_named() -> None:
    correct = predictions(0.5, 0.6, 0.7)
    default = compared(correct).set_index(["a", "b"])
    frame = compared(correct, (("A", "B"), ("C", "B"))).set_index(["a", "b"])
    assert frame["named"].to_dict() == {("A", "B"): True, ("C", "A"): False, ("C", "B"): True}
    assert frame.loc[("A", "B"), "difference"] == -default.loc[("B", "A"), "difference"]


def test_with_one_seed_groups_are_flipped_and_there_is_no_verdict() -> None:
    correct = predictions(0.3, 0.8, seeds=1)
    pair = compared(correct).iloc[0]
    by_group = (correct["B"].astype(int) - correct["A"]).reshape(-1, 4).sum(axis=1)
    assert pair["test"] == "sign flip" and pair["p"] == sign_flip(by_group) < 0.001
    assert math.isnan(pair["ci_low"]) and math.isnan(pair["seeds_sd"])
    assert not pair["significant"] and "difference of two networks" in pair["summary"]


@pytest.mark.parametrize(("seeds", "verdict"), [(2, FEW[2]), (3, "")])
def test_a_verdict_takes_three_seeds_on_each_side(seeds: int, verdict: str) -> None:
    pair = compared(predictions(0.3, 0.8, seeds=seeds)).iloc[0]
    assert pair["p_holm"] < 0.05
    assert (pair["no_verdict"], pair["significant"]) == (verdict, verdict == "")
    assert ("significant" in pair["summary"]) == (verdict == "")


def test_one_group_of_images_gives_no_interval_and_no_verdict(params: Params) -> None:
    one_group = np.zeros(400, np.int64)
    runs = [run(name, c, (0, 1, 2)) for name, c in predictions(0.3, 0.8).items()]
    for each in runs:
        seeds = [accuracy(counts.correct) for counts in each["counts"]]
        each["scores"] = {"accuracy": over_seeds(seeds, one_group)}
    pair = compare(pd.DataFrame(runs), params).iloc[0]
    assert pair["no_verdict"] == ONE_GROUP and not pair["significant"]
    assert math.isnan(pair["ci_low"]) and math.isnan(pair["p"])
    assert pair["summary"].endswith(f" points; {ONE_GROUP}.")


def test_runs_of_one_shared_pretraining_get_no_verdict() -> None:
    correct = predictions(0.3, 0.8)
    runs = [run(name, values, (0, 1, 2)) for name, values in correct.items()]
    pair = compare_family("accuracy", runs, [], ["B"]).iloc[0]
    assert pair["no_verdict"] == SHARED and not pair["significant"]
    assert "of one pretraining" in pair["summary"]


def test_a_run_that_is_not_above_the_constant_prediction_is_not_compared(params: Params) -> None:
    runs = [run(name, c, (0, 1, 2)) for name, c in predictions(0.3, 0.5, 0.8).items()]
    runs[0]["above_constant"] = False
    frame = compare(pd.DataFrame(runs), params)
    assert frame[["a", "b"]].to_numpy().tolist() == [["C", "B"]]
    table = pd.DataFrame([runs[0] | {"test_accuracy": 0.3, "constant": 0.29}])
    (words,) = constant_sentences(table)
    assert words.startswith("A (0.300) is not significantly above the constant prediction")


def test_the_seeds_needed_are_those_at_holms_level() -> None:
    frame = compared(predictions(0.5, 0.51, 0.52, 0.53, 0.535))
    alone = compared(predictions(0.5, 0.51)).iloc[0]
    pair = frame.set_index(["a", "b"]).loc[("B", "A")]
    assert pair["difference"] == alone["difference"] and not alone["significant"]
    assert not pair["seeds_needed"] < alone["seeds_needed"]


def test_a_run_that_lacks_a_seed_is_not_compared(params: Params) -> None:
    correct = predictions(0.5, 0.6, 0.7)
    runs = [run(name, values, (0, 1, 2)) for name, values in correct.items()]
    runs[1] = run("B", correct["B"][:2], (0, 2))
    frame = compare(pd.DataFrame(runs), params)
    assert frame[["a", "b"]].to_numpy().tolist() == [["C", "A"]]


def test_runs_with_other_classes_are_not_compared(evaluated_results: Path, params: Params) -> None:
    frame = evaluate(evaluated_results, params).tables["comparisons"].frame
    assert "skips" not in set(frame["task"])  # original and merged classes


def test_an_ensemble_is_compared_with_its_best_epoch_alone(
    evaluated_results: Path, params: Params
) -> None:
    frame = evaluate(evaluated_results, params).tables["comparisons"].frame
    best = "big (best epoch)"
    rows = frame[(frame["a"] == best) | (frame["b"] == best)]
    assert rows[["a", "b", "named"]].to_numpy().tolist() == [["big", best, True]]
    assert rows["p_holm"].item() == rows["p"].item()  # a family of its own
    path = evaluated_results / "classify/baseline/big/0/predictions.csv"
    table = pd.read_csv(path)
    table = table[table["split"] == "test"]
    shares = [
        (table[name] == table["label"]).mean() for name in ("prediction", "best_epoch_prediction")
    ]
    assert rows["difference"].item() == pytest.approx(shares[0] - shares[1])
    assert rows["groups_low"].item() <= rows["difference"].item() <= rows["groups_high"].item()


def test_without_an_ensemble_no_best_epoch_is_scored(
    evaluated_results: Path, params: Params
) -> None:
    task = params.classify["baseline"]
    single = task.recipes["big"].model_copy(update={"ensemble_epochs": 1})
    task = task.model_copy(update={"recipes": task.recipes | {"big": single}})
    changed = params.model_copy(update={"classify": params.classify | {"baseline": task}})
    tables = evaluate(evaluated_results, changed).tables
    assert tables["classify_baseline"].frame["run"].tolist() == ["cnn", "big"]
    assert "best epoch" not in tables["comparisons"].markdown


def test_the_order_of_the_rows_of_a_prediction_changes_nothing(
    evaluated: Path, params: Params
) -> None:
    before = evaluate(evaluated, params).tables["comparisons"].markdown
    path = evaluated / "finetune/tiny/B/1/predictions.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    assert evaluate(evaluated, params).tables["comparisons"].markdown == before
