"""docs/benchmarks.md from logs/bench.json: the same values give the same bytes.

python -m bench.report writes the page again without measuring.
"""

from statistics import median
from typing import Any

from bench.measure import ROOT
from bench.registry import ROWS

INTRO = """# Benchmarks

`make bench` measured this: both sides of a row in one run, taking turns (ours, peer, ours, peer,
...), with the same model, batch, image size and number of views. A ratio is that of the medians,
above 1 where Reprise is faster; the range is that of the ratios of neighbouring repetitions. `n`
counts the repetitions of each side. All raw values are in `logs/bench.json`; `bench/` contains both
sides of every row.
"""


def page(result: dict[str, Any]) -> str:
    """The whole page, Markdown."""
    names = [name for name in ROWS if name in result["rows"]]
    names += sorted(result["rows"].keys() - names)
    rows = [result["rows"][name] for name in names]
    parts = [INTRO, machine(result["machine"]), goals(rows), misses(rows), both_sides(rows)]
    parts += tables(rows)
    parts.append("## On a GPU\n\n`make bench-gpu` writes [benchmarks-gpu.md](benchmarks-gpu.md).\n")
    return "\n".join(part for part in parts if part)


def machine(values: dict[str, Any]) -> str:
    """The machine and the versions."""
    flags = [name for name, present in values["flags"].items() if present]
    rates = values["matrix_gflops"]
    versions = ", ".join(f"{name} {number}" for name, number in values["versions"].items())
    return (
        "## Machine\n\n"
        f"{values['cpu']} ({values['family']}), {values['cores']} cores, "
        f"{values['memory_gib']} GiB, {' '.join(flags)}; {values['threads']} torch threads.\n"
        f"Python {values['python']}, {versions}.\n\n"
        f"A product of 2048 x 2048 matrices ran at {rates['float32']:.0f} GFLOP/s in float32 and "
        f"{rates['bfloat16']:.0f} in bfloat16, {rates['bfloat16'] / rates['float32']:.2f} times as "
        "fast: the gain of precision alone where arithmetic is all of the time.\n"
    )


def ratios(row: dict[str, Any], comparison: dict[str, Any]) -> tuple[float, float, float]:
    """Ratio of the medians, and the smallest and largest of neighbouring repetitions."""
    ours, peer = (row["sides"][comparison[key]]["values"] for key in ("ours", "peer"))
    more_is_better = row["unit"] != "s"

    def ratio(mine: float, theirs: float) -> float:
        return mine / theirs if more_is_better else theirs / mine

    pairs = [ratio(*pair) for pair in zip(ours, peer, strict=False)]
    return ratio(median(ours), median(peer)), min(pairs), max(pairs)


def reached(row: dict[str, Any], comparison: dict[str, Any]) -> str:
    """yes, no, or - without a goal."""
    if comparison["goal"] is None:
        return "-"
    return "yes" if ratios(row, comparison)[0] >= comparison["goal"] else "**no**"


def goals(rows: list[dict[str, Any]]) -> str:
    """One line a comparison."""
    columns = ["What", "Against", "Ours", "Theirs", "Ratio", "Range", "n", "Goal", "Met"]
    lines = []
    for row in rows:
        for comparison in row["comparisons"]:
            ours, peer = (row["sides"][comparison[key]]["values"] for key in ("ours", "peer"))
            ratio, low, high = ratios(row, comparison)
            count = f"{len(ours)}" if len(ours) == len(peer) else f"{len(ours)}, {len(peer)}"
            against = f"{comparison['title']} ({comparison['peer']})"
            numbers = [value(median(ours), row["unit"]), value(median(peer), row["unit"])]
            goal = "-" if comparison["goal"] is None else f"{comparison['goal']:g}"
            numbers += [f"{ratio:.2f}", f"{low:.2f} to {high:.2f}", count, goal]
            lines.append([row["title"], against, *numbers, reached(row, comparison)])
    return "## Ratios\n\n" + markdown(columns, lines)


def misses(rows: list[dict[str, Any]]) -> str:
    """The goals that were not reached, and guarantees that do not hold."""
    missed = [
        f"{row['title']}, {sentence(row, comparison)}"
        for row in rows
        for comparison in row["comparisons"]
        if reached(row, comparison) == "**no**"
    ]
    missed += [failure for row in rows for failure in row["failures"]]
    if not missed:
        return "Every goal is met.\n"
    return "Not reached:\n\n" + "\n".join(f"- {line}" for line in missed) + "\n"


def sentence(row: dict[str, Any], comparison: dict[str, Any]) -> str:
    """A comparison in a line."""
    goal = "no goal" if comparison["goal"] is None else f"goal {comparison['goal']:g}"
    ratio = ratios(row, comparison)[0]
    return f"{comparison['title']} ({comparison['peer']}): {ratio:.2f}, {goal}"


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
    lines = [sentence(row, comparison) for comparison in row["comparisons"]]
    lines += [" ".join(map(str, line)) for table in row["tables"] for line in table["rows"]]
    lines += [f"FAILED: {failure}" for failure in row["failures"]]
    return "\n".join(f"  {line}" for line in lines)


if __name__ == "__main__":
    from reprise.atomic_io import read_json, write_text

    write_text(ROOT / "docs" / "benchmarks.md", page(read_json(ROOT / "logs" / "bench.json")))
