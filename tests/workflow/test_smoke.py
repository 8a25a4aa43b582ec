"""The whole graph on the preset smoke, once with each engine, each in its own clone."""

import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import yaml
from support.engine_jobs import dvc_jobs, stages_behind
from support.smoke import call, smoke_copy

from reprise.engines.code import job_sources, listed_sources
from reprise.engines.repository import stale_stages
from reprise.engines.verify import clone, digests, environment, first_difference
from reprise.params.load import load_params

ROOT = Path(__file__).parents[2]
IDLE_SECONDS = 5.0  # of CPU time that a run with nothing to do may take
DVC_OUTPUT = "dvc.out"  # in the .dvc folder of the clone

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def snakemake_clone(tmp_path_factory):
    return smoke_copy(tmp_path_factory)


@pytest.fixture(scope="module")
def dvc_clone(tmp_path_factory):
    """Its commands are the real ones, not prestarted; its jobs print each module they import."""
    folder = clone(ROOT, tmp_path_factory.mktemp("dvc") / "clone", "smoke")
    variables = {"PYTHONHASHSEED": "2", "PYTHONPROFILEIMPORTTIME": "1"}
    variables |= {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}  # the other build: one
    with (folder / ".dvc" / "tmp.out").open("w") as stream:
        ended = subprocess.run(
            ["dvc", "repro"], cwd=folder, env=environment(folder, **variables),
            stdout=stream, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    text = (folder / ".dvc" / "tmp.out").read_text()
    (folder / ".dvc" / "tmp.out").rename(folder.parent / DVC_OUTPUT)
    assert ended.returncode == 0, text[-3000:]
    return folder


@pytest.fixture(scope="module")
def one_task(tmp_path_factory):
    """A project with one dataset and one task of two runs."""
    folder = clone(ROOT, tmp_path_factory.mktemp("one_task") / "clone", "smoke")
    edit_params(folder, only_one_task)
    build(folder, "snakemake")
    return folder


def real_call(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )


def build(folder: Path, engine: str) -> None:
    words = ["snakemake", "--cores", "2"] if engine == "snakemake" else ["dvc", "repro"]
    call(folder, *words, ok=True)


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_both_engines_make_the_same_bytes(snakemake_clone, dvc_clone):
    ours, theirs = digests(snakemake_clone / "results"), digests(dvc_clone / "results")
    assert first_difference(ours, theirs) is None
    assert {"metrics.json", "report.html", "figures/finetune_earth.png"} <= ours.keys()


def test_numbers_that_mean_nothing_show_nothing(snakemake_clone):
    results = snakemake_clone / "results"
    for path in [results / "report.html", *sorted((results / "tables").glob("*.md"))]:
        assert "; significant" not in path.read_text(), path.name


def test_a_job_imports_only_what_its_code_file_lists(dvc_clone):
    """Otherwise an edit of that file would not rerun it."""
    stages = (dvc_clone.parent / DVC_OUTPUT).read_text().split("Running stage '")[1:]
    jobs = {job.command: job for jobs in dvc_jobs(dvc_clone).values() for job in jobs}
    seen = set()
    for text in stages:
        # the last command of a stage; before it may be the check of params.yaml
        *_, (line, command) = re.findall(r"^(> (.*))", text, re.M)
        command = " ".join(shlex.split(command))
        if command not in jobs:  # that of the stage code
            continue
        text = text.partition(line)[2]
        (code,) = (dep for dep in jobs[command].dependencies if dep.endswith(".sha256"))
        listed = set(listed_sources(dvc_clone / code))
        modules = re.findall(r"^import time: .*\| +(reprise[\w.]*)$", text, re.M)
        assert "reprise.cli" in modules
        for module in modules:
            path = f"src/{module.replace('.', '/')}"
            assert {f"{path}.py", f"{path}/__init__.py"} & listed, f"{command} imports {module}"
        seen.add(command)
    assert seen == jobs.keys()


@pytest.mark.parametrize("engine", ["snakemake", "dvc"])
def test_a_second_run_does_nothing(engine, request):
    folder = request.getfixturevalue(f"{engine}_clone")
    before = {path: path.stat().st_mtime_ns for path in folder.glob("results/**/*")}
    start = cpu_seconds()
    command = ["snakemake", "--cores", "4"] if engine == "snakemake" else ["dvc", "repro"]
    ended = real_call(folder, *command)
    assert cpu_seconds() - start < IDLE_SECONDS
    output = ended.stdout + ended.stderr
    assert ended.returncode == 0
    assert "Nothing to be done" in output or "Data and pipelines are up to date" in output
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob("results/**/*")}


