"""The page of the study says what the rows of its tables say."""

import pandas as pd
import pytest

from bench import study


@pytest.fixture
def tables_and_facts():
    return study.read(study.STUDY)


def set_pair(tables, a, b, **values):
    frame = tables["comparisons"]
    for name, value in values.items():
        frame.loc[(frame["a"] == a) & (frame["b"] == b), name] = value


def test_the_committed_page_is_what_its_tables_say(tables_and_facts):
    assert study.page(*tables_and_facts) == (study.STUDY / "README.md").read_text()


def test_a_changed_row_changes_its_sentence_and_the_answer(tables_and_facts):
    tables, facts = tables_and_facts
    for pair in (("C", "B"), ("E", "D")):
        set_pair(
            tables, *pair, difference=0.071, ci_low=0.05, ci_high=0.09, p_holm=0.002,
            significant=True,
        )  # fmt: skip
    text = study.page(tables, facts)
    of_question = text.partition("## Is BYOL better")[2].partition("##")[0]
    assert "**Yes**, in both comparisons." in of_question
    assert (
        "- C is 7.1 points above B (95 % CI [5.0, 9.0], p = 0.002 after Holm's correction)."
        in of_question
    )
    set_pair(tables, "E", "D", difference=-0.01, ci_low=-0.03, ci_high=0.01, significant=False)
    of_question = study.page(tables, facts).partition("## Is BYOL better")[2].partition("##")[0]
    assert "**It depends.** C against B: yes; E against D: not shown." in of_question
    assert "- E was 1.0 points below D, which is not significant" in of_question


def test_where_nothing_is_shown_the_answer_is_a_bound(tables_and_facts):
    tables, facts = tables_and_facts
    for pair in (("D", "B"), ("E", "C")):
        set_pair(
            tables, *pair, difference=-0.01, ci_low=-0.034, ci_high=0.014, p_holm=0.5,
            significant=False,
        )  # fmt: skip
    of_question = study.page(tables, facts).partition("## Does freezing")[2].partition("##")[0]
    assert "**No difference above 3.4 points**, and none is shown." in of_question


def test_freezing_that_lowers_the_accuracy_hurts(tables_and_facts):
    tables, facts = tables_and_facts
    for pair in (("D", "B"), ("E", "C")):
        set_pair(
            tables, *pair, difference=-0.05, ci_low=-0.07, ci_high=-0.03, p_holm=0.001,
            significant=True,
        )  # fmt: skip
    of_question = study.page(tables, facts).partition("## Does freezing")[2].partition("##")[0]
    assert "**Yes**, in both comparisons." in of_question


def test_each_chain_is_counted_once(tables_and_facts):
    seeds = tables_and_facts[0]["seeds"]
    assert isinstance(seeds, pd.DataFrame)
    chains = seeds[seeds["stage"] == "finetune"].groupby("run")["seed"].nunique()
    assert chains.to_dict() == dict.fromkeys("ABCDE", 20)
