"""All predictions to all numbers: the work of the stage `evaluate`."""

from pathlib import Path
from typing import Any

import pandas as pd

from reprise.evaluation import scores, tables
from reprise.evaluation.compare import compare_settings
from reprise.evaluation.markdown import Table, document
from reprise.evaluation.means import class_ious
from reprise.evaluation.metrics import ACCURACY, metrics, nest
from reprise.evaluation.prepared import Prepared, read_prepared
from reprise.params import Params


def evaluate(results: Path, params: Params) -> tuple[dict[str, Any], dict[str, Table]]:
    """Score every job named in `params`.

    Args:
        results: folder with prepare/, finetune/ and so on; only predictions, histories of
            `pretrain`, and the prepared sets' dataset.json, index.csv and labels.npy are read.
        params: the axes.

    Returns:
        The content of metrics.json, and the tables by name: pretrain, finetune, classify, faces,
        segment, street, iou, seeds.

    Raises:
        RepriseError: names the file that is missing or wrong.
    """
    made: dict[str, Table] = {}
    jobs: dict[str, pd.DataFrame] = {}
    sets = {name: read_prepared(results / "prepare" / name) for name in data_sets(params)}
    made["pretrain"] = tables.pretrain_table(
        scores.pretrain_jobs(results, params), sets[params.pretrain.data]
    )
    jobs["finetune"] = scores.finetune_jobs(results, params, sets[params.finetune.data])
    made["finetune"] = _finetune(jobs["finetune"], params, sets[params.finetune.data])
    for part, data in (("classify", params.classify.data), ("faces", params.faces.data)):
        jobs[part] = scores.classify_jobs(results, part, params, sets[data])
        made[part] = tables.classify_table(jobs[part], sets[data])
    ious = []
    for part, data in (("segment", params.segment.data), ("street", params.street.data)):
        masks = scores.segment_jobs(results, part, params, sets[data])
        jobs[part] = scores.mask_frame(masks)
        made[part] = tables.segment_table(jobs[part], masks, sets[data])
        ious.append(class_ious(part, masks))
    made["iou"] = tables.iou_table(pd.concat(ious, ignore_index=True))
    made["seeds"] = tables.seeds_table(jobs)
    return metrics({name: table.frame for name, table in made.items()}), made


def data_sets(params: Params) -> list[str]:
    """The data sets that the parts work on, sorted."""
    return sorted({block.data for block in params.stages.values()})


def _finetune(jobs: pd.DataFrame, params: Params, prepared: Prepared) -> Table:
    """The table of settings with its computed sentences below."""

    def setup(run: str, setting: str) -> tuple[str, bool]:
        recipe = params.finetune.recipes[run].setting(setting)
        return params.finetune.settings.start(setting), recipe.frozen

    table = tables.finetune_table(jobs, prepared, setup)
    nested = nest(table.frame, ["run", "setting"], ACCURACY)
    said = [compare_settings(run, settings) for run, settings in nested.items()]
    return Table(table.frame, document(table.text, *said))