@pytest.mark.parametrize("engine", ["snakemake", "dvc"])
def test_neither_engine_has_anything_to_do_after_the_other(engine, request):
    folder = request.getfixturevalue(f"{engine}_clone")
    assert "Nothing to be done" in call(folder, "snakemake", "-n").stdout
    assert "up to date" in call(folder, "dvc", "status").stdout
    assert "Data and pipelines are up to date" in call(folder, "dvc", "repro").stdout


@pytest.mark.parametrize("engine", ["snakemake", "dvc"])
def test_a_run_adds_only_what_git_keeps(engine, request):
    folder = request.getfixturevalue(f"{engine}_clone")
    new = call(folder, "git", "ls-files", "--others", "--exclude-standard").stdout.split()
    kept = re.compile(
        r"dvc\.lock|results/(metrics|intervals)\.json|results/tables/\w+\.(csv|md)"
        r"|results/latex/\w+\.tex"
    )
    assert [name for name in new if not kept.fullmatch(name)] == []


def change(folder: Path, what: str) -> Path:
    """Make the change that a row of docs/engines.md names; the file that was changed."""
    path = folder / re.match(r"`([^`]+)`", what)[1]
    text = path.read_text()
    if path.name != "params.yaml":
        text += "no one,glasses\n" if path.suffix == ".csv" else "# a comment\n"
    elif what.endswith("a comment"):
        text += "# a comment\n"
    else:
        params = yaml.safe_load(text)
        task = params["finetune"]["earth"]
        edits = {
            "the learning rate of setting B": lambda: task["recipes"]["B"].update(
                learning_rate=0.00012
            ),
            "a seed added to `seeds` of `pretrain.earth` and `finetune.earth`": lambda: [
                block["earth"]["seeds"].append(7)
                for block in (params["pretrain"], params["finetune"])
            ],
            "`plot.dpi`": lambda: params["plot"].update(dpi=77),
        }
        edits[what.split(": ")[1]]()
        text = json.dumps(params)
    path.write_text(text)
    return path


def rows() -> list[tuple[str, list[str]]]:
    """The table of docs/engines.md: what is changed, and the stages that run again."""
    text = (ROOT / "docs" / "engines.md").read_text().split("## What runs again")[1].split("## ")[0]
    cells = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    return [(what.strip(), re.findall(r"\w+", re.sub(r"\(.*?\)", "", s))) for what, s in cells]


def stale_in_dvc(folder: Path) -> set[str]:
    """The stages that DVC itself calls changed; the code files are as the Snakefile wrote them."""
    return set(json.loads(call(folder, "dvc", "status", "--json").stdout)) - {"code"}


def outputs_to_make(folder: Path) -> dict[str, set[str]]:
    """What Snakemake would make again, by rule and file, with all that reads it."""
    summary = call(folder, "snakemake", "--summary", ok=True, REPRISE_STATE="off").stdout
    lines = [line.split("\t") for line in summary.splitlines()]
    heading, rows = lines[0], lines[1:]
    assert [heading[0], heading[2], heading[-1]] == ["output_file", "rule", "plan"]
    return {f"{row[2]} {row[0]}": {row[0]} for row in rows if row[-1] == "update pending"}


