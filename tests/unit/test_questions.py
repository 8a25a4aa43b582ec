"""The table of questions: from comparisons to a few words, a number and how sure it is."""

from math import nan
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reprise.errors import RepriseError
from reprise.evaluation.evaluate import evaluate
from reprise.evaluation.markdown import MARK
from reprise.evaluation.questions import (
    CERTAINTIES,
    COLUMNS,
    NO_VERDICT,
    NOT_SIGNIFICANT,
    SIGNIFICANT,
    questions_table,
)
from reprise.params.base import Comparison, TrainingTask, validate
from reprise.params.load import Params

PAIR = {
    "stage": "classify", "task": "baseline", "a": "big", "b": "cnn", "difference": 0.0312,
    "groups_low": -0.02, "groups_high": 0.08, "ci_low": 0.004, "ci_high": 0.0584, "images": 90,
    "groups": 9, "seeds": 3, "no_verdict": "", "significant": True,
}  # fmt: skip


def runs(**above: bool) -> pd.DataFrame:
    """The two runs of a task, and whether each is above the constant prediction."""
    rows = [
        {"stage": "classify", "task": "baseline", "run": run, "test_accuracy": 0.5,
         "above_constant": above.get(run, True)}
        for run in ("cnn", "big")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def asking(params: Params, question: str | None = "Is bigger better?") -> Params:
    """One task with one comparison."""
    pair = Comparison(runs=("big", "cnn"), question=question)
    task = params.classify["baseline"].model_copy(update={"comparisons": [pair]})
    names = ["pretrain", "finetune", "segment"]
    return params.model_copy(update={"classify": {"baseline": task}, **dict.fromkeys(names, {})})


def row(params: Params, **values: Any) -> dict[Any, Any]:
    pairs = pd.DataFrame([PAIR | values])
    (found,) = questions_table(runs(), pairs, asking(params)).frame.to_dict("records")
    return found


def test_a_question_has_an_answer_a_number_and_a_certainty(params: Params) -> None:
    found = row(params)
    assert list(found) == COLUMNS
    assert found["question"] == "Is bigger better?" and found["answer"] == "big is better"
    assert found["number"] == "big - cnn: +3.1 points (0.4 to 5.8)"
    assert found["certainty"] == SIGNIFICANT


@pytest.mark.parametrize(
    ("values", "answer", "certainty", "why"),
    [
        ({"difference": -0.02, "ci_low": -0.1, "ci_high": -0.01}, "cnn is better", SIGNIFICANT, ""),
        ({"significant": False}, "cannot tell", NOT_SIGNIFICANT, ""),
        (
            {"significant": False, "no_verdict": "one training each: a difference of two networks"},
            "cannot tell", NO_VERDICT, "one training each",
        ),
    ],
)  # fmt: skip
def test_a_changed_comparison_changes_the_words(
    params: Params, values: dict[str, Any], answer: str, certainty: str, why: str
) -> None:
    found = row(params, **values)
    assert (found["answer"], found["certainty"], found["why"]) == (answer, certainty, why)


def test_with_one_seed_the_interval_is_that_over_images(params: Params) -> None:
    assert row(params, ci_low=nan, ci_high=nan)["number"].endswith("(-2.0 to 8.0)")


def test_what_is_not_above_the_constant_prediction_is_not_compared(params: Params) -> None:
    none = pd.DataFrame(columns=list(PAIR))
    table = questions_table(runs(cnn=False), none, asking(params))
    (found,) = table.frame.to_dict("records")
    assert found["answer"] == "not compared" and found["certainty"] == NO_VERDICT
    assert found["why"] == "cnn not significantly above the constant prediction"
    assert found["number"] == "-"


def test_questions_with_words_come_first_and_others_name_the_runs(
    evaluated_results: Path, params: Params
) -> None:
    frame = evaluate(evaluated_results, params).tables["answers"].frame
    texts = frame["question"].tolist()
    assert texts[:2] == ["Does supervised pretraining help?", "Does BYOL pretraining help?"]
    assert texts[2:4] == ["C or B? (tiny)", "E or D? (tiny)"]
    assert set(frame["certainty"]) <= set(CERTAINTIES)


def test_the_warning_of_a_preset_is_above_the_table(params: Params) -> None:
    warned = asking(params).model_copy(update={"warning": "It means nothing."})
    assert questions_table(runs(), pd.DataFrame([PAIR]), warned).markdown.startswith("**It means")
    assert MARK not in questions_table(runs(), pd.DataFrame([PAIR]), warned).markdown


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([{"runs": ["x", "y"], "question": ""}], "question"),
        ([{"runs": ["x", "y"], "why": "z"}], "unknown key 'why'"),
        ([{"question": "Which?"}], "runs"),
        ([["x", "y"], {"runs": ["x", "y"], "question": "Which?"}], "given twice"),
    ],
)
def test_a_wrong_comparison_is_named(pairs: list[Any], message: str) -> None:
    class Small(TrainingTask):
        recipes: dict[str, int] = {"x": 1, "y": 2}

    values = {"data": "d", "runs": ["x", "y"], "seeds": [0], "comparisons": pairs}
    with pytest.raises(RepriseError, match=message):
        validate(Small, values, "params.yaml")
