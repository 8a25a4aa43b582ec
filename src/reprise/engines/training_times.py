"""How long the trainings took, next to the times that a homework prints: `make times`.

The times are those of the records next to the jobs' logs. They are of this machine, so no tracked
file and no report has them.
"""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from reprise.cli import run
from reprise.csv_io import read_csv
from reprise.engines.forecast import minutes
from reprise.errors import RepriseError
from reprise.jobs import Job, jobs
from reprise.params.load import Params, load_params
from reprise.record import resources

LOGS = Path("logs")
PUBLISHED = Path("workflow/published/training_times.csv")
COLUMNS = ["task", "run", "seed", "time", "CPU", "peak memory", "published"]


def main() -> None:
    """Print how long each training took."""
    argparse.ArgumentParser(description=main.__doc__).parse_args()
    rows = training_times(load_params())
    if not rows:
        raise RepriseError(f"{LOGS}: no record of a training; `make run` first")
    table = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in COLUMNS[:2] else "right")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)


def training_times(
    params: Params, logs: Path = LOGS, published: Path = PUBLISHED
) -> list[list[str]]:
    """COLUMNS as text, one row for each training that left a record.

    time: from the start of the process to its end, with the predictions of the splits val and test.
    """
    times = read_csv(published, ["stage", "task", "run", "seconds"], ["task", "run"])
    known = {(t["stage"], t["task"], t["run"]): t["seconds"] for t in times.to_dict("records")}
    rows = []
    for job in jobs(params):
        used = resources(logs / f"{job.path}.json")
        if used is None:
            continue
        theirs = known.get((job.stage, job.task, job.run))
        rows.append([*_texts(job, used), "" if theirs is None else minutes(float(theirs))])
    return rows


def _texts(job: Job, used: dict[str, Any]) -> list[str]:
    times = minutes(used["seconds"]), minutes(used["cpu_seconds"])
    memory = f"{used['peak_memory_mib']} MiB"
    return [f"{job.stage} {job.task}", job.run, str(job.seed), *times, memory]


if __name__ == "__main__":
    run(main)