@pytest.mark.parametrize(("what", "stages"), rows(), ids=lambda value: str(value)[:40])
def test_both_engines_run_the_same_jobs_again(snakemake_clone, what, stages):
    folder = snakemake_clone
    before = {path: path.read_bytes() for path in [folder / re.match(r"`([^`]+)`", what)[1]]}
    try:
        change(folder, what)
        ours = outputs_to_make(folder)
        theirs = stages_behind(folder, stale_in_dvc(folder))
    finally:
        for path, data in before.items():
            path.write_bytes(data)
    assert set().union(*ours.values()) == set().union(*theirs.values())
    rules = {re.sub(r"^plot_.*", "plot", name.split()[0]) for name in ours}
    everything = {path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py")}
    everything -= {"segment_anything"}  # smoke has no run of it
    assert rules == (everything if stages == ["everything"] else set(stages))


@pytest.mark.parametrize(
    "name", ["training/ssl/byol", "figures/confusion", "datasets/orl", "models/alexnet"]
)
def test_an_edited_source_file_reruns_the_same_jobs_in_both_engines(snakemake_clone, name):
    """A few rows of the second table of docs/engines.md; test_closure.py has them all."""
    folder, file = snakemake_clone, f"src/reprise/{name}.py"
    text = (folder / file).read_text()
    try:
        (folder / file).write_text(f"{text}# a comment\n")
        ours = outputs_to_make(folder)
        changed = stale_in_dvc(folder)
        theirs = stages_behind(folder, changed)
    finally:
        (folder / file).write_text(text)
        call(folder, sys.executable, "-m", "reprise.engines.code")
    assert set().union(*ours.values()) == set().union(*theirs.values())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        stages = stale_stages(job_sources(load_params()), file)
    # of the stage prepare, the dataset is in brackets; of the others it is the task and the run
    direct = {stage.split()[0] for stage in stages}
    assert {next((s for s in direct if job.startswith(s)), job) for job in changed} == direct


def test_snakemakes_own_report_has_every_figure_and_table_with_caption_and_label(snakemake_clone):
    ended = call(snakemake_clone, "snakemake", "--report", "report.zip")
    assert ended.returncode == 0, ended.stderr
    with zipfile.ZipFile(snakemake_clone / "report.zip") as archive:
        files = {Path(name).name for name in archive.namelist()}
        (page,) = [name for name in archive.namelist() if name.endswith("/report.html")]
        html = archive.read(page).decode()
    (snakemake_clone / "report.zip").unlink()
    figures = {path.name for path in (snakemake_clone / "results" / "figures").glob("*.png")}
    tables = {path.name for path in (snakemake_clone / "results" / "tables").glob("*.csv")}
    assert figures and tables and figures | tables <= files
    results = json.loads(re.search(r"var results = (\{.*?\});?\n", html)[1])
    for path, result in results.items():
        name = Path(path).stem
        assert result["labels"] and name in {"_".join(reversed(list(result["labels"].values()))),
                                             *result["labels"].values()}  # fmt: skip
        assert len(re.sub("<.*?>", "", result["caption"] or "").split()) > 8, path
    assert {Path(path).name for path in results} == figures | tables


@pytest.mark.parametrize(
    ("project", "engine"),
    [
        ("one_task", "snakemake"), ("one_task", "dvc"),
        pytest.param("snakemake_clone", "snakemake", marks=pytest.mark.exhaustive),
        pytest.param("dvc_clone", "dvc", marks=pytest.mark.exhaustive),
    ],
)  # fmt: skip
def test_an_incomplete_report_does_not_pass_for_a_finished_one(project, engine, request):
    folder = request.getfixturevalue(project)
    before = digests(folder / "results")
    file = min((folder / "results").glob("classify/*/*/0/predictions.csv"))
    file.unlink()
    ended = call(folder, "python", "-m", "reprise.engines.show", "page")
    assert ended.returncode == 1
    assert "results/report.html: is incomplete" in ended.stderr.splitlines()[-1]
    incomplete = digests(folder / "results")
    table = f"tables/classify_{file.parts[-4]}.md"
    assert {"metrics.json", table, "report.html"} <= incomplete.keys()
    assert all(incomplete[name] != before[name] for name in ("metrics.json", "report.html"))
    build(folder, engine)
    assert first_difference(digests(folder / "results"), before) is None


def test_a_misspelt_key_ends_in_one_line(snakemake_clone):
    params = snakemake_clone / "params.yaml"
    before = params.read_text()
    try:
        params.write_text(before.replace("  dpi:", "  dppi:"))
        ended = call(snakemake_clone, "snakemake", "--cores", "2")
    finally:
        params.write_text(before)
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("Using ")]
    assert ended.returncode == 1
    assert lines == ["reprise: params.yaml: plot: unknown key 'dppi'; did you mean 'dpi'?"]


def test_values_on_the_command_line_are_refused(snakemake_clone):
    ended = call(snakemake_clone, "snakemake", "-n", "--config", "plot={dpi: 300}")
    assert ended.returncode == 1
    assert "reprise: --config: the scripts read params.yaml only" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(which("taskset") is None, reason="needs taskset of Linux")
