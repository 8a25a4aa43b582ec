"""A project of four quick jobs that shares its engines' state as Reprise does, for the tests."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WHO = ["-c", "user.name=test", "-c", "user.email=test@localhost"]

PARAMS = """\
# a comment
data: {count: 3}
train:
  settings: [A, B]
  recipes:
    A: {rate: 0.1}
    B: {rate: 0.1}
"""

SNAKEFILE = f"""\
import sys
from pathlib import Path

sys.path.insert(0, {str(ROOT / "src")!r})

from reprise.errors import RepriseError
from reprise.pipeline.alive import drop_stale_locks
from reprise.pipeline.guard import Guard


def refuse(error):
    print("reprise:", " ".join(str(error).split()), file=sys.stderr)
    sys.exit(1)


ALIVE, ALONE = drop_stale_locks()


configfile: "params.yaml"


include: {str(ROOT / "workflow" / "rules" / "state.smk")!r}


rule all:
    input:
        "results/table.csv",


rule data:
    input:
        script="workflow/scripts/data.py",
        raw="raw.txt",
    output:
        "results/data/all/numbers.csv",
    log:
        "logs/data.log",
    params:
        reads=lambda w: str(config["data"]),
    shell:
        "PYTHONPATH={ROOT}/src python {{input.script}} --log {{log}}"


rule train:
    input:
        script="workflow/scripts/train.py",
        data=rules.data.output,
    output:
        model="results/train/{{setting}}/model.txt",
        masks=directory("results/train/{{setting}}/masks"),
    log:
        "logs/train/{{setting}}.log",
    params:
        setting="{{setting}}",
        reads=lambda w: str(config["train"]["recipes"].get(w.setting)),
    shell:
        "PYTHONPATH={ROOT}/src python {{input.script}} --setting {{params.setting}} --log {{log}}"


rule table:
    input:
        script="workflow/scripts/table.py",
        models=expand("results/train/{{setting}}/model.txt", setting=config["train"]["settings"]),
    output:
        "results/table.csv",
    log:
        "logs/table.log",
    params:
        reads=str(config["train"]["settings"]),
    shell:
        "PYTHONPATH={ROOT}/src python {{input.script}} --log {{log}}"
"""

DVC = f"""\
stages:
  data:
    cmd: PYTHONPATH={ROOT}/src python workflow/scripts/data.py --log logs/data.log
    deps: [raw.txt, workflow/scripts/data.py]
    params: [data]
    outs: [results/data/all/numbers.csv]
  train:
    matrix:
      setting: ${{train.settings}}
    cmd: PYTHONPATH={ROOT}/src python workflow/scripts/train.py --setting ${{item.setting}}
      --log logs/train/${{item.setting}}.log
    deps: [results/data/all/numbers.csv, workflow/scripts/train.py]
    params: ["train.recipes.${{item.setting}}"]
    outs: ["results/train/${{item.setting}}/model.txt", "results/train/${{item.setting}}/masks"]
  table:
    cmd: PYTHONPATH={ROOT}/src python workflow/scripts/table.py --log logs/table.log
    deps: [results/train, workflow/scripts/table.py]
    params: [train.settings]
    outs:
      - results/table.csv: {{cache: false}}
"""

# each job says so in logs/ran, so that a test sees which ones ran, under either engine
HEAD = """\
import argparse
import os
import time
from pathlib import Path

import yaml

from reprise.cli import run
from reprise.files import folder_aside, write_text

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
    "data": """
def main():
    ran("data")
    count = PARAMS["data"]["count"]
    text = Path("raw.txt").read_text()
    write_text(Path("results/data/all/numbers.csv"), text * count)


run(main)
""",
    "train": """
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--setting")
    setting = parser.parse_args().setting
    ran(setting)
    out = Path("results/train") / setting
    rate = PARAMS["train"]["recipes"][setting]["rate"]
    data = Path("results/data/all/numbers.csv").read_text()
    with folder_aside(out / "masks") as part:
        (part / "one.txt").write_text(f"{rate}\\n")
    write_text(out / "model.txt", f"{setting} {rate} {len(data)}\\n")


run(main)
""",
    "table": """
def main():
    ran("table")
    models = [Path(f"results/train/{s}/model.txt") for s in PARAMS["train"]["settings"]]
    write_text(Path("results/table.csv"), "".join(model.read_text() for model in models))


run(main)
""",
}
IGNORE = "/logs/\n/.snakemake/\n/results/*\n!/results/table.csv\n__pycache__\n"


class Toy:
    """The project in a folder of its own, under Git and DVC."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "workflow/scripts").mkdir(parents=True)
        for name, body in SCRIPTS.items():
            self.write(f"workflow/scripts/{name}.py", HEAD + body)
        self.write("params.yaml", PARAMS)
        self.write("Snakefile", SNAKEFILE)
        self.write("dvc.yaml", DVC)
        self.write("raw.txt", "one,two\n")
        self.write(".gitignore", IGNORE)
        (folder / "profiles/default").mkdir(parents=True)
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

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text, f"{name} has no {old!r}"
        self.write(name, text.replace(old, new))

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def git(self, *arguments: str) -> None:
        self.run("git", *WHO, *arguments)

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)

    def run(self, *command: str, ok: bool = True, **variables: str) -> str:
        """What a command says; it must succeed, or fail when `ok` is False."""
        made = subprocess.run(
            command, cwd=self.folder, env=self.environment(**variables), text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert (made.returncode == 0) is ok, f"{' '.join(command)}\n{made.stdout}"
        return made.stdout

    def start(self, *command: str) -> subprocess.Popen[str]:
        """A command that goes on while the test does, in a process group of its own."""
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment(), text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            # a job of a shell's background ignores Ctrl-C, and so would its children
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip

    def environment(self, **variables: str) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT / "src")} | variables

    def snakemake(self, *arguments: str, ok: bool = True) -> str:
        return self.run("snakemake", "--cores", "2", *arguments, ok=ok)

    def dvc(self, *arguments: str, ok: bool = True) -> str:
        return self.run("dvc", *arguments, ok=ok)

    def sync(self, *arguments: str, ok: bool = True) -> str:
        return self.run(sys.executable, "-m", "reprise.pipeline.state", *arguments, ok=ok)

    def ran(self) -> list[str]:
        """The jobs that ran since this was last asked, sorted."""
        log = self.folder / "logs/ran"
        names = sorted(log.read_text().split()) if log.exists() else []
        log.unlink(missing_ok=True)
        return names

    def nothing_to_do(self) -> None:
        """Both engines find everything fresh."""
        assert "Nothing to be done" in self.snakemake("-n")
        assert "up to date" in self.dvc("status")
        assert "Data and pipelines are up to date" in self.dvc("repro")
        assert self.ran() == []
