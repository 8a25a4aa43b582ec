"""The page of a run of `bench/gpu_check.sh`: the same results give the same bytes."""

from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

Values = dict[str, Any]
OUTCOMES = ("passed", "failed", "error", "skipped")
GOAL = 0.4  # of the measured matrix rate, for the steps that have a goal


def page(result: Values) -> str:
    """The whole page, Markdown."""
    parts = result["parts"]
    machine = parts.get("environment", {}).get("values", {})
    warning = "A trial with tiny sizes and meaningless numbers.\n\n" if result.get("tiny") else ""
    rates = parts.get("rates", {}).get("values", {})
    sections = [f"# Benchmarks: {result.get('device', 'unknown')}\n\n{warning}{about(machine)}"]
    sections.append(statuses(parts))
    for name, section in SECTIONS.items():
        values = parts.get(name, {}).get("values", {})
        if section is None:
            sections += [all_steps(parts, rates)] if step_rows(parts) else []
        elif values:
            sections.append(f"## {parts[name]['title']}\n\n{section(values)}")
    return "\n".join(sections)


def about(machine: Values) -> str:
    """The machine and the versions."""
    words = [f"{key.replace('_', ' ')} {value}" for key, value in machine.items()]
    return f"`bench/gpu_check.sh` wrote this page. {'; '.join(words)}.\n"


def statuses(parts: Values) -> str:
    """How each part ended."""
    lines = [
        [entry["title"], entry.get("status", "-"), number(entry.get("seconds"))]
        for entry in parts.values()
    ]
    return "## Parts\n\n" + table(["part", "status", "s"], lines)


def tests(values: Values) -> str:
    """How many tests passed, and the names of those that did not."""
    counts = ", ".join(f"{values.get(key, 0)} {key}" for key in OUTCOMES)
    names = "".join(f"- {name}\n" for name in values.get("not_passed", []))
    return f"{counts}.\n" + (f"\n{names}" if names else "")


def rate_table(values: Values) -> str:
    """The device's own rates."""
    lines = [
        [f"product of two square {name} matrices, TFLOP/s", number(rate)]
        for name, rate in values.get("matrix_tflops", {}).items()
    ]
    copy = number(values.get("copy_gb_per_second"))
    lines.append(["copy in the device's memory, GB/s read and written", copy])
    return table(["operation", "rate"], lines)


def step_rows(parts: Values) -> list[Values]:
    """The steps that were timed, of all parts."""
    return [row for entry in parts.values() for row in entry["values"].get("rows", [])]


def step_line(row: Values, rates: Values) -> list[Any]:
    """One step: its speed, and its share of the matrix rate."""
    speeds, rate = row["images_per_second"], rates.get("matrix_tflops", {}).get(row["dtype"])
    tflops = median(speeds) * row["gflop_per_image"] / 1e3
    return [
        row["title"], row["batch"], row["dtype"], number(median(speeds)),
        f"{number(min(speeds))} to {number(max(speeds))}", number(row["gflop_per_image"]),
        number(tflops), f"{tflops / rate:.1%}" if rate else "-",
        f"{GOAL:.0%}" if row["goal"] else "-", number(row["peak_gib"]),
    ]  # fmt: skip


def all_steps(parts: Values, rates: Values) -> str:
    """One line for each kind of step, and the profiles of some."""
    lines = [step_line(row, rates) for row in step_rows(parts)]
    profiles = [
        profile(entry["title"], entry["values"]["profile"])
        for entry in parts.values()
        if "profile" in entry["values"]
    ]
    columns = ["step", "batch", "dtype", "images/s", "range", "GFLOP/image", "TFLOP/s"]
    columns += ["share of the matrix rate", "goal", "peak GiB"]
    note = (
        "GFLOP are those of matrix products and convolutions, forward and backward. The share is "
        "of the matrix rate of the same dtype.\n"
    )
    return "\n".join(["## Training steps\n", table(columns, lines), note, *profiles])


def profile(title: str, values: Values) -> str:
    """The operations of a step that take the most time."""
    lines = [[name, number(ms), f"{share:.1%}"] for name, ms, share in values["operations"]]
    return (
        f"### {title}: profile\n\n"
        f"The device computes in {values['busy']:.0%} of the time of a step.\n\n"
        + table(["operation", "ms per step", "share"], lines)
    )


def share_table(values: Values) -> str:
    """The share of augmentation in a step."""
    lines = [
        [name, row["batch"], number(row["step_ms"]), number(row["without_ms"]),
         number(row["batches_ms"]), f"{1 - row['without_ms'] / row['step_ms']:.1%}"]
        for name, row in values.items()
    ]  # fmt: skip
    columns = ["step", "batch", "ms", "ms with the same batch each time", "ms of the batches"]
    return table([*columns, "share of augmentation"], lines)


def bytes_table(values: Values) -> str:
    """Whether repeated trainings write the same bytes."""
    words = {True: "yes", False: "**no**", None: "-"}
    lines = [
        [name, words[row.get("two_runs")], words[row.get("killed")], row.get("resumed_at", "-")]
        for name, row in values.items()
    ]
    return table(["training", "two runs", "killed and resumed", "resumed at step"], lines)


def difference_table(values: Values) -> str:
    """The numbers of one training on CPU and GPU."""
    lines = [
        [name, metric, *(number(value) for value in row)]
        for name, metrics in values.items()
        for metric, row in metrics.items()
    ]
    columns = ["training", "last epoch", "CPU, float32", "GPU, float32", "GPU, auto"]
    note = "\nThe row `weights` has the norm of the difference to those on CPU, over their norm.\n"
    return table(columns, lines) + note


SECTIONS: dict[str, Callable[[Values], str] | None] = {  # in the order of the page
    "tests": tests,
    "rates": rate_table,
    "steps": None,
    "augmentation": share_table,
    "bytes": bytes_table,
    "cpu_and_gpu": difference_table,
}


def number(value: float | None) -> str:
    """Three digits; '-' for none."""
    return "-" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def table(columns: list[str], lines: Iterable[list[Any]]) -> str:
    """A Markdown table."""
    rows = [columns, ["---"] * len(columns), *lines]
    return "".join("| " + " | ".join(str(cell) for cell in row) + " |\n" for row in rows)
