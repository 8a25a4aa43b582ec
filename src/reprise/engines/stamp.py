"""The stamped copy of the report: with commit, date, and what the trainings took on this machine.

results/report.html has none of these, because it is the same bytes on every machine of one kind.
The copy is logs/report.html, which neither Git nor DVC keeps.
"""

import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from math import nan
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from reprise.atomic_io import write_text
from reprise.engines.forecast import minutes
from reprise.engines.git import git
from reprise.engines.show import STAMPED
from reprise.engines.training_times import LOGS
from reprise.errors import RepriseError
from reprise.evaluation.costs import FAMILY, KEYS, pareto_optimal, read_costs
from reprise.evaluation.markdown import groups
from reprise.figures.cost import draw_costs
from reprise.figures.style import figure_style, lay_out, saved
from reprise.jobs import OWN, Job, init_weights, jobs
from reprise.params.load import Params
from reprise.record import resources
from reprise.report.html import macro, svg_size

STAMP, TIMES = "<!-- stamp -->\n", "<!-- times -->\n"  # in workflow/report/page.html
LINK = re.compile(r'(<a href=")(?!#|\.\./)')  # to another file of the results
HEADINGS = [
    "Run",
    "Test score",
    "Trainings",
    "CPU seconds",
    "Seconds",
    "Peak memory",
    "Pareto-optimal",
]
ABOUT = (
    "CPU seconds, seconds and peak memory of one training, mean over the seeds, from the records "
    "of the jobs on this machine. Those of fine-tuning include the pretraining that the run starts "
    "from. Pareto-optimal: no other run with the same classes took at most the CPU seconds and has "
    "at least the score."
)


def write_stamped(results: Path, params: Params, out: Path = STAMPED, logs: Path = LOGS) -> None:
    """Write the stamped copy of results/report.html.

    Raises RepriseError if there is no report, or it is one of another version.
    """
    report = results / "report.html"
    if not report.is_file():
        raise RepriseError(f"{report}: not found; run `make run` first")
    page = report.read_text(encoding="utf-8")
    if STAMP not in page:
        raise RepriseError(f"{report}: is of another version; run `make run` first")
    written = datetime.fromtimestamp(report.stat().st_mtime, UTC)
    pairs = [("Commit", commit()), ("Written", f"{written:%Y-%m-%d %H:%M} UTC")]
    if took := duration(params, logs):
        pairs.append(("Trainings took", took))
    strip = Markup("").join(Markup("<span><b>{}</b> {}</span>").format(*pair) for pair in pairs)
    times = times_section(results, params, logs)
    page = LINK.sub(rf"\1../{results.name}/", page)
    page = page.replace(STAMP, f'<p class="strip">{strip}</p>\n', 1).replace(TIMES, times, 1)
    write_text(out, page)


def commit() -> str:
    """The commit that is checked out, and whether there are changes since."""
    try:
        head = git("rev-parse", "--short", "HEAD").strip()
        changed = git("status", "--porcelain", "--untracked-files=no")
    except RepriseError:
        return "unknown (no Git here)"
    return f"{head} with changes" if changed else head


def duration(params: Params, logs: Path) -> str:
    """What all trainings took together, one after another; "" without a record."""
    used = [one for job in jobs(params) if (one := resources(logs / f"{job.path}.json"))]
    if not used:
        return ""
    seconds, cpu = (sum(one[key] for one in used) for key in ("seconds", "cpu_seconds"))
    return f"{minutes(seconds)}, one after another ({len(used)} trainings, {minutes(cpu)} of CPU)"


def times_section(results: Path, params: Params, logs: Path) -> str:
    """The table and the figure of scores and times as HTML; "" without a record or a score."""
    costs = read_costs(results)
    times = [mean_times(params, logs, *row) for row in costs[KEYS].itertuples(index=False)]
    names = ["trainings", "cpu_seconds", "seconds", "memory"]
    table = costs.join(pd.DataFrame(times, costs.index, names, float))
    if not table["cpu_seconds"].notna().any():
        return ""
    fronts = [pareto_optimal(r["cpu_seconds"], r["score"]) for _, r in groups(table, *FAMILY)]
    known = table.assign(front=pd.concat(fronts))[table["cpu_seconds"].notna()]
    rows = [
        [
            f"{row['stage']} {row['task']} {row['run']}",
            f"{row['score']:.4f}",
            f"{row['trainings']:.0f}",
            f"{row['cpu_seconds']:,.1f}",
            f"{row['seconds']:,.1f}",
            f"{row['memory']:,.0f} MiB",
            "yes" if row["front"] else "no",
        ]
        for row in known.to_dict("records")
    ]
    left = [True, *[False] * 5, True]
    parts = ["<h3>On this machine</h3>", picture(table)]
    parts += [macro("table", HEADINGS, rows, "CPU time of each run", left), macro("note", ABOUT)]
    return "\n".join(parts) + "\n"


def picture(table: pd.DataFrame) -> str:
    """The scores against CPU seconds as an embedded SVG, without a number."""
    with figure_style():
        figure = draw_costs(table, "cpu_seconds", 1, "CPU seconds of one training")
        lay_out(figure)
        svg = saved(figure, "svg", {"Date": None, "Creator": None, "Format": None, "Type": None})
    width, height = svg_size(svg)
    source = f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
    return Markup(
        '<figure><img class="drawn" src="{}" width="{}" height="{}" alt="Test score against CPU '
        'seconds of the runs of each task; the table has the numbers."></figure>'
    ).format(source, width, height)


def mean_times(params: Params, logs: Path, stage: str, task: str, run: str) -> Sequence[float]:
    """Trainings with a record, and the means over them: CPU seconds, seconds, peak memory in MiB.

    With the pretraining that a run of fine-tuning starts from. NaN where no seed has all records.
    """
    rows = []
    for seed in getattr(params, stage)[task].seeds:
        chain = [Job(stage, task, run, seed), *pretraining(params, stage, task, run, seed)]
        used = [resources(logs / f"{job.path}.json") for job in chain]
        recorded = [one for one in used if one is not None]
        if len(recorded) == len(chain):
            sums = [sum(one[key] for one in recorded) for key in ("cpu_seconds", "seconds")]
            rows.append([*sums, max(one["peak_memory_mib"] for one in recorded)])
    return [len(rows), *pd.DataFrame(rows).mean()] if rows else [nan] * 4


def pretraining(params: Params, stage: str, task: str, run: str, seed: int) -> list[Job]:
    """The pretraining of this configuration that a job starts from, if it does."""
    if stage != "finetune" or init_weights(params, stage, task, run) != OWN:
        return []
    block = params.finetune[task]
    name = str(block.pretraining)
    first = block.pretraining_seed(seed, params.pretrain[name].seeds)
    return [Job("pretrain", name, block.recipes[run].start, first)]
