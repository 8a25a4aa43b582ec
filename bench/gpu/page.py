"""The page of a run of `bench/gpu_check.sh`: the same results give the same bytes."""

from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

Values = dict[str, Any]
COUNTED = ("passed", "failed", "error", "skipped")
GOAL = 0.4  # of the measured matrix rate, for the steps that have one


def page(found: Values) -> str:
    """The whole page, Markdown."""
    parts = found["parts"]
    machine = parts.get("environment", {}).get("values", {})
    warning = "A try with tiny sizes: the numbers mean nothing.\n\n" if found.get("tiny") else ""
    rates = parts.get("rates", {}).get("values", {})
    sections = [f"# Benchmarks: {found.get('device', 'unknown')}\n\n{warning}{about(machine)}"]
    sections.append(ended(parts))
    for name, section in SECTIONS.items():
        values = parts.get(name, {}).get("values", {})
        if section is None:
            sections += [all_steps(parts, rates)] if rows_of(parts) else []
        elif values:
            sections.append(f"## {parts[name]['title']}\n\n{section(values)}")
    return "\n".join(sections)


def about(machine: Values) -> str:
    """What it was measured on."""
    words = [f"{key.replace('_', ' ')} {value}" for key, value in machine.items()]
    return f"`bench/gpu_check.sh` wrote this page. {'; '.join(words)}.\n"


def ended(parts: Values) -> str:
    """How each part ended."""
    lines = [
        [entry["title"], entry.get("status", "-"), number(entry.get("seconds"))]
        for entry in parts.values()
    ]
    return "## Parts\n\n" + table(["part", "ended", "s"], lines)


def tests(values: Values) -> str:
    """How many tests passed, and the names of those that did not."""
    counts = ", ".join(f"{values.get(key, 0)} {key}" for key in COUNTED)
    wrong = "".join(f"- {name}\n" for name in values.get("not_passed", []))
    return f"{counts}.\n" + (f"\n{wrong}" if wrong else "")


def rate_table(values: Values) -> str:
    """The device's own rates."""
    lines = [
        [f"product of two square {name} matrices, TFLOP/s", number(rate)]
        for name, rate in values.get("matrix_tflops", {}).items()
    ]
    copy = number(values.get("copy_gb_per_second"))
    lines.append(["copy in the device's memory, GB/s read and written", copy])
    return table(["what", "rate"], lines)


def rows_of(parts: Values) -> list[Values]:
    """The steps that were timed, of all parts."""
    return [row for entry in parts.values() for row in entry["values"].get("rows", [])]


def step_line(row: Values, rates: Values) -> list[Any]:
    """One step: its speed, and the share of the matrix rate that it reaches."""
    speeds, rate = row["images_per_second"], rates.get("matrix_tflops", {}).get(row["dtype"])
    tflops = median(speeds) * row["gflop_per_image"] / 1e3
    return [
        row["title"], row["batch"], row["dtype"], number(median(speeds)),
        f"{number(min(speeds))} to {number(max(speeds))}", number(row["gflop_per_image"]),
        number(tflops), f"{tflops / rate:.1%}" if rate else "-",
        f"{GOAL:.0%}" if row["goal"] else "-", number(row["peak_gib"]),
    ]  # fmt: skip


def all_steps(parts: Values, rates: Values) -> str:
    """One line for each kind of step, and where the time of some goes."""
    lines = [step_line(row, rates) for row in rows_of(parts)]
    profiles = [
        profile(entry["title"], entry["values"]["profile"])
        for entry in parts.values()
        if "profile" in entry["values"]
    ]
    columns = ["step", "batch", "dtype", "images/s", "least to most", "GFLOP/image", "TFLOP/s"]
    columns += ["share of the matrix rate", "goal", "peak GiB"]
    note = (
        "GFLOP are those of products and convolutions, forward and backward; the share is of the "
        "matrix rate of the same dtype.\n"
    )
    return "\n".join(["## Steps of training\n", table(columns, lines), note, *profiles])


def profile(title: str, found: Values) -> str:
    """What the device does in a step."""
    lines = [[name, number(ms), f"{share:.1%}"] for name, ms, share in found["operations"]]
    return (
        f"### {title}: where the time goes\n\n"
        f"The device computes in {found['busy']:.0%} of the time of a step.\n\n"
        + table(["operation", "ms a step", "share"], lines)
    )


def share_table(values: Values) -> str:
    """What augmentation takes of a step."""
    lines = [
        [name, one["batch"], number(one["step_ms"]), number(one["without_ms"]),
         number(one["batches_ms"]), f"{1 - one['without_ms'] / one['step_ms']:.1%}"]
        for name, one in values.items()
    ]  # fmt: skip
    columns = ["step", "batch", "ms", "ms with one batch for all", "ms of the batches alone"]
    return table([*columns, "share of augmentation"], lines)


def bytes_table(values: Values) -> str:
    """Whether trainings end in the same bytes."""
    said = {True: "yes", False: "**no**", None: "-"}
    lines = [
        [name, said[one.get("two_runs")], said[one.get("killed")], one.get("went_on", "-")]
        for name, one in values.items()
    ]
    return table(["training", "two runs", "killed and resumed", "went on at step"], lines)


def moved_table(values: Values) -> str:
    """How far the numbers of a training move."""
    lines = [
        [name, metric, *(number(value) for value in row)]
        for name, one in values.items()
        for metric, row in one.items()
    ]
    columns = ["training", "last epoch", "processor, float32", "GPU, float32", "GPU, auto"]
    note = "\n`weights`: the norm of the difference to the processor's, over the norm of those.\n"
    return table(columns, lines) + note


SECTIONS: dict[str, Callable[[Values], str] | None] = {  # in the order of the page
    "tests": tests,
    "rates": rate_table,
    "steps": None,
    "augmentation": share_table,
    "bytes": bytes_table,
    "moved": moved_table,
}


def number(value: float | None) -> str:
    """Three digits; '-' for none."""
    return "-" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def table(columns: list[str], lines: Iterable[list[Any]]) -> str:
    """A Markdown table."""
    rows = [columns, ["---"] * len(columns), *lines]
    return "".join("| " + " | ".join(str(cell) for cell in row) + " |\n" for row in rows)
