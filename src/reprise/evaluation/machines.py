"""Which jobs of a table were trained in another way: on several kinds of machine, or in pieces."""

from collections.abc import Mapping

import pandas as pd

from reprise.evaluation.job_outputs import MACHINE

# with `precision: auto` each job chooses its precision by its network, on one machine too
KIND = [name for name in MACHINE if name != "precision"]
WORDS = {"cpu_capability": "CPU"}  # the other columns of KIND are words already


def kinds_sentence(jobs: pd.DataFrame) -> str:
    """A sentence that names the runs of each kind of machine; "" where all jobs ran on one.

    jobs: rows of `evaluate.read_jobs`, of one task. Of a kind only the values that differ are
    named. A run whose seeds were trained on several kinds is named with its seeds. A history
    without the columns KIND, of an earlier version, does not count.
    """
    rows = [
        {"run": run, "seed": seed, **history[KIND].iloc[-1].astype(str)}
        for run, seed, history in zip(jobs["run"], jobs["seed"], jobs["history"], strict=True)
        if history is not None and set(KIND) <= set(history.columns)
    ]
    table = pd.DataFrame(rows, columns=["run", "seed", *KIND])
    differing = [name for name in KIND if table[name].nunique() > 1]
    if not differing:
        return ""
    seeds = table.groupby("run")["seed"].nunique()
    kinds = []
    for values, of_kind in table.groupby(differing):
        names = zip(differing, values, strict=True)
        kind = ", ".join(f"{WORDS.get(name, name)} {value}" for name, value in names)
        runs = []
        for run, of_run in of_kind.groupby("run", sort=False):
            some = ", ".join(map(str, of_run["seed"]))
            word = "seed" if len(of_run) == 1 else "seeds"
            runs.append(f"{run} ({word} {some})" if len(of_run) < seeds[run] else str(run))
        kinds.append(f"{kind}: {', '.join(runs)}")
    return (
        f"These were trained on {len(kinds)} kinds of machine, whose numbers may differ for the "
        f"same recipe. {'; '.join(kinds)}."
    )


def pieces_sentence(pieces: Mapping[str, int]) -> str:
    """A sentence that names the runs whose batches were cut; "" where none was.

    pieces: the `micro_batches` of each run.
    """
    cut = [f"{run} in {count}" for run, count in pieces.items() if count > 1]
    if not cut:
        return ""
    return (
        f"Batches were computed in equal pieces, each with its own statistics of batch norm: "
        f"{', '.join(cut)}."
    )
