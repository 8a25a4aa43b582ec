"""docs/benchmarks.md from logs/bench.json: the same values give the same bytes.

python -m bench.report writes the page again without measuring.
"""

from statistics import median
from typing import Any

from bench.measure import ROOT
from bench.rows import ROWS

INTRO = """# Benchmarks

`make bench` measured this: both sides of a row in one run, taking turns (ours, peer, ours, peer,
...), with the same model, batch, image size and number of views. A ratio is that of the medians,
above 1 where Reprise is faster; beside it the least and the largest ratio of two neighbouring
repetitions. `n` counts the repetitions of each side. All raw values are in `logs/bench.json`;
`bench/` holds both sides of every row.
"""


def page(found: dict[str, Any]) -> str:
    """The whole page, Markdown."""
    names = [name for name in ROWS if name in found["rows"]]
    names += sorted(found["rows"].keys() - names)
    rows = [found["rows"][name] for name in names]
    parts = [INTRO, machine(found["machine"]), goals(rows), misses(rows), both_sides(rows)]
    parts += tables(rows)
    parts.append("## On a GPU\n\n[benchmarks-gpu.md](benchmarks-gpu.md), by `make bench-gpu`.\n")
    return "\n".join(part for part in parts if part)


def machine(values: dict[str, Any]) -> str:
    """What it was measured on."""
    flags = [name for name, there in values["flags"].items() if there]
    rates = values["matrix_gflops"]
    versions = ", ".join(f"{name} {number}" for name, number in values["versions"].items())
    return (
        "## Machine\n\n"
        f"{values['processor']} ({values['family']}), {values['cores']} cores, "
        f"{values['memory_gib']} GiB, {' '.join(flags)}; {values['threads']} torch threads.\n"
        f"Python {values['python']}, {versions}.\n\n"
        f"A product of 2048 x 2048 matrices ran at {rates['float32']:.0f} GFLOP/s in float32 and "
        f"{rates['bfloat16']:.0f} in bfloat16, {rates['bfloat16'] / rates['float32']:.2f} times as "
        "fast: what precision alone can give where arithmetic is all.\n"
    )


def ratios(row: dict[str, Any], comparison: dict[str, Any]) -> tuple[float, float, float]:
    """Ratio of the medians, and the least and the largest of neighbouring repetitions."""
    ours, peer = (row["sides"][comparison[key]]["values"] for key in ("ours", "peer"))
    more_is_better = row["unit"] != "s"

    def ratio(mine: float, theirs: float) -> float:
        return mine / theirs if more_is_better else theirs / mine

    pairs = [ratio(*pair) for pair in zip(ours, peer, strict=False)]
    return ratio(median(ours), median(peer)), min(pairs), max(pairs)


def reached(row: dict[str, Any], comparison: dict[str, Any]) -> str:
    """yes, no, or - where there is no goal."""
    if comparison["goal"] is None:
        return "-"
    return "yes" if ratios(row, comparison)[0] >= comparison["goal"] else "**no**"


def goals(rows: list[dict[str, Any]]) -> str:
    """One line a comparison."""
    columns = ["What", "Against", "Ours", "Theirs", "Ratio", "Range", "n", "Goal", "Met"]
    lines = []
    for row in rows:
        for one in row["comparisons"]:
            ours, peer = (row["sides"][one[key]]["values"] for key in ("ours", "peer"))
            middle, low, high = ratios(row, one)
            count = f"{len(ours)}" if len(ours) == len(peer) else f"{len(ours)}, {len(peer)}"
            against = f"{one['title']} ({one['peer']})"
            numbers = [value(median(ours), row["unit"]), value(median(peer), row["unit"])]
            goal = "-" if one["goal"] is None else f"{one['goal']:g}"
            numbers += [f"{middle:.2f}", f"{low:.2f} to {high:.2f}", count, goal]
            lines.append([row["title"], against, *numbers, reached(row, one)])
    return "## Ratios\n\n" + markdown(columns, lines)


def misses(rows: list[dict[str, Any]]) -> str:
    """A sentence that names what was not reached, and promises that do not hold."""
    missed = [
        f"{row['title']}, {said(row, one)}"
        for row in rows
        for one in row["comparisons"]
        if reached(row, one) == "**no**"
    ]
    missed += [failure for row in rows for failure in row["failures"]]
    if not missed:
        return "Every goal is met.\n"
    return "Not reached:\n\n" + "\n".join(f"- {line}" for line in missed) + "\n"


def said(row: dict[str, Any], one: dict[str, Any]) -> str:
    """A comparison in a line."""
    goal = "no goal" if one["goal"] is None else f"goal {one['goal']:g}"
    return f"{one['title']} ({one['peer']}): {ratios(row, one)[0]:.2f}, {goal}"


def both_sides(rows: list[dict[str, Any]]) -> str:
    """What each side of each row did."""
    text = "## What the sides did\n"
    for row in rows:
        if row["sides"]:
            text += f"\n**{row['title']}.** {' '.join(row['notes'])}\n\n"
            text += "".join(f"- `{name}`: {side['what']}\n" for name, side in row["sides"].items())
    return text


def tables(rows: list[dict[str, Any]]) -> list[str]:
    """Numbers without a peer; tables of one title become one."""
    merged: dict[str, dict[str, Any]] = {}
    for row in rows:
        for table in row["tables"]:
            known = merged.setdefault(table["title"], {"columns": table["columns"], "rows": []})
            known["rows"] += table["rows"]
    return [
        f"## {title}\n\n{markdown(table['columns'], table['rows'])}"
        for title, table in merged.items()
    ]


def value(number: float, unit: str) -> str:
    """Three digits and the unit."""
    digits = 0 if number >= 100 else 1 if number >= 10 else 2 if number >= 1 else 3
    return f"{number:.{digits}f} {unit}"


def markdown(columns: list[str], lines: list[list[Any]]) -> str:
    """A table."""
    text = [columns, ["---"] * len(columns), *lines]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in text)


def brief(row: dict[str, Any]) -> str:
    """A row for the terminal."""
    lines = [said(row, one) for one in row["comparisons"]]
    lines += [" ".join(map(str, line)) for table in row["tables"] for line in table["rows"]]
    lines += [f"FAILED: {failure}" for failure in row["failures"]]
    return "\n".join(f"  {line}" for line in lines)


if __name__ == "__main__":
    from reprise.files import read_json, write_text

    write_text(ROOT / "docs" / "benchmarks.md", page(read_json(ROOT / "logs" / "bench.json")))
