"""All predictions to all numbers: the work of the stage `evaluate`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from reprise.evaluation import scores, tables
from reprise.evaluation.beside import beside_table
from reprise.evaluation.compare import COLUMNS, EXACT
from reprise.evaluation.convergence import convergence, every_epoch
from reprise.evaluation.course_scores import course_estimates
from reprise.evaluation.families import Compared, compare_classes, compare_masks, joined
from reprise.evaluation.holes import Holes
from reprise.evaluation.markdown import Table
from reprise.evaluation.means import class_ious
from reprise.evaluation.metrics import metrics
from reprise.evaluation.mistakes import confusion_table, counted
from reprise.evaluation.origins import weights_of
from reprise.evaluation.pair_tables import exact_table, pairs_table
from reprise.evaluation.prepared import Prepared, read_prepared
from reprise.evaluation.reported import REPORTED
from reprise.evaluation.votes import votes_table
from reprise.params import Params

CLASSES = ("finetune", "classify", "faces")
MASKS = ("segment", "street")


def evaluate(
    results: Path, params: Params, holes: Holes | None = None, reported: Path = REPORTED
) -> tuple[dict[str, Any], dict[str, Table]]:
    """Score every job named in `params`.

    Args:
        results: folder with prepare/, finetune/ and so on; only predictions, histories, and the
            prepared sets' dataset.json, index.csv and labels.npy are read.
        params: the axes.
        holes: learns which jobs are missing or cannot be read; the rest is scored without them. A
            run, or setting, that lacks a seed is compared with no other.
        reported: folder of the reports' numbers (see evaluation/reported.py).

    Returns:
        The content of metrics.json, and the tables by name: pretrain, finetune, classify, faces,
        segment, street, iou, votes, seeds, pairs, mcnemar, confusion, epochs, histories, reported.

    Raises:
        RepriseError: names the file that is missing or wrong, in a data set, or, without `holes`,
            in a job.
    """
    holes = Holes(strict=True) if holes is None else holes
    every = {name: read_prepared(results / "prepare" / name) for name in data_sets(params)}
    sets = {part: every[block.data] for part, block in params.stages.items()}
    answers = {
        part: scores.class_jobs(part, results, params, sets[part], holes) for part in CLASSES
    }
    masks = {part: scores.segment_jobs(part, results, params, sets[part], holes) for part in MASKS}
    compared = {part: compare_classes(part, answers[part]) for part in CLASSES}
    compared |= {part: compare_masks(part, masks[part]) for part in MASKS}
    jobs = {part: scores.class_frame(answers[part]) for part in CLASSES}
    jobs |= {part: scores.mask_frame(masks[part]) for part in MASKS}

    made = summaries(jobs, compared, masks, sets, params)
    pretrained = scores.pretrain_jobs(results, params, holes)
    origin = partial(weights_of, params, "pretrain")
    made["pretrain"] = tables.pretrain_table(pretrained, sets["pretrain"], origin)
    ious = [class_ious(part, masks[part]) for part in MASKS]
    made["iou"] = tables.iou_table(pd.concat(ious, ignore_index=True))
    made["votes"] = votes_table(results, params, sets, holes)
    made["seeds"] = tables.seeds_table(jobs)
    made["pairs"] = pairs_table(joined([one.pairs for one in compared.values()], COLUMNS))
    made["mcnemar"] = exact_table(joined([one.exact for one in compared.values()], EXACT))
    counts = [counted(part, answers[part], sets[part].labels) for part in CLASSES]
    counts += [counted(part, masks[part], sets[part].labels) for part in MASKS]
    made["confusion"] = confusion_table(pd.concat(counts, ignore_index=True))
    made["epochs"] = convergence(results, params, holes)
    made["histories"] = every_epoch(results, params, holes)
    images = {part: one.index["role"].value_counts() for part, one in sets.items()}
    made["reported"] = beside_table(reported, results, params, made, images, holes)
    numbers = metrics({name: table.frame for name, table in made.items()})
    return numbers, {name: marked(name, table, holes) for name, table in made.items()}


def marked(name: str, table: Table, holes: Holes) -> Table:
    """A table with the jobs that are missing in it: those of a part in its own, else all."""
    own = {"iou": MASKS, "mcnemar": CLASSES, "epochs": ("epochs",), "histories": ("epochs",)}
    own |= {part: (part,) for part in ("pretrain", *CLASSES, *MASKS)}
    return holes.mark(table, *own.get(name, (*CLASSES, *MASKS)))


def summaries(
    jobs: dict[str, pd.DataFrame],
    compared: dict[str, Compared],
    masks: dict[str, list[scores.MaskScore]],
    sets: dict[str, Prepared],
    params: Params,
) -> dict[str, Table]:
    """The table of each part that is scored: one row a run or setting."""
    origin = {part: partial(weights_of, params, part) for part in params.stages}
    made = {
        "finetune": tables.finetune_table(
            jobs["finetune"],
            compared["finetune"],
            sets["finetune"],
            setups(params),
            origin["finetune"],
        )
    }
    for part in ("classify", "faces"):
        made[part] = tables.classify_table(jobs[part], compared[part], sets[part], origin[part])
    for part in MASKS:
        course = course_estimates(masks[part])
        made[part] = tables.segment_table(
            jobs[part], compared[part], course, masks[part], sets[part], origin[part]
        )
    return made


def data_sets(params: Params) -> list[str]:
    """The data sets that the parts work on, sorted."""
    return sorted({block.data for block in params.stages.values()})


def setups(params: Params) -> Callable[[str, str], tuple[str, bool]]:
    """(run, setting) -> where it starts (scratch, supervised or byol), and whether it is frozen."""

    def setup(run: str, setting: str) -> tuple[str, bool]:
        recipe = params.finetune.recipes[run].setting(setting)
        return params.finetune.settings.start(setting), recipe.frozen

    return setup
