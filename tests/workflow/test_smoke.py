"""The whole graph on the preset smoke, once per engine, each in a clone of its own."""

import json
import os
import re
import resource
import subprocess
import sys
import zipfile
from pathlib import Path
from shutil import which

import pytest
import yaml
from graphs import stages_behind

from reprise.pipeline.verify import build, clone, digests, environment, first_difference

ROOT = Path(__file__).parents[2]
IDLE_SECONDS = 5.0  # of processor time that a run with nothing to do may take

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def snakemake_clone(tmp_path_factory):
    folder = clone(ROOT, tmp_path_factory.mktemp("snakemake") / "clone", "smoke")
    build(folder, "snakemake", hash_seed=1)
    return folder


@pytest.fixture(scope="module")
def dvc_clone(tmp_path_factory):
    folder = clone(ROOT, tmp_path_factory.mktemp("dvc") / "clone", "smoke")
    build(folder, "dvc", hash_seed=2)
    return folder


def call(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=environment(folder, **variables),
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_both_engines_make_the_same_bytes(snakemake_clone, dvc_clone):
    one, two = digests(snakemake_clone / "results"), digests(dvc_clone / "results")
    assert first_difference(one, two) is None
    assert {"metrics.json", "report.html", "figures/finetune.png"} <= one.keys()


@pytest.mark.parametrize("engine", ["snakemake", "dvc"])
def test_a_second_run_does_nothing(engine, request):
    folder = request.getfixturevalue(f"{engine}_clone")
    before = {path: path.stat().st_mtime_ns for path in folder.glob("results/**/*")}
    start = processor_seconds()
    command = ["snakemake", "--cores", "4"] if engine == "snakemake" else ["dvc", "repro"]
    made = call(folder, *command)
    assert processor_seconds() - start < IDLE_SECONDS
    said = made.stdout + made.stderr
    assert made.returncode == 0
    assert "Nothing to be done" in said or "Data and pipelines are up to date" in said
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
    kept = re.compile(r"dvc\.lock|results/metrics\.json|results/tables/\w+\.(csv|md)")
    assert [name for name in new if not kept.fullmatch(name)] == []


def change(folder: Path, what: str) -> Path:
    """Make the change that a row of docs/engines.md names; the file that it was made in."""
    path = folder / re.match(r"`([^`]+)`", what)[1]
    text = path.read_text()
    if path.name != "params.yaml":
        text += "no one,glasses\n" if path.suffix == ".csv" else "# a comment\n"
    elif what.endswith("a comment"):
        text += "# a comment\n"
    else:
        params = yaml.safe_load(text)
        recipes = params["finetune"]["recipes"]["earth"]
        edits = {
            "the learning rate of setting B": lambda: recipes["B"].update(learning_rate=0.00012),
            "a seed added to `finetune.seeds`": lambda: params["finetune"]["seeds"].append(7),
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


def outputs_to_make(folder: Path, engine: str) -> dict[str, set[str]]:
    """What an engine would make anew, by the name of the rule or stage, with all that reads it."""
    if engine == "snakemake":
        said = call(folder, "snakemake", "-n", REPRISE_STATE="off").stdout
        jobs = re.findall(r"rule (\w+):\n(?:    .*\n)*?    output: (.*)\n", said)
        return {f"{rule} {out}": set(out.split(", ")) for rule, out in jobs}
    direct = json.loads(call(folder, "dvc", "status", "--json").stdout)
    return stages_behind(folder, set(direct))


@pytest.mark.parametrize(("what", "stages"), rows(), ids=lambda value: str(value)[:40])
def test_both_engines_run_the_same_jobs_again(snakemake_clone, what, stages):
    folder = snakemake_clone
    before = {path: path.read_bytes() for path in [folder / re.match(r"`([^`]+)`", what)[1]]}
    try:
        change(folder, what)
        ours = outputs_to_make(folder, "snakemake")
        theirs = outputs_to_make(folder, "dvc")
    finally:
        for path, data in before.items():
            path.write_bytes(data)
    assert set().union(*ours.values()) == set().union(*theirs.values())
    rules = {re.sub(r"^plot_.*", "plot", name.split()[0]) for name in ours}
    everything = {path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py")}
    everything = everything - {"anything"} | {"faces", "street"}  # smoke has no run of that one
    assert rules == (everything if stages == ["everything"] else set(stages))


def test_snakemakes_own_report_has_every_figure_and_table_with_caption_and_label(snakemake_clone):
    made = call(snakemake_clone, "snakemake", "--report", "report.zip")
    assert made.returncode == 0, made.stderr
    with zipfile.ZipFile(snakemake_clone / "report.zip") as archive:
        files = {Path(name).name for name in archive.namelist()}
        (page,) = [name for name in archive.namelist() if name.endswith("/report.html")]
        said = archive.read(page).decode()
    (snakemake_clone / "report.zip").unlink()
    figures = {path.name for path in (snakemake_clone / "results" / "figures").glob("*.png")}
    tables = {path.name for path in (snakemake_clone / "results" / "tables").glob("*.csv")}
    assert figures and tables and figures | tables <= files
    results = json.loads(re.search(r"var results = (\{.*?\});?\n", said)[1])
    for path, result in results.items():
        name = Path(path).stem
        assert result["labels"] and name in {"_".join(reversed(list(result["labels"].values()))),
                                             *result["labels"].values()}  # fmt: skip
        assert len(re.sub("<.*?>", "", result["caption"] or "").split()) > 8, path
    assert {Path(path).name for path in results} == figures | tables


@pytest.mark.parametrize("engine", ["snakemake", "dvc"])
def test_a_page_with_a_hole_does_not_pass_for_a_finished_one(engine, request):
    folder = request.getfixturevalue(f"{engine}_clone")
    before = digests(folder / "results")
    (folder / "results" / "classify" / "cnn" / "0" / "predictions.csv").unlink()
    made = call(folder, sys.executable, "-m", "reprise.pipeline.page")
    assert made.returncode == 1
    assert "results/report.html: has holes, marked in it" in made.stderr.splitlines()[-1]
    holed = digests(folder / "results")
    assert {"metrics.json", "tables/classify.md", "report.html"} <= holed.keys()
    assert all(holed[name] != before[name] for name in ("metrics.json", "report.html"))
    build(folder, engine)
    assert first_difference(digests(folder / "results"), before) is None


def test_a_misspelt_key_ends_in_one_line(snakemake_clone):
    params = snakemake_clone / "params.yaml"
    before = params.read_text()
    try:
        params.write_text(before.replace("  dpi:", "  dppi:"))
        made = call(snakemake_clone, "snakemake", "--cores", "2")
    finally:
        params.write_text(before)
    lines = [line for line in made.stderr.splitlines() if not line.startswith("Using ")]
    assert made.returncode == 1
    assert lines == ["reprise: params.yaml: plot: unknown key 'dppi'; did you mean 'dpi'?"]


def test_values_on_the_command_line_are_refused(snakemake_clone):
    made = call(snakemake_clone, "snakemake", "-n", "--config", "plot={dpi: 300}")
    assert made.returncode == 1
    assert "reprise: --config: the scripts read params.yaml alone" in made.stderr
    assert "Traceback" not in made.stderr


@pytest.mark.skipif(which("taskset") is None, reason="needs taskset of Linux")
def test_no_more_jobs_run_at_a_time_than_there_are_processors(snakemake_clone):
    one = f"{min(os.sched_getaffinity(0))}"
    command = ["snakemake", "--cores", "4", "--forcerun", "digests", "--", "results/digests.csv"]
    made = call(snakemake_clone, "taskset", "--cpu-list", one, *command)
    assert made.returncode == 0, made.stderr
    assert "Provided cores: 1 " in made.stderr


def test_an_experiment_is_compared_by_part_run_setting_and_metric(dvc_clone):
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    call(dvc_clone, "git", "add", "--all")
    assert call(dvc_clone, "git", *who, "commit", "-qm", "results").returncode == 0
    value = "finetune.recipes.earth.B.learning_rate=0.00012"
    made = call(dvc_clone, "dvc", "exp", "run", "-S", value, "evaluate")
    assert made.returncode == 0, made.stderr
    (changed,) = json.loads(call(dvc_clone, "dvc", "params", "diff", "--json").stdout).values()
    assert list(changed) == ["finetune.recipes.earth.B.learning_rate"]
    found = json.loads(call(dvc_clone, "dvc", "metrics", "diff", "--json").stdout)
    rows = found["results/metrics.json"]
    changed = {name.rsplit(".", 1)[0] for name in rows}
    pairs = {name for name in changed if name.startswith("pairs.finetune.earth.")}
    assert changed - pairs == {"finetune.earth.B"}
    others = {pair for pair in pairs if "B" not in pair.rsplit(".", 1)[1].split("-")}
    # Holm's correction looks at all pairs of a family
    assert {name.rsplit(".", 1)[1] for name in rows if name.rsplit(".", 1)[0] in others} <= {
        "p_holm"
    }
