"""A project of four quick jobs whose engines share their state as in Reprise, for tests."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from support import prestarted
from support.shared import made_once

ROOT = Path(__file__).parents[2]
AUTHOR = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
REST = "model: cnn, image_size: 8, epochs: 1, batch_size: 4, feature_epochs: [1]"

PARAMS = f"""\
# a comment
datasets:
  all: {{source: orl, val: 0.2, test: 0.2, seed: 3}}
classify:
  baseline:
    data: all
    seeds: [0]
    runs: [A, B]
    recipes:
      A: {{learning_rate: 0.1, {REST}}}
      B: {{learning_rate: 0.1, {REST}}}
"""

SNAKEFILE = f"""\
import sys

sys.path.insert(0, {str(ROOT / "src")!r})


include: {str(ROOT / "workflow" / "rules" / "common.smk")!r}
include: {str(ROOT / "workflow" / "rules" / "state.smk")!r}


rule all:
    default_target: True
    input:
        "results/table.csv",


rule prepare:
    input:
        code="workflow/code/prepare/all.sha256",
        raw="raw.txt",
    output:
        "results/prepare/all/numbers.csv",
    log:
        "logs/prepare.log",
    params:
        params_keys=config_values("datasets.all"),
    shell:
        "PYTHONPATH=src:{ROOT}/src python workflow/scripts/prepare.py --log {{log}}"


rule classify:
    input:
        code="workflow/code/classify/baseline/{{run}}.sha256",
        data=rules.prepare.output,
    output:
        model="results/classify/baseline/{{run}}/0/model.txt",
        masks=directory("results/classify/baseline/{{run}}/0/masks"),
    log:
        "logs/classify/{{run}}.log",
    params:
        run="{{run}}",
        params_keys=config_values("classify.baseline.recipes.{{run}}"),
    shell:
        "PYTHONPATH=src:{ROOT}/src python workflow/scripts/classify.py --run {{params.run}}"
        " --log {{log}}"


rule evaluate:
    input:
        code="workflow/code/evaluate.sha256",
        models=job_outputs("model.txt", "classify"),
    output:
        "results/table.csv",
    log:
        "logs/evaluate.log",
    params:
        params_keys=config_values("classify.baseline.runs"),
    shell:
        "PYTHONPATH=src:{ROOT}/src python workflow/scripts/evaluate.py --log {{log}}"
"""

DVC = f"""\
stages:
  code:
    cmd: PYTHONPATH={ROOT}/src python -m reprise.engines.code
    deps: [src, workflow/scripts]
    params: [classify]
    outs:
      - workflow/code: {{cache: false, persist: true}}
  prepare:
    cmd: PYTHONPATH=src:{ROOT}/src python workflow/scripts/prepare.py --log logs/prepare.log
    deps: [raw.txt, workflow/code/prepare/all.sha256]
    params: [datasets.all]
    outs: [results/prepare/all/numbers.csv]
  classify_baseline:
    matrix:
      run: ${{classify.baseline.runs}}
    cmd: PYTHONPATH=src:{ROOT}/src python workflow/scripts/classify.py --run ${{item.run}}
      --log logs/classify/${{item.run}}.log
    deps: [results/prepare/all/numbers.csv, "workflow/code/classify/baseline/${{item.run}}.sha256"]
    params: ["classify.baseline.recipes.${{item.run}}"]
    outs:
      - results/classify/baseline/${{item.run}}/0/model.txt
      - results/classify/baseline/${{item.run}}/0/masks
  evaluate:
    cmd: PYTHONPATH=src:{ROOT}/src python workflow/scripts/evaluate.py --log logs/evaluate.log
    deps: [results/classify/baseline, workflow/code/evaluate.sha256]
    params: [classify.baseline.runs]
    outs:
      - results/table.csv: {{cache: false}}
"""

# each job adds its name to logs/ran, so that a test sees which ones ran, under either engine
HEAD = """\
import argparse
import os
import time
from pathlib import Path

import yaml

from reprise.cli import run
from reprise.atomic_io import atomic_folder, write_text

PARAMS = yaml.safe_load(Path("params.yaml").read_text())


def ran(name):
    with open("logs/ran", "a") as log:
        log.write(name + "\\n")
    if Path(f"fail_{name}").exists():
        raise OSError(f"{name} fails")
    if Path(f"wait_{name}").exists():
        Path(f"reached_{name}").touch()
    for _ in range(600):
        if Path(f"wait_{name}").exists():
            time.sleep(0.1)
"""

SCRIPTS = {
    "prepare": """
def main():
    ran("prepare")
    seed = PARAMS["datasets"]["all"]["seed"]
    text = Path("raw.txt").read_text()
    write_text(Path("results/prepare/all/numbers.csv"), text * seed)


