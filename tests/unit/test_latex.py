"""Tables and numbers for LaTeX."""

import re
from pathlib import Path

import pytest

from reprise.evaluation.evaluate import evaluate
from reprise.evaluation.latex import Variables, command, escape
from reprise.params.load import Params


def test_a_command_has_letters_only() -> None:
    assert command("finetune_earth", "B", "accuracy") == "FinetuneEarthBAccuracy"
    assert command("fcn8s_noskip_3") == "FcnEightSNoskipThree"


def test_other_names_that_give_the_same_command_have_a_number_and_are_named() -> None:
    variables = Variables()
    for names in (["a_b", "c"], ["a", "b_c"], ["A", "B", "C"], ["d"]):
        variables.add(names, "1.0")
    assert variables.lines == [
        r"\newcommand{\ABC}{1.0}",
        r"\newcommand{\ABCTwo}{1.0}  % a b_c",
        r"\newcommand{\ABCThree}{1.0}  % A B C",
        r"\newcommand{\D}{1.0}",
    ]


def test_what_is_special_in_latex_is_escaped() -> None:
    assert escape(r"a_b & 95 % {x} \y") == r"a\_b \& 95 \% \{x\} \textbackslash{}y"
    assert escape("<3>") == r"\textless{}3\textgreater{}"


@pytest.fixture(scope="module")
def files(evaluated_results: Path, params: Params) -> dict[str, str]:
    return evaluate(evaluated_results, params).latex


def test_every_headline_number_has_a_command_of_its_value(
    files: dict[str, str], evaluated_results: Path, params: Params
) -> None:
    text = files["variables.tex"]
    defined = dict(re.findall(r"^\\newcommand\{\\([A-Za-z]+)\}\{(-?[\d.]+)\}$", text, re.M))
    lines = [line for line in text.splitlines() if line and not line.startswith("%")]
    assert len(defined) == len(lines) > 20  # no name twice
    frame = evaluate(evaluated_results, params).tables["finetune_tiny"].frame
    for row in frame.to_dict("records"):
        name = command("finetune_tiny", row["run"], "accuracy")
        assert defined[name] == f"{row['test_accuracy']:.4f}"


def test_tables_are_of_booktabs_and_complete(files: dict[str, str], params: Params) -> None:
    text = files["tables.tex"]
    for word in ("toprule", "midrule", "bottomrule", "end{table}"):
        assert text.count(f"\\{word}") == text.count("\\begin{table}") >= 6
    assert text.count(r"\label{tab:finetune_tiny}") == 1 == text.count(r"\label{tab:answers}")


def test_the_warning_of_a_preset_is_in_both(evaluated_results: Path, params: Params) -> None:
    warned = params.model_copy(update={"warning": "It means nothing."})
    for text in evaluate(evaluated_results, warned).latex.values():
        assert "% It means nothing." in text
