"""The headline numbers for a paper: tables in the style of booktabs, and a command for each number.

A paper that uses them has `\\usepackage{booktabs}` and `\\input{variables}` in its preamble.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from reprise.evaluation.markdown import Table
from reprise.evaluation.questions import how_sure

# columns of a headline table by what its frame has: the score, its name
SCORES = {"test_accuracy": "Accuracy", "test_miou": "mIoU", "knn_accuracy": "kNN accuracy"}
DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
ESCAPES = {character: f"\\{character}" for character in "&%$#_{}"}
ESCAPES |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
ESCAPES |= {"<": r"\textless{}", ">": r"\textgreater{}"}
HEAD = "% Written by the stage evaluate; do not edit.\n"


def latex_files(
    tables: Mapping[str, Table], tasks: Sequence[str], warning: str | None
) -> dict[str, str]:
    """The texts of tables.tex and variables.tex, by name.

    `tasks` are the names of the tables with a row for each run; `warning` is that of params.yaml.
    """
    head = HEAD + (f"% {warning}\n" if warning else "")
    blocks = [_questions(tables["answers"].frame)]
    variables = Variables()
    for name in tasks:
        frame = tables[name].frame
        score = next((column for column in SCORES if column in frame), None)
        if score is None or frame.empty:
            continue
        blocks.append(_headline(name, frame, score))
        _variables(variables, name, frame, score)
    for row in tables["answers"].frame.to_dict("records"):
        names = [row["stage"], row["task"], row["a"], "minus", row["b"]]
        if not pd.isna(row["difference"]):
            variables.add(names, f"{100 * row['difference']:.1f}")
    return {
        "tables.tex": "\n".join([head, *filter(None, blocks)]),
        "variables.tex": "\n".join([head, *variables.lines]) + "\n",
    }


def command(*names: str) -> str:
    """A name of a LaTeX command, which has letters only, from names of params.yaml."""
    words = re.findall(r"[A-Za-z]+|[0-9]", " ".join(names))
    return "".join(DIGITS[int(w)] if w.isdigit() else w[0].upper() + w[1:] for w in words)


def escape(text: object) -> str:
    """Text as LaTeX."""
    return "".join(ESCAPES.get(character, character) for character in str(text))


class Variables:
    """The commands of variables.tex, one a line, each with another name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._taken: set[str] = set()

    def add(self, names: Sequence[str], value: str) -> None:
        """A command for a value; where other names gave the same command, with a number."""
        plain = named = command(*names)
        number = 1
        while named in self._taken:
            number += 1
            named = plain + command(str(number))
        self._taken.add(named)
        whose = "" if named == plain else f"  % {' '.join(names)}"
        self.lines.append(f"\\newcommand{{\\{named}}}{{{value}}}{whose}")


def _variables(variables: Variables, name: str, frame: pd.DataFrame, score: str) -> None:
    for row in frame.to_dict("records"):
        for column in (score, f"{score}_sd", f"{score}_ci_low", f"{score}_ci_high"):
            if not pd.isna(row.get(column)):
                names = [name, row["run"], column.removeprefix("test_")]
                variables.add(names, f"{row[column]:.4f}")


def _table(label: str, caption: str, columns: str, rows: Sequence[Sequence[Any]]) -> str:
    """A floating table; the first row is its head."""
    head, *body = [" & ".join(map(escape, row)) + r" \\" for row in rows]
    lines = [
        r"\begin{table}",
        r"  \centering",
        f"  \\begin{{tabular}}{{{columns}}}",
        r"    \toprule",
    ]
    lines += [f"    {head}", r"    \midrule", *(f"    {line}" for line in body)]
    lines += [r"    \bottomrule", r"  \end{tabular}", f"  \\caption{{{escape(caption)}}}"]
    return "\n".join([*lines, f"  \\label{{tab:{label}}}", r"\end{table}", ""])


def _headline(name: str, frame: pd.DataFrame, score: str) -> str:
    rows: list[list[Any]] = [["Run", SCORES[score], "95 % CI", "Seeds"]]
    for row in frame.to_dict("records"):
        low, high = (row.get(f"{score}_ci_{end}") for end in ("low", "high"))
        interval = "-" if pd.isna(low) else f"{low:.3f} to {high:.3f}"
        rows.append([row["run"], f"{row[score]:.4f}", interval, row["seeds"]])
    caption = f"{name.replace('_', ' ')}: {SCORES[score]}; interval over images and seeds."
    return _table(name, caption, "lrrr", rows)


def _questions(frame: pd.DataFrame) -> str:
    if frame.empty:
        return ""
    rows: list[list[Any]] = [["Question", "Answer", "Difference", "How sure"]]
    rows += [
        [row["question"], row["answer"], row["number"], how_sure(row)]
        for row in frame.to_dict("records")
    ]
    return _table("answers", "Questions; 95 % CI of the difference.", "llll", rows)
