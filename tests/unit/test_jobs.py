"""The list of training jobs: every task, run and seed, in the order of params.yaml."""

import copy
from pathlib import Path

import yaml

from reprise.jobs import NONE, OWN, Job, init_weights, jobs, shared_pretraining, tasks
from reprise.params.load import parse

ROOT = Path(__file__).parents[2]
EARTH = yaml.safe_load((ROOT / "presets" / "earth.yaml").read_text())
STAGES = ("pretrain", "finetune", "classify", "segment")
JOBS = sum(len(t["runs"]) * len(t["seeds"]) for stage in STAGES for t in EARTH[stage].values())


def test_jobs_are_every_run_with_every_seed_in_the_order_of_the_file() -> None:
    params = parse(EARTH)
    paths = [job.path for job in jobs(params, "pretrain", "finetune")]
    assert paths[2:8] == [
        "pretrain/earth/byol/2", "pretrain/earth/supervised/0", "pretrain/earth/supervised/1",
        "pretrain/earth/supervised/2", "finetune/earth/A/0", "finetune/earth/A/1",
    ]  # fmt: skip
    assert len(jobs(params)) == JOBS
    assert Job("classify", "baseline", "cnn", 0).folder(Path("results")) == Path(
        "results/classify/baseline/cnn/0"
    )


def test_a_new_task_gives_new_jobs() -> None:
    values = copy.deepcopy(EARTH)
    values["classify"]["other"] = values["classify"]["baseline"] | {"seeds": [0, 1]}
    params = parse(values)
    assert [name for _, name, _ in tasks(params, "classify")] == ["baseline", "transfer", "other"]
    assert len(jobs(params)) == JOBS + 4


def test_the_weights_that_a_run_starts_from_are_named() -> None:
    values = copy.deepcopy(EARTH)
    values["weights"] = {"sl": {"path": "sl.pt", "sha256": None}}
    params = parse(values)
    starts = [init_weights(params, "finetune", "earth", run) for run in "ABC"]
    assert starts == [NONE, OWN, OWN]
    assert init_weights(params, "classify", "baseline", "lite0") == "imagenet"
    assert init_weights(params, "pretrain", "earth", "byol") == NONE
    values["pretrain"]["earth"]["recipes"]["supervised"]["weights"] = "sl"
    params = parse(values)
    assert init_weights(params, "finetune", "earth", "B") == "sl"
    assert init_weights(params, "finetune", "earth", "C") == OWN


def test_a_pretraining_is_shared_by_choice_or_where_the_weights_are_published() -> None:
    values = copy.deepcopy(EARTH)

    def shared() -> list[str]:
        params = parse(values)
        runs = params.finetune["earth"].runs
        return [run for run in runs if shared_pretraining(params, "earth", run)]

    assert shared() == []
    values["weights"] = {"sl": {"path": "sl.pt", "sha256": None}}
    values["pretrain"]["earth"]["recipes"]["supervised"]["weights"] = "sl"
    assert shared() == ["B", "D"]
    values["finetune"]["earth"]["pretraining_seeds"] = "shared"
    assert shared() == ["B", "C", "D", "E"]
