"""`reprise plan`: what the next run would do, and why, in words.

The jobs are those that Snakemake plans. What changed is read from the records that jobs left
next to their logs: the params.yaml that they read, and how long they took.
"""

import argparse
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from snakemake.api import SnakemakeApi
from snakemake.settings.types import DAGSettings, OutputSettings, Quietness, ResourceSettings

from reprise.cli import run
from reprise.compare import changed_parameters
from reprise.engines.forecast import TRAININGS, Expected, about, estimates, seconds_left
from reprise.errors import RepriseError
from reprise.params.base import value_at
from reprise.params.reader import parse_yaml, read_yaml
from reprise.record import Record, resources

CORES = 4  # as `make run`
SHOWN = 4  # changed values of a run


@dataclass(frozen=True)
class Planned:
    """A job that would run: its rule, task and run, why, and its seconds the last time.

    `changes` are the values that changed since its last record, such as "learning_rate 0.0002 ->
    0.001"; `seconds` is None where no record of the job exists.
    """

    rule: str
    task: str
    run: str
    why: str
    changes: tuple[str, ...]
    seconds: float | None


def main() -> None:
    """Print which jobs the next run would do, and why."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--cores", type=int, default=CORES, help=f"of the run; default {CORES}")
    cores = max(1, min(parser.parse_args().cores, os.cpu_count() or 1))
    print("\n".join(sentences(planned_jobs(), cores)))


def planned_jobs() -> list[Planned]:
    """The jobs that Snakemake would run now, in the order of the rules."""
    logging.getLogger("snakemake.logging").setLevel(logging.WARNING)  # not "Building DAG of jobs"
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL}, dryrun=True)) as api:
        flow = api.workflow(
            resource_settings=ResourceSettings(cores=1), snakefile=Path("Snakefile")
        )
        flow.dag(DAGSettings())
        # no public call gives the jobs; Snakemake's version is pinned, and a test covers this
        workflow = flow._workflow
        workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True)
        workflow._build_dag()
        rules = [rule.name for rule in workflow.rules]
        jobs = [job for job in workflow.dag.needrun_jobs() if job.shellcmd]
        now = read_yaml(Path("params.yaml"))
        ordered = sorted(jobs, key=lambda job: (rules.index(job.rule.name), list(job.output)))
        return [planned(job, workflow.dag.reason(job), now) for job in ordered]


def planned(job: Any, reason: Any, now: Any) -> Planned:
    """A job of Snakemake with its reason, in our words; `now` are the values of params.yaml."""
    wildcards = job.wildcards_dict
    record = Path(str(job.log[0])).with_suffix(".json")
    used = resources(record)
    return Planned(
        rule=job.rule.name,
        task=wildcards.get("task", wildcards.get("dataset", "")),
        run=wildcards.get("run", ""),
        why=_why(reason),
        changes=tuple(changes(record, dict(job.params.params_keys), now)),
        seconds=used["seconds"] if used else None,
    )


def _why(reason: Any) -> str:
    """The reason of Snakemake in a few words, the cause before what follows from it."""
    code = [path for path in reason.updated_input if str(path).startswith("workflow/code/")]
    others = sorted(str(path) for path in reason.updated_input if path not in code)
    if reason.missing_output or reason.incomplete_output:
        return "not made yet"
    if code or reason.code_changed:
        return "its source files changed"
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        return f"{others[0]}{more} changed"
    if reason.params_changed:
        return "its parameters changed"
    if reason.input_changed:
        return "other inputs than before"
    return "what it reads is made again" if reason.updated_input_run else "requested"


def changes(record: Path, keys: Iterable[str], now: Any) -> Iterator[str]:
    """The values at dotted keys of params.yaml that changed since a job left its record."""
    try:
        then = parse_yaml(Record.model_validate_json(record.read_bytes()).params)
    except (OSError, ValidationError, RepriseError):
        return
    for key in keys:
        name = key.rpartition(".")[2]
        before, after = ({name: value_at(values, key)} for values in (then, now))
        for changed, old, new in changed_parameters(before, after):
            yield f"{changed.removeprefix(f'{name}.')} {old} -> {new}"


def sentences(planned: list[Planned], cores: int) -> Iterator[str]:
    """A line for each run that would be trained, one for the rest, and one with the time."""
    if not planned:
        yield "Nothing to do: results/ is what params.yaml and the sources give."
        return
    groups: dict[tuple[str, str, str], list[Planned]] = {}
    for job in planned:
        if job.rule in TRAININGS:
            groups.setdefault((job.rule, job.task, job.run), []).append(job)
    for names, jobs in groups.items():
        seeds = "1 training" if len(jobs) == 1 else f"{len(jobs)} trainings"
        why = list(dict.fromkeys(change for job in jobs for change in job.changes))
        if len(why) > SHOWN:
            why[SHOWN:] = [f"{len(why) - SHOWN} more values"]
        causes = why or list(dict.fromkeys(job.why for job in jobs))
        yield f"{' '.join(filter(None, names))}: {', '.join(causes)}; {seeds}{_time(jobs, cores)}"
    rest = [job for job in planned if job.rule not in TRAININGS]
    if rest:
        counts = {name: sum(job.rule == name for job in rest) for name in
                  dict.fromkeys(job.rule for job in rest)}  # fmt: skip
        listed = [name if n == 1 else f"{name} ({n} jobs)" for name, n in counts.items()]
        yield f"{'then' if groups else 'to do'}: {', '.join(listed)}"
    trainings = sum(len(jobs) for jobs in groups.values())
    yield f"In all {trainings} trainings and {len(rest)} other jobs{_time(planned, cores)}."


def _time(jobs: list[Planned], cores: int) -> str:
    """How long jobs take on some cores, by their last records, in words."""
    known = [job for job in jobs if job.seconds is not None]
    if not known:
        return ", time not known"
    expected = [Expected(job.rule, job.seconds) for job in jobs]
    seconds = estimates(dict(enumerate(expected)))
    left = seconds_left([(job, seconds[place]) for place, job in enumerate(expected)], cores)
    guess = "" if len(known) == len(jobs) else f", by the {len(known)} that ran before"
    return f", about {about(left)}{guess}"


if __name__ == "__main__":
    run(main)