run(main)
""",
    "classify": """
from small import twice


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--run")
    name = parser.parse_args().run
    ran(name)
    out = Path("results/classify/baseline") / name / "0"
    rate = twice(PARAMS["classify"]["baseline"]["recipes"][name]["learning_rate"]) / 2
    data = Path("results/prepare/all/numbers.csv").read_text()
    with atomic_folder(out / "masks") as folder:
        (folder / "one.txt").write_text(f"{rate}\\n")
    write_text(out / "model.txt", f"{name} {rate} {len(data)}\\n")


run(main)
""",
    "evaluate": """
def main():
    ran("evaluate")
    runs = PARAMS["classify"]["baseline"]["runs"]
    models = [Path(f"results/classify/baseline/{name}/0/model.txt") for name in runs]
    write_text(Path("results/table.csv"), "".join(model.read_text() for model in models))


run(main)
""",
}
HELPER = "def twice(number):\n    return 2 * number\n"
IGNORE = "/logs/\n/.snakemake/\n/workflow/code/\n/results/*\n!/results/table.csv\n__pycache__\n"


class SmallWorkflow:
    """The project in its own folder, under Git and DVC."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("workflow/scripts", "src", "profiles/default"):
            (folder / name).mkdir(parents=True)
        for name, body in SCRIPTS.items():
            self.write(f"workflow/scripts/{name}.py", HEAD + body)
        self.write("src/small.py", HELPER)
        self.write("params.yaml", PARAMS)
        self.write("Snakefile", SNAKEFILE)
        self.write("dvc.yaml", DVC)
        self.write("raw.txt", "one,two\n")
        self.write(".gitignore", IGNORE)
        for name in (
            ".dvc/config",
            ".dvc/.gitignore",
            ".dvcignore",
            "profiles/default/config.yaml",
        ):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        self.git("init", "--quiet")
        self.commit("first")

    @classmethod
    def at(cls, folder: Path) -> "SmallWorkflow":
        """The project in a folder that has it already, or that a clone will fill."""
        small = cls.__new__(cls)
        small.folder = folder
        return small

    @classmethod
    def built(cls, factory: pytest.TempPathFactory, engine: str, folder: Path) -> "SmallWorkflow":
        """A copy, in `folder`, of the project after a run of an engine, which is made once."""
        made = made_once(factory, f"small-{engine}", lambda new: cls(new).build(engine))
        shutil.copytree(made, folder, symlinks=True)
        small = cls.at(folder)
        small.ran()
        return small

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text, f"{name} has no {old!r}"
        self.write(name, text.replace(old, new))

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def git(self, *arguments: str) -> None:
        self.run("git", *AUTHOR, *arguments)

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)

    def run(self, *command: str, ok: bool = True, **variables: str) -> str:
        """What a command prints; it must succeed, or fail if `ok` is False.

        It is prestarted, unless the test brings its own programs or modules.
        """
        environment, words = self.environment(**variables), list(command)
        if not {"PATH", "PYTHONPATH"} & variables.keys():
            environment["PATH"] = prestarted.path(environment["PATH"])
            words = prestarted.words(command)
        ended = subprocess.run(
            words, cwd=self.folder, env=environment, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert (ended.returncode == 0) is ok, f"{' '.join(command)}\n{ended.stdout}"
        return ended.stdout

    def start(
        self, *command: str, stdout: "int | IO[str]" = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """A command that continues while the test does, in its own process group."""
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment(), text=True, start_new_session=True,
            stdout=stdout, stderr=subprocess.STDOUT,
            # a background job of a shell ignores Ctrl-C, and so would its children
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip

    def environment(self, **variables: str) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT / "src")} | variables

    def snakemake(self, *arguments: str, ok: bool = True) -> str:
        return self.run("snakemake", "--cores", "2", *arguments, ok=ok)

    def dvc(self, *arguments: str, ok: bool = True) -> str:
        return self.run("dvc", *arguments, ok=ok)

    def build(self, engine: str) -> str:
        """Everything, with one of the engines."""
        return self.snakemake() if engine == "snakemake" else self.dvc("repro")

    def sync(self, *arguments: str, ok: bool = True) -> str:
        return self.run(sys.executable, "-m", "reprise.engines.sync", *arguments, ok=ok)

    def ran(self) -> list[str]:
        """The jobs that ran since the last call, sorted."""
        log = self.folder / "logs/ran"
        names = sorted(log.read_text().split()) if log.exists() else []
        log.unlink(missing_ok=True)
        return names

    def nothing_to_do(self) -> None:
        """Both engines find everything up to date."""
        assert "Nothing to be done" in self.snakemake("-n")
        assert "up to date" in self.dvc("status")
        assert "Data and pipelines are up to date" in self.dvc("repro")
        assert self.ran() == []
