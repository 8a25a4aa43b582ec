"""Both engines expand to the same jobs: for every preset, changed axes, and a new task."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.engine_jobs import Job, dvc_jobs, snakemake_jobs
from support.smoke import call

from reprise.engines.verify import clone

ROOT = Path(__file__).parents[2]


def same(ours: Job, theirs: Job) -> bool:
    """Equal, where a folder that DVC depends on stands for the files below it."""
    if (ours.command, ours.outputs, ours.keys) != (theirs.command, theirs.outputs, theirs.keys):
        return False
    folders = theirs.dependencies - ours.dependencies
    files = ours.dependencies - theirs.dependencies

    def below(file: str) -> list[str]:
        return [folder for folder in folders if file.startswith(f"{folder}/")]

    used = {folder for file in files for folder in below(file)}
    return all(below(file) for file in files) and used == folders


def describe(job: Job) -> str:
    lines = [f"  command: {job.command}"]
    for name in ("dependencies", "outputs", "keys"):
        lines += [f"    {name}: {value}" for value in sorted(getattr(job, name))]
    return "\n".join(lines)


def differences(rules: dict[str, list[Job]], stages: dict[str, list[Job]]) -> list[str]:
    """Every job that one engine has and the other has not, under the name of its stage."""
    left = [(name, job) for name, jobs in stages.items() for job in jobs]
    lines = []
    for rule, jobs in rules.items():
        for job in jobs:
            match = next((stage for stage in left if same(job, stage[1])), None)
            if match is None:
                lines.append(f"Snakemake only, rule {rule}:\n{describe(job)}")
            else:
                left.remove(match)
    lines += [f"DVC only, stage {stage}:\n{describe(job)}" for stage, job in left]
    return lines


def check(folder: Path) -> None:
    lines = differences(snakemake_jobs(folder), dvc_jobs(folder))
    assert not lines, "\n" + "\n".join(sorted(lines))


def read_params(folder: Path) -> Any:
    return yaml.safe_load((folder / "params.yaml").read_text())


def write_params(folder: Path, params: Any) -> None:
    # JSON is YAML, and quotes ids like "0318", which YAML 1.1 leaves bare
    (folder / "params.yaml").write_text(json.dumps(params))


def module(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the engines in a clone."""
    return call(folder, "python", "-m", f"reprise.engines.{words[0]}", *words[1:])


@pytest.mark.parametrize("preset", sorted(path.stem for path in ROOT.glob("presets/*.yaml")))
def test_both_engines_have_the_same_jobs(preset, tmp_path):
    check(clone(ROOT, tmp_path / "clone", preset))


def test_changed_axes_need_no_new_dvc_yaml(tmp_path):
    """One more run, dataset and seeds, other data, one method less."""
    folder = clone(ROOT, tmp_path / "clone", "earth")
    params = read_params(folder)
    baseline = params["classify"]["baseline"]
    baseline["recipes"]["again"] = baseline["recipes"]["cnn"]
    baseline["runs"].append("again")
    baseline["seeds"] = [3, 5]
    params["datasets"]["more"] = params["datasets"]["climate"]
    params["pretrain"]["earth"]["seeds"] = [0, 1, 4]
    params["finetune"]["earth"]["seeds"] = [4]
    params["segment"]["skips"]["data"] = params["segment"]["baseline"]["data"]
    params["embed"]["cnn"] |= {"run": "again", "seed": 5, "methods": ["pca"]}
    params["embed"]["byol_finetuned"]["seed"] = 4
    write_params(folder, params)
    check(folder)
    assert module(folder, "code").returncode == 0


def test_the_cores_of_a_training_follow_its_processes(tmp_path):
    """One of two recipes has batches in pieces, which two processes of one thread share."""
    folder = clone(ROOT, tmp_path / "clone", "smoke")
    params = read_params(folder)
    params["runtime"]["processes"] = 2
    params["pretrain"]["earth"]["recipes"]["byol"]["micro_batches"] = 4
    write_params(folder, params)
    threads = {job.command: job.threads for job in snakemake_jobs(folder)["pretrain"]}
    assert len(threads) == 2
    for command, count in threads.items():
        assert count == (2 if "--run byol" in command else 1)


def test_a_new_task_is_a_block_of_params_and_make_dvc_yaml(tmp_path):
    folder = clone(ROOT, tmp_path / "clone", "earth")
    params = read_params(folder)
    recipe = params["classify"]["baseline"]["recipes"]["cnn"]
    params["classify"]["faces_again"] = {
        "data": "glasses", "seeds": [0, 1], "runs": ["small"], "recipes": {"small": recipe},
    }  # fmt: skip
    write_params(folder, params)
    refused = module(folder, "code")
    assert refused.returncode == 1
    message = "reprise: dvc.yaml: no stage for classify.faces_again; run `make dvc.yaml`"
    assert refused.stderr.splitlines()[-1] == message
    assert module(folder, "repository", "dvc.yaml").returncode == 0
    assert module(folder, "code").returncode == 0
    check(folder)
    stages = dvc_jobs(folder)
    assert len(stages["classify_faces_again"]) == 2
    (drawn,) = stages["plot_misclassified"]
    assert "results/figures/misclassified_classify_faces_again.png" in drawn.outputs
    (evaluated,) = stages["evaluate"]
    assert "results/tables/classify_faces_again.csv" in evaluated.outputs


