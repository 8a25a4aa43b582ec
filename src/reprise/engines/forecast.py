"""How long the jobs of a run will take, by their last records."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeVar

from reprise.jobs import STAGES

TRAININGS = (*STAGES, "segment_anything")  # rules; the words "3 of 51 trainings" count their jobs
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Expected:
    """What is known of a job: its rule, its seconds the last time (None: not known), what it uses.

    threads are CPU cores, or 1 where each job has a node to itself; gpu is a number of GPUs.
    """

    rule: str
    seconds: float | None
    threads: int = 1
    gpu: int = 0


def estimates(jobs: Mapping[K, Expected]) -> dict[K, float]:
    """Seconds of each job; {} where too little is known.

    A job without a record has the mean of its rule. A training of a rule without one has that of
    the other trainings, and another job that of all jobs.
    """
    by_rule: dict[str, list[Expected]] = {}
    for job in jobs.values():
        by_rule.setdefault(job.rule, []).append(job)
    trainings = _mean(job for job in jobs.values() if job.rule in TRAININGS)
    of_all = _mean(jobs.values())
    means = {}
    for rule, alike in by_rule.items():
        of_rule = _mean(alike)
        mean = of_rule if of_rule is not None else trainings if rule in TRAININGS else of_all
        if mean is None:
            return {}
        means[rule] = mean
    return {
        key: means[job.rule] if job.seconds is None else job.seconds for key, job in jobs.items()
    }


def _mean(jobs: Iterable[Expected]) -> float | None:
    known = [job.seconds for job in jobs if job.seconds is not None]
    return fmean(known) if known else None


def seconds_left(jobs: Sequence[tuple[Expected, float]], cores: int, gpus: int = 1) -> float:
    """The least time that jobs with these seconds take, with this many cores and GPUs."""
    on_cores = sum(seconds * job.threads for job, seconds in jobs) / max(1, min(cores, len(jobs)))
    return max(on_cores, sum(seconds * job.gpu for job, seconds in jobs) / max(1, gpus))


def about(seconds: float) -> str:
    """A duration for people, such as 40 s or 4m 15s."""
    return f"{seconds:.0f} s" if seconds < 100 else minutes(seconds)


def minutes(seconds: float) -> str:
    """A time as a homework prints it, such as 4m 15s."""
    rounded = round(seconds)
    return f"{rounded // 60}m {rounded % 60:02d}s"
