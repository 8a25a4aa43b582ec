"""Promises of the pairs: what is compared, and the sentences that are made from the numbers."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reprise.evaluation.compare import compare, exact_tests, sentence
from reprise.evaluation.evaluate import evaluate
from reprise.evaluation.resampling import measure_accuracy
from reprise.evaluation.significance import holm, mcnemar
from reprise.params import Params

ONE_SEED = {"low_both": math.nan, "high_both": math.nan, "sd_seeds": math.nan, "seeds": 1,
            "seeds_needed": math.nan, "times_needed": math.nan}  # fmt: skip


def row(**values: Any) -> dict[str, Any]:
    """A pair as in tables/pairs.csv; what is not given is that of an open one."""
    given = {
        "second": "C", "first": "B", "difference": 0.031, "low_both": -0.008, "high_both": 0.07,
        "low_images": -0.004, "high_images": 0.066, "sd_seeds": 0.01, "images": 458, "seeds": 3,
        "p": 0.11, "shown": False, "images_needed": 1234.0, "seeds_needed": math.nan,
        "times_needed": 2.0,
    }  # fmt: skip
    return given | values


def test_the_sentence_is_made_from_the_numbers() -> None:
    assert sentence(row(), 10) == (
        "C above B by 3.1 points, interval -0.8 to 7.0: not shown by these data. If the true "
        "difference is this one, about 1200 images or 2 times as many images and seeds would show "
        "it."
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"shown": True, "p": 0.001},
            "C above B by 3.1 points, interval -0.8 to 7.0: shown by these data with all 10 pairs "
            "counted.",
        ),
        (
            {"difference": -0.01, "p": 0.02, "seeds_needed": 7.0, "images_needed": math.nan},
            "C below B by 1.0 point, interval -0.8 to 7.0: not shown by these data with all 10 "
            "pairs counted, though alone it would be. If the true difference is this one, about 7 "
            "seeds on these 458 images or 2 times as many images and seeds would show it.",
        ),
        (
            {"difference": 0.0, "images_needed": math.nan, "times_needed": math.nan},
            "C level with B, interval -0.8 to 7.0: not shown by these data.",
        ),
        (
            ONE_SEED,
            "C above B by 3.1 points, interval -0.4 to 6.6 (images alone): not shown by these "
            "data. If the true difference is this one, about 1200 images would show it.",
        ),
        (
            ONE_SEED | {"shown": True},
            "C above B by 3.1 points, interval -0.4 to 6.6 (images alone): shown by these data "
            "with all 10 pairs counted, of these two networks (one seed each).",
        ),
    ],
)
def test_the_sentence_says_what_is_shown_and_what_is_not(values: dict[str, Any], said: str) -> None:
    assert sentence(row(**values), 10) == said


def answers(*shares: float, seeds: int = 3, images: int = 400) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    hard = rng.random(images)
    return {
        name: hard + rng.normal(0, 0.1, (seeds, images)) < share
        for name, share in zip("ABCDE", shares, strict=False)
    }


def compared(right: dict[str, np.ndarray]) -> pd.DataFrame:
    scores = measure_accuracy({(name,): one for name, one in right.items()})
    return compare("finetune", "x", {key[0]: one for key, one in scores.items()}, right)


def test_every_pair_is_compared_once_and_corrected_together() -> None:
    frame = compared(answers(0.5, 0.52, 0.6, 0.7, 0.7))
    assert len(frame) == 10 and (frame["second"] > frame["first"]).all()
    assert frame["p_holm"].tolist() == holm(frame["p"].tolist()).tolist()
    assert (frame["shown"] == (frame["p_holm"] < 0.05)).all()
    far = frame.set_index(["second", "first"])
    assert far.loc[("D", "A"), "shown"] and not far.loc[("E", "D"), "shown"]
    assert frame.loc[frame["shown"], "images_needed"].isna().all()


def test_swapping_the_settings_swaps_the_sign_and_nothing_else() -> None:
    right = answers(0.5, 0.6)
    one = compared(right).iloc[0]
    two = compared({"A": right["B"], "B": right["A"]}).iloc[0]
    assert one["difference"] == -two["difference"] > 0
    assert (one["low_both"], one["high_both"]) == pytest.approx(
        (-two["high_both"], -two["low_both"])
    )
    assert one["p"] == pytest.approx(two["p"])


def test_with_one_seed_the_test_is_mcnemars_and_no_interval_is_over_seeds() -> None:
    right = answers(0.5, 0.6, seeds=1)
    found = compared(right).iloc[0]
    lost = int((right["A"] & ~right["B"]).sum())
    won = int((right["B"] & ~right["A"]).sum())
    assert found["test"] == "McNemar" and found["p"] == mcnemar(won, lost)
    assert math.isnan(found["low_both"]) and math.isnan(found["sd_seeds"])
    assert "one seed each" in found["said"] or not found["shown"]


def test_mcnemars_test_is_made_for_each_seed_alone() -> None:
    right = answers(0.5, 0.6, seeds=2)
    frame = exact_tests("finetune", "x", [4, 7], right)
    assert frame["seed"].tolist() == [4, 7]
    for seed, one in enumerate(frame.to_dict("records")):
        assert one["second_only"] == (right["B"][seed] & ~right["A"][seed]).sum()
        assert one["p"] == mcnemar(one["second_only"], one["first_only"])


def test_runs_with_other_classes_are_not_compared(results: Path, params: Params) -> None:
    _, tables = evaluate(results, params)
    assert "street" not in set(tables["pairs"].frame["part"])  # as they are, and merged


def test_the_metrics_name_part_run_and_pair(results: Path, params: Params) -> None:
    metrics, tables = evaluate(results, params)
    assert set(metrics["pairs"]) == {"finetune", "classify"}
    assert len(metrics["pairs"]["finetune"]["tiny"]) == 10
    frame = tables["pairs"].frame
    own = frame[(frame["part"] == "classify")].iloc[0]
    assert metrics["pairs"]["classify"]["big-cnn"]["difference"] == round(own["difference"], 6)
    assert "low_both" not in metrics["pairs"]["classify"]["big-cnn"]


def test_the_order_of_the_rows_of_a_prediction_changes_nothing(
    results: Path, params: Params
) -> None:
    before = evaluate(results, params)[1]["pairs"].text
    path = results / "finetune/tiny/B/1/predictions.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    assert evaluate(results, params)[1]["pairs"].text == before
