"""Markdown tables for readers."""

import pandas as pd

from reprise.evaluation.markdown import Column, document, interval, number, table, text


def test_a_bar_in_a_name_does_not_break_the_table() -> None:
    lines = table(pd.DataFrame({"run": ["a|b\\"]}), [Column("Run", text("run"))])
    assert lines == "| Run |\n|---|\n| a\\|b\\\\ |\n"


def test_a_missing_number_is_a_dash() -> None:
    frame = pd.DataFrame({"x": [0.25, None], "x_low": [-0.05, None], "x_high": [0.5, None]})
    lines = table(frame, [Column("X", number("x")), Column("CI", interval("x", ".1f", 100))])
    assert lines.splitlines()[2:] == ["| 0.2500 | -5.0 to 50.0 |", "| - | - |"]


def test_blocks_are_separated_by_a_blank_line_and_empty_ones_left_out() -> None:
    assert document("a\n", "", "b") == "a\n\nb\n"
