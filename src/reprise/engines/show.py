"""Results without a run of an engine: the tables in the terminal, or the report of what exists.

An engine stops before a table with a missing number. `rebuild_report` runs the scripts that need no
training one after the other, and continues after one that missed a file; each names what it missed.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pandas as pd
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reprise.atomic_io import delete, files_in, read_json
from reprise.cli import run
from reprise.compare import machine_line
from reprise.csv_io import read_csv
from reprise.datasets.prepared import read_prepared
from reprise.engines.baseline import machine_note
from reprise.engines.snakemake_hooks import mark_outdated
from reprise.errors import RepriseError
from reprise.evaluation.markdown import MARK, REST
from reprise.evaluation.questions import FIRST, SIGNIFICANT
from reprise.figures import figures
from reprise.jobs import Job, tasks
from reprise.params.load import Params, load_params
from reprise.report.html_tables import cells, headline_columns

RESULTS = Path("results")
TEXTS = ["question", "answer", "number", "certainty", "why"]
REPORT = RESULTS / "report.html"
STAMPED = Path("logs/report.html")  # see reprise.engines.stamp
PREVIOUS = Path(".snakemake/page")  # the files of the last report, until there is a new one
# what is made from the outputs of the jobs
DERIVED = ["tables/[!.]*", "figures/[!.]*", "vector/[!.]*", "latex/[!.]*"]
DERIVED += ["metrics.json", "intervals.json"]
DERIVED += ["checksums.csv", "report.html"]


def main() -> None:
    """Print the tables of results/; or rebuild the report; or stamp a copy of it.

    page: the report of the files that exist, with what is missing marked. stamped: logs/report.html
    with commit, date and times.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("what", nargs="?", choices=["tables", "page", "stamped"], default="tables")
    what, params = parser.parse_args().what, load_params()
    if what == "page":
        rebuild_report(params)
    elif what == "stamped":
        from reprise.engines.stamp import write_stamped  # here: Matplotlib takes a second to import

        write_stamped(RESULTS, params)
    else:
        print_tables(RESULTS, params, Console(highlight=False), machine_note())


def print_tables(results: Path, params: Params, console: Console, note: str = "") -> None:
    """Print the main columns of every training task's table, and the questions at the end.

    Columns are aligned, with color if `console` is a terminal; `note` is printed before the
    questions. Raises RepriseError if a table is missing.
    """
    for stage, task, _ in tasks(params, "finetune", "classify", "segment", "pretrain"):
        name = f"{stage}_{task}"
        console.print(Text(f"{stage} {task}", style="bold"))
        for block in _blocks(results / "tables" / f"{name}.md"):
            if block.startswith("|"):
                table, width = _table(block, name)
                console.print(table, width=max(width, console.width), crop=False)
            elif block.startswith(MARK):
                console.print(Padding(Text(block, style="red"), (0, 0, 0, 2)))
        console.print()
    path = results / "tables" / "answers.csv"
    questions = read_csv(path, ["question", "certainty", "difference", "low", "high"], TEXTS)
    if params.warning:
        console.print(Text(params.warning, style="bold red"), soft_wrap=True)
    if note:
        console.print(Text(note, style="yellow"), soft_wrap=True)
    console.print(Text(f"Trained on: {_machine(results)}", style="dim"), soft_wrap=True)
    if len(questions):
        console.print(_questions(questions.head(FIRST)))
    stamped = f"; with commit, date and times: {STAMPED}" if STAMPED.is_file() else ""
    console.print(f"The report with everything: {results / 'report.html'}{stamped}", soft_wrap=True)


def _blocks(path: Path) -> list[str]:
    if not path.is_file():
        raise RepriseError(f"{path}: not found; run `make run` first")
    return path.read_text(encoding="utf-8").strip().split("\n\n")


def _machine(results: Path) -> str:
    """What the networks were trained on and with."""
    return machine_line(read_json(results / "intervals.json").get("machine", {}))


def _questions(rows: pd.DataFrame) -> Table:
    """The first questions, each on a line of at most 100 letters if there is room."""
    table = Table(box=None, pad_edge=False, header_style="cyan")
    table.add_column("Question")
    for heading in ("Answer", "Points, 95 % CI", "How sure"):
        table.add_column(heading, no_wrap=True)
    for row in rows.astype(object).fillna("").to_dict("records"):
        number = "-"
        if row["difference"] != "":
            value, low, high = (100 * row[name] for name in ("difference", "low", "high"))
            number = f"{value:+.1f} ({low:.1f} to {high:.1f})"
        style = "green" if row["certainty"] == SIGNIFICANT else ""
        values = [row["question"], row["answer"], number, row["certainty"]]
        table.add_row(*(Text(str(cell), style=style) for cell in values))
    return table