def test_no_more_jobs_run_at_a_time_than_there_are_cpus(one_task):
    cpu = f"{min(os.sched_getaffinity(0))}"
    command = [
        "snakemake",
        "--cores",
        "4",
        "--forcerun",
        "checksums",
        "--",
        "results/checksums.csv",
    ]
    ended = real_call(one_task, "taskset", "--cpu-list", cpu, *command)
    assert ended.returncode == 0, ended.stderr
    assert "Provided cores: 1 " in ended.stderr


def test_an_experiment_changes_few_metrics_named_by_stage_task_and_run(dvc_clone):
    author = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    call(dvc_clone, "git", "add", "--all")
    assert call(dvc_clone, "git", *author, "commit", "-qm", "results").returncode == 0
    key = "finetune.earth.recipes.B.learning_rate"
    ended = call(dvc_clone, "dvc", "exp", "run", "-S", f"{key}=0.00012", "evaluate")
    assert ended.returncode == 0, ended.stderr
    (changed,) = json.loads(call(dvc_clone, "dvc", "params", "diff", "--json").stdout).values()
    assert list(changed) == [key]
    output = call(dvc_clone, "dvc", "metrics", "diff", "--json").stdout
    (metrics,) = json.loads(output).values()
    # B itself, and the named comparisons in which it stands
    assert set(metrics) <= {
        "finetune.earth.B.test_accuracy",
        "comparisons.finetune.earth.B-A",
        "comparisons.finetune.earth.C-B",
    }
    assert len(call(dvc_clone, "dvc", "metrics", "diff", "--md").stdout.splitlines()) <= 2 + 6


def edit_params(folder: Path, edit: Callable[[Any], Any]) -> None:
    """Change params.yaml, and derive dvc.yaml from it."""
    params = yaml.safe_load((folder / "params.yaml").read_text())
    # JSON is YAML, and quotes ids like "0318", which YAML 1.1 leaves bare
    (folder / "params.yaml").write_text(json.dumps(edit(params)))
    ended = call(folder, sys.executable, "-m", "reprise.engines.repository", "dvc.yaml")
    assert ended.returncode == 0, ended.stderr


def small_task(params: Any, *runs: str) -> Any:
    """A task of short trainings on one small dataset."""
    tasks = params["classify"]
    recipes = tasks["again" if "again" in tasks else "baseline"]["recipes"]
    recipe = recipes.get("small", recipes.get("cnn")) | {"epochs": 1, "feature_epochs": [1]}
    return {
        "data": "glasses", "seeds": [0], "runs": [*runs], "recipes": dict.fromkeys(runs, recipe)
    }  # fmt: skip


def with_new_task(params: Any) -> Any:
    return params | {"classify": params["classify"] | {"more": small_task(params, "small")}}


def only_one_task(params: Any) -> Any:
    datasets = {"glasses": params["datasets"]["glasses"]}
    return {"datasets": datasets, "classify": {"again": small_task(params, "small", "other")}}


@pytest.fixture(params=["one_task", pytest.param("smoke", marks=pytest.mark.exhaustive)])
def two_clones(request, tmp_path):
    """The same results twice."""
    if request.param == "smoke":
        return [request.getfixturevalue(f"{engine}_clone") for engine in ("snakemake", "dvc")]
    one = request.getfixturevalue("one_task")
    return [shutil.copytree(one, tmp_path / name, symlinks=True) for name in ("one", "two")]


def test_a_new_task_is_one_block_and_runs_in_both_engines(two_clones):
    outputs = []
    for folder, engine in zip(two_clones, ("snakemake", "dvc"), strict=True):
        edit_params(folder, with_new_task)
        build(folder, engine)
        assert "Nothing to be done" in call(folder, "snakemake", "-n").stdout
        assert "up to date" in call(folder, "dvc", "status").stdout
        files = digests(folder / "results")
        outputs.append({name: files[name] for name in files if "more" in name})
    assert outputs[0] == outputs[1]
    assert {
        "classify/more/small/0/model.safetensors",
        "tables/classify_more.md",
        "figures/misclassified_classify_more.png",
        "figures/confusion_classify_more.png",
    } <= outputs[0].keys()


def test_one_task_of_one_stage_runs_to_the_report(one_task):
    assert "up to date" in call(one_task, "dvc", "status").stdout
    results = one_task / "results"
    metrics = json.loads((results / "metrics.json").read_text())
    assert list(metrics["classify"]["again"]["small"]) == ["test_accuracy"]
    assert "again" in (results / "report.html").read_text()
    assert (results / "figures" / "curves.png").exists()
    assert not (results / "tables" / "segment_baseline.csv").exists()
