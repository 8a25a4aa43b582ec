"""Both engines expand to the same jobs, for every preset and for changed axes."""

import json
from pathlib import Path

import pytest
import yaml
from graphs import Job, dvc_jobs, snakemake_jobs

from reprise.pipeline.verify import clone

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
    said = []
    for rule, jobs in rules.items():
        for job in jobs:
            match = next((one for one in left if same(job, one[1])), None)
            if match is None:
                said.append(f"Snakemake alone, rule {rule}:\n{describe(job)}")
            else:
                left.remove(match)
    said += [f"DVC alone, stage {stage}:\n{describe(job)}" for stage, job in left]
    return said


def check(folder: Path) -> None:
    said = differences(snakemake_jobs(folder), dvc_jobs(folder))
    assert not said, "\n" + "\n".join(sorted(said))


@pytest.mark.parametrize("preset", sorted(path.stem for path in ROOT.glob("presets/*.yaml")))
def test_both_engines_have_the_same_jobs(preset, tmp_path):
    check(clone(ROOT, tmp_path / "clone", preset))


def test_changed_axes_need_no_new_dvc_yaml(tmp_path):
    """A run more, seeds more, settings moved, none left for a method, data shared."""
    folder = clone(ROOT, tmp_path / "clone", "earth")
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["classify"]["recipes"]["again"] = params["classify"]["recipes"]["cnn"]
    params["classify"]["runs"].append("again")
    params["classify"]["seeds"] = [3, 5]
    params["finetune"]["settings"] = {"scratch": ["A", "D"], "supervised": [], "byol": ["C"]}
    params["street"]["data"] = params["segment"]["data"]
    params["embed"]["methods"] = ["pca"]
    params["embed"]["classify"] = {"run": "again", "seed": 5}
    # JSON is YAML, and quotes ids like "0318", which YAML 1.1 leaves bare
    (folder / "params.yaml").write_text(json.dumps(params))
    check(folder)


def test_no_job_starts_before_the_folders_are_whole_that_dvc_takes_it_to_read(tmp_path):
    """DVC would not believe it: a file of its dependencies is younger than its start."""
    folder = clone(ROOT, tmp_path / "clone", "earth")
    jobs = [job for jobs in snakemake_jobs(folder).values() for job in jobs]
    made_by = {file: job for job in jobs for file in job.outputs}

    def before(job: Job) -> set[Job]:
        found: set[Job] = set()
        new = {job}
        while new := {made_by[f] for one in new for f in one.dependencies if f in made_by} - found:
            found |= new
        return found

    early = []
    for stage in (stage for stages in dvc_jobs(folder).values() for stage in stages):
        (job,) = (job for job in jobs if job.command == stage.command)
        folders = tuple(f"{name}/" for name in stage.dependencies - job.dependencies)
        needed = {made_by[file] for file in made_by if folders and file.startswith(folders)}
        early += [f"{job.command} before {other.command}" for other in needed - before(job)]
    assert not early, "\n".join(sorted(early))


def test_a_difference_is_told_by_stage():
    one = Job("a", frozenset({"f/x"}), frozenset({"o"}), frozenset({"k"}))
    other = Job("a", frozenset({"f"}), frozenset({"o"}), frozenset({"l"}))
    said = differences({"rule": [one]}, {"stage": [other]})
    assert [text.splitlines()[0] for text in said] == [
        "Snakemake alone, rule rule:",
        "DVC alone, stage stage:",
    ]
    folder = Job("a", other.dependencies, one.outputs, one.keys)
    assert not differences({"rule": [one]}, {"stage": [folder]})