def _table(block: str, name: str) -> tuple[Table, int]:
    """The main columns of a markdown table, aligned as there; and the width that cuts no cell."""
    lines = [cells(line) for line in block.splitlines()]
    few = headline_columns(name, lines[0])
    heading, rule, *rows = [[line[place] for place in few] for line in lines]
    table = Table(box=None, pad_edge=False, header_style="cyan")
    total = 0
    for title, align, column in zip(heading, rule, zip(*rows, strict=True), strict=True):
        side: Literal["right", "left"] = "right" if align.endswith(":") else "left"
        width = max(cell_len(word) for word in [*column, *title.split()])
        table.add_column(Text(title), justify=side, min_width=width)
        total += width + 2
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: a name in brackets is not markup
    return table, total


def rebuild_report(params: Params) -> None:
    """Write the report. Raises RepriseError if something is missing in it, or a dataset is.

    The files of the report before stay if there is none in the end.
    """
    for name in dict.fromkeys(task.data for _, _, task in tasks(params)):
        read_prepared(RESULTS / "prepare" / name)
    put_back()  # what a killed call has left
    # what cannot be made again must not remain as if it were of these results
    for path in derived_files():
        kept = PREVIOUS / path.relative_to(RESULTS)
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, kept)
    try:
        is_complete = run_steps(params)
        is_written = REPORT.exists()
    finally:
        if not REPORT.exists():
            for path in derived_files():
                path.unlink()
            put_back()
        delete(PREVIOUS)
    if not is_written:
        raise RepriseError(f"{REPORT}: could not be written, nothing is changed; see above")
    if not is_complete:
        # both engines make it all again: an incomplete table does not pass for a finished one
        mark_outdated([str(path) for path in derived_files()])
        what = "is incomplete; it marks what is missing; see the lines above"
        raise RepriseError(f"{REPORT}: {what}")
    print(f"reprise: {REPORT}: complete")


def put_back() -> None:
    """Move the files of the last report to where they were, unless there are new ones."""
    for path in list(files_in([PREVIOUS])):
        target = RESULTS / path.relative_to(PREVIOUS)
        if not target.exists():
            shutil.move(path, target)


def run_steps(params: Params) -> bool:
    """Run the scripts; whether none failed. Each reason is printed once."""
    reasons: set[str] = set()
    for words in steps(params):
        for reason in (line.partition(REST)[0] for line in errors(*words)):
            if reason not in reasons:
                print(reason, file=sys.stderr)
            reasons.add(reason)
    return not reasons


def derived_files() -> list[Path]:
    """Every file of an earlier report: tables, figures, checksums, metrics, and the page itself."""
    return [path for pattern in DERIVED for path in sorted(RESULTS.glob(pattern))]


def steps(params: Params) -> Iterator[list[str]]:
    """The scripts with their arguments, each after those whose files it reads."""
    yield ["model_summary"]
    yield ["evaluate"]
    yield ["checksums", "--out", str(RESULTS / "checksums.csv")]
    for name, embed in params.embed.items():
        job = Job(embed.stage, embed.task, embed.run, embed.seed)
        features = job.folder(RESULTS) / "features.safetensors"
        for method in embed.methods:
            out = RESULTS / "embed" / name / f"{method}.csv"
            if is_outdated(out, features):
                words = ["--name", name, "--method", method]
                yield ["embed", *words, "--features", str(features), "--out", str(out)]
    yield ["plot", "--figures", *figures(params)]
    yield ["report", "--out", str(REPORT)]


def is_outdated(out: Path, features: Path) -> bool:
    """Whether coordinates are missing, or older than their features."""
    made = [path.stat().st_mtime for path in (out, out.with_suffix(".layout.csv")) if path.exists()]
    return len(made) < 2 or (features.exists() and features.stat().st_mtime > min(made))


def errors(name: str, *words: str) -> list[str]:
    """Run a script of the workflow; the lines that it printed if it failed."""
    command = [sys.executable, f"workflow/scripts/{name}.py", *words]
    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if not ended.returncode:
        return []
    return ended.stderr.splitlines() or [f"{name}: ended with exit status {ended.returncode}"]


if __name__ == "__main__":
    run(main)
