"""Two results as one page: what differs in parameters, questions, numbers and figures.

The template is workflow/compare/compare.html.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from reprise.compare import (
    ABSENT,
    COLUMNS,
    NOTE,
    Side,
    changed_parameters,
    counts_sentence,
    differences,
    machine_line,
    only_in,
    read_results,
)
from reprise.csv_io import read_csv
from reprise.errors import RepriseError
from reprise.evaluation.questions import how_sure
from reprise.figures import METHODS
from reprise.params.reader import parse_yaml, read_text
from reprise.report.html import COMPARE, FOLDER, PNG, TEMPLATES, ResultsReader, scripts
from reprise.report.sections import KEYS

QUESTIONS = ["question", "answer", "number", "certainty", "why"]
FIRST = "comparisons"  # the figure that is open
WRITTEN = re.compile(r'<script type="application/json" id="parameters">(.*?)</script>', re.DOTALL)


def page(a: Side, b: Side) -> str:
    """The page as HTML that needs no other file.

    Raises RepriseError where a side has no numbers, or a file of its own is wrong.
    """
    if not COMPARE.is_dir():
        raise RepriseError(f"{COMPARE}: not found; the page needs the folder of the project")
    one, two = read_results(a.results), read_results(b.results)
    table = differences(one, two)
    rows = table.to_numpy().tolist()
    of_a, of_b = parameters_of(a), parameters_of(b)
    figures = list(pairs_of_figures(a, b))
    equal = [name for name, sides in figures if not sides]
    return TEMPLATES.get_template("compare.html").render(
        a=a,
        b=b,
        machines=[machine_line(side.machine) for side in (one, two)],
        summary=counts_sentence(one, two, table),
        warnings=list(dict.fromkeys(v["warning"] for v in (of_a, of_b) if v and v.get("warning"))),
        only=only_in(one, two, a.name, b.name),
        unknown=" and ".join(s.name for s, v in ((a, of_a), (b, of_b)) if v is None),
        parameters=list(changed_parameters(of_a or {}, of_b or {})),
        questions=questions_of_both(a.results, b.results),
        columns=[name[0].upper() + name[1:] for name in COLUMNS],
        left=[True, *[False] * 4, True, True],
        numbers=rows,
        beyond=[row for row in rows if row[-1] == "no"],
        about=" ".join(NOTE.split()),
        same=f"The same in both: {', '.join(equal)}." if equal else "",
        figures=[{"name": name, "sides": sides} for name, sides in figures if sides],
        style=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
        script=scripts(),
    )


def parameters_of(side: Side) -> dict[str, Any] | None:
    """The values of params.yaml that results were made of; None where they are not known.

    They are those of a revision, or what report.html in a folder of results has kept.
    """
    if side.params:
        values = parse_yaml(read_text(side.params), f"{side.name}: params.yaml")
        return {key: values[key] for key in KEYS if key in values}
    try:
        written = WRITTEN.search((side.results / "report.html").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    kept: dict[str, Any] = json.loads(written[1]) if written else {}
    return kept or None


def questions_of_both(a: Path, b: Path) -> list[list[str]]:
    """A row for each question of either side: what both answer, and how sure they are."""
    sides = []
    for folder in (a, b):
        path = folder / "tables" / "answers.csv"
        rows = read_csv(path, QUESTIONS, QUESTIONS).to_dict("records") if path.is_file() else []
        sides.append({row["question"]: _answer(row) for row in rows})
    questions = dict.fromkeys([*sides[0], *sides[1]])
    nothing = [ABSENT, ABSENT]
    return [[q, *sides[0].get(q, nothing), *sides[1].get(q, nothing)] for q in questions]


def _answer(row: Mapping[Any, Any]) -> list[str]:
    number = "" if row["number"] == ABSENT else f": {row['number']}"
    return [f"{row['answer']}{number}", how_sure(row)]


def pairs_of_figures(a: Side, b: Side) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Each figure of either side by name, with what the page shows of both; [] if they are equal.

    Figures of differences come first.
    """
    names = {path.stem for side in (a, b) for path in (side.results / "figures").glob("*.png")}
    ordered = sorted(names, key=lambda name: (name != FIRST, name))
    readers = [ResultsReader(side.results, 2 * len(names)) for side in (a, b)]
    for name in ordered:
        files = [side.results / "figures" / f"{name}.png" for side in (a, b)]
        contents = [file.read_bytes() if file.is_file() else None for file in files]
        if contents[0] == contents[1]:
            yield name, []
            continue
        is_image = name.startswith(PNG) or name.split("_")[0] in METHODS
        sides = []
        for side, reader in zip((a, b), readers, strict=True):
            shown: dict[str, Any] = {"name": side.name, "drawn": not is_image, "source": ""}
            try:
                shown["source"], shown["size"] = reader.embedded(name, is_image)
            except FileNotFoundError:
                shown["why"] = "Not drawn here, or not in DVC's cache."
            sides.append(shown)
        yield name, sides