def test_a_run_of_fine_tuning_with_another_start_needs_make_dvc_yaml(tmp_path):
    folder = clone(ROOT, tmp_path / "clone", "earth")
    params = read_params(folder)
    params["finetune"]["earth"]["recipes"]["B"]["start"] = "byol"
    write_params(folder, params)
    refused = module(folder, "code")
    assert "dvc.yaml: no stage for finetune.earth.runs: B; run `make dvc.yaml`" in refused.stderr
    assert module(folder, "repository", "dvc.yaml").returncode == 0
    check(folder)


def test_a_pretraining_shared_by_all_seeds_needs_make_dvc_yaml(tmp_path):
    folder = clone(ROOT, tmp_path / "clone", "earth")
    params = read_params(folder)
    params["finetune"]["earth"]["pretraining_seeds"] = "shared"
    params["pretrain"]["earth"]["seeds"] = [5, 0]
    write_params(folder, params)
    refused = module(folder, "code")
    assert "dvc.yaml: no stage for finetune.earth.runs: B; run `make dvc.yaml`" in refused.stderr
    assert module(folder, "repository", "dvc.yaml").returncode == 0
    assert module(folder, "code").returncode == 0
    check(folder)

    def backbones():
        commands = [job.command for jobs in dvc_jobs(folder).values() for job in jobs]
        return {path for text in commands for path in re.findall(r"--backbone (\S+)", text)}

    def shared(run, seed):
        return f"results/pretrain/earth/{run}/{seed}/backbone.safetensors"

    assert backbones() == {shared(run, 5) for run in ("byol", "supervised")}
    params["pretrain"]["earth"]["seeds"] = [2]  # another first seed needs no new dvc.yaml
    write_params(folder, params)
    check(folder)
    assert backbones() == {shared(run, 2) for run in ("byol", "supervised")}


@pytest.mark.parametrize("stage", ["classify", "segment"])
def test_params_with_one_task_expand_to_its_jobs_and_the_report(stage, tmp_path):
    folder = clone(ROOT, tmp_path / "clone", "earth")
    params = read_params(folder)
    task = params[stage]["baseline"]
    write_params(
        folder,
        {"datasets": {task["data"]: params["datasets"][task["data"]]}, stage: {"baseline": task}},
    )
    assert module(folder, "repository", "dvc.yaml").returncode == 0
    assert module(folder, "code").returncode == 0
    check(folder)
    jobs = snakemake_jobs(folder)
    assert {"prepare", stage, "evaluate", "plot_curves", "report"} <= jobs.keys()
    assert not {"pretrain", "finetune", "embed"} & jobs.keys()


def test_no_job_starts_before_the_folders_are_whole_that_dvc_takes_it_to_read(tmp_path):
    """DVC would not believe it: a file of its dependencies is younger than its start."""
    folder = clone(ROOT, tmp_path / "clone", "earth")
    jobs = [job for jobs in snakemake_jobs(folder).values() for job in jobs]
    writers = {file: job for job in jobs for file in job.outputs}

    def before(job: Job) -> set[Job]:
        earlier: set[Job] = set()
        new = {job}
        while (
            new := {writers[file] for item in new for file in item.dependencies if file in writers}
            - earlier
        ):
            earlier |= new
        return earlier

    early = []
    for stage in (stage for stages in dvc_jobs(folder).values() for stage in stages):
        (job,) = (job for job in jobs if job.command == stage.command)
        folders = tuple(f"{name}/" for name in stage.dependencies - job.dependencies)
        needed = {writers[file] for file in writers if folders and file.startswith(folders)}
        early += [f"{job.command} before {other.command}" for other in needed - before(job)]
    assert not early, "\n".join(sorted(early))


def test_a_difference_is_reported_by_stage():
    ours = Job("a", frozenset({"f/x"}), frozenset({"o"}), frozenset({"k"}))
    theirs = Job("a", frozenset({"f"}), frozenset({"o"}), frozenset({"l"}))
    lines = differences({"rule": [ours]}, {"stage": [theirs]})
    assert [text.splitlines()[0] for text in lines] == [
        "Snakemake only, rule rule:",
        "DVC only, stage stage:",
    ]
    folder = Job("a", theirs.dependencies, ours.outputs, ours.keys)
    assert not differences({"rule": [ours]}, {"stage": [folder]})


def test_derived_files_that_people_read_are_short():
    """A person can read dvc.yaml; one write of dvc.lock takes time after every stage."""
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 500
    stages = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    lines = len((ROOT / "dvc.lock").read_text().splitlines())
    assert lines <= 100 * len(stages)
