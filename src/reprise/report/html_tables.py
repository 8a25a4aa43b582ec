"""The tables of results/tables/*.md as HTML: a few columns first, all of them on a click."""

import re
from collections.abc import Sequence
from typing import Protocol

from markupsafe import Markup

CI = "95 % CI (images + seeds)"
MOST_COLUMNS = 6  # that a reader meets first
# of a table with more, by the start of its name: the headings of these columns
HEADLINES = {
    "pretrain_": ("Run", "Method", "Weights", "kNN accuracy, untrained network", "kNN accuracy",
                  "Seeds"),
    "finetune_": ("Run", "Pretraining", "Fine-tuning", "Test accuracy", CI, "Seeds"),
    "classify_": ("Run", "Weights", "Test accuracy", CI, "k/n", "Seeds"),
    "segment_": ("Run", "Weights", "Test mIoU", CI, "Pixel accuracy", "Seeds"),
    "comparisons": ("Comparison", "Difference (points)", CI, "p (Holm)", "Significant",
                    "Seeds needed"),
    "published_numbers": ("Run", "Metric", "Published", "Ours", CI, "Our data"),
    "networks": ("Run", "Model", "Input", "Output", "Parameters", "Multiply-adds (M)"),
}  # fmt: skip


class Macros(Protocol):
    """Makes HTML of a macro of workflow/report/macros.html."""

    def __call__(self, name: str, *values: object) -> Markup: ...


def markdown(blocks: Sequence[str], name: str, macro: Macros) -> list[Markup]:
    """The blocks of a tables/*.md as HTML: headings of level 3, tables and paragraphs only.

    The paragraphs below a table are folded.
    """
    html, table = [], name
    last = max((i for i, block in enumerate(blocks) if block.startswith("| ")), default=len(blocks))
    notes = [block.strip("*") for block in blocks[last + 1 :]]
    for block in blocks[: last + 1]:
        if block.startswith("### "):
            name = block.removeprefix("### ")
            html.append(macro("heading", name))
        elif block.startswith("| "):
            headings, rule, *rows = [cells(line) for line in block.split("\n")]
            left = [not align.endswith(":") for align in rule]
            few = headline_columns(table, headings)
            if len(few) < len(headings):
                main_rows = [[row[place] for place in few] for row in (headings, *rows)]
                html.append(
                    macro("table", main_rows[0], main_rows[1:], name, [left[p] for p in few])
                )
                html.append(macro("all_columns", headings, rows, name, left))
            else:
                html.append(macro("table", headings, rows, name, left))
        else:
            html.append(macro("note", block.strip("*")))
    return [*html, macro("notes", notes)] if notes else html


def headline_columns(table: str, headings: Sequence[str]) -> list[int]:
    """The places of the columns that a reader meets first: at most MOST_COLUMNS."""
    if len(headings) <= MOST_COLUMNS:
        return list(range(len(headings)))
    for start, names in HEADLINES.items():
        if table.startswith(start):
            return [headings.index(name) for name in names if name in headings]
    return list(range(MOST_COLUMNS))


def cells(line: str) -> list[str]:
    r"""Cells of one line of a markdown table, with `\|` and `\\` unescaped."""
    inner = re.split(r"(?<!\\)((?:\\\\)*)\|", line.strip())
    # the split keeps the backslash pairs before each bar: they belong to the cell before it
    joined = [a + b for a, b in zip(inner[::2], [*inner[1::2], ""], strict=True)]
    return [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in joined[1:-1]]
