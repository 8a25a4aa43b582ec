"""The whole graph on the preset smoke, once per engine, each in a clone of its own."""

import json
import re
import resource
import subprocess
from pathlib import Path

import pytest
import yaml

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


def call(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )


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
    kept = re.compile(
        r"dvc\.lock|results/metrics\.json|results/tables/\w+\.(csv|md)"
        r"|results/figures/(finetune|masks_segment|tsne_classify)\.png"
    )
    assert [name for name in new if not kept.fullmatch(name)] == []


def test_a_change_in_one_setting_reruns_that_setting_alone(snakemake_clone, dvc_clone):
    for folder in (snakemake_clone, dvc_clone):
        before = (folder / "params.yaml").read_text()
        params = yaml.safe_load(before)
        params["finetune"]["recipes"]["earth"]["B"]["learning_rate"] = 0.0001
        try:
            (folder / "params.yaml").write_text(json.dumps(params))
            if folder == snakemake_clone:
                said = call(folder, "snakemake", "-n").stdout
                trained = re.findall(r"output: results/(.*)/model.safetensors", said)
                assert trained == ["finetune/earth/B/0"]
                assert "rule pretrain:" not in said and "rule prepare:" not in said
            else:
                # direct changes: the setting, and the evaluation, which reads the block as a whole
                stale = json.loads(call(folder, "dvc", "status", "--json").stdout)
                assert {name for name in stale if name.startswith(("finetune", "pretrain"))} == {
                    "finetune_supervised@earth-B-0"
                }
        finally:
            (folder / "params.yaml").write_text(before)


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
