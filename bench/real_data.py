"""Runs on the courses' own images: their tables and one page in docs/real-data/.

python -m bench.real_data --add NAME DIR   the tables of the run in the clone DIR, under NAME
python -m bench.real_data                  the page, from the tables
python -m bench.real_data --check          whether the page is what its tables say
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from bench.measure import ROOT, facts_of_run
from reprise.compare import machine_line
from reprise.datasets.prepared import read_prepared
from reprise.evaluation.published_numbers import METRICS
from reprise.evaluation.recipe_differences import Homeworks, in_words, recipe_values
from reprise.params.load import Params, load_params

FOLDER = ROOT / "docs" / "real-data"


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("bench.real_data", description=__doc__, formatter_class=layout)
    parser.add_argument("--add", nargs=2, metavar=("NAME", "DIR"), help="collect a run's tables")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it differs")
    args = parser.parse_args()
    if args.add:
        name, project = args.add
        collect(Path(project), FOLDER / name)
    text = page(FOLDER)
    if args.check and text != (FOLDER / "README.md").read_text():
        sys.exit("docs/real-data/README.md: not what its tables say")
    if not args.check:
        (FOLDER / "README.md").write_text(text)


def collect(project: Path, out: Path) -> None:
    """Write numbers.csv, comparisons.csv and facts.json of the last run in a clone.

    project: a clone whose params.yaml, results/ and logs/ are those of the run.
    """
    params = load_params(project / "params.yaml")
    tables = project / "results" / "tables"
    out.mkdir(parents=True, exist_ok=True)
    numbers(params, tables).to_csv(out / "numbers.csv", index=False, lineterminator="\n")
    pairs = pd.read_csv(tables / "comparisons.csv")
    if len(pairs):
        (out / "comparisons.csv").write_bytes((tables / "comparisons.csv").read_bytes())
    prepared = [
        read_prepared(project / "results" / "prepare" / name)
        for name in sorted({block.data for _, _, block in blocks(params)})
    ]
    facts = facts_of_run(project) | {
        "datasets": {
            dataset.name: {
                "archive": dataset.info["archive"],
                "verified": dataset.info["verified"],
                "images": dataset.info["images"],
                "groups": dataset.info["split"]["groups"],
            }
            for dataset in prepared
        },
    }
    (out / "facts.json").write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")


def blocks(params: Params) -> list[tuple[str, str, Any]]:
    """Stage, task and block of the tasks of classification and segmentation."""
    return [
        (stage, task, block)
        for stage in ("classify", "segment")
        for task, block in sorted(getattr(params, stage).items())
    ]


def metrics(stage: str, homework: str) -> list[str]:
    """The metrics of a homework's stage, as its course computes them."""
    if stage == "classify":
        return ["accuracy"]
    return ["miou_cs6550", "pixel_accuracy_cs6550"] if homework == "cs6550" else ["miou_dlcv"]


def numbers(params: Params, tables: Path) -> pd.DataFrame:
    """A row for each run and metric: ours with intervals, what is published, what differs."""
    published = pd.read_csv(tables / "published_numbers.csv", keep_default_na=False)
    published = published[published["class"] == ""]
    homeworks = Homeworks(ROOT / "presets")
    rows = []
    for stage, task, block in blocks(params):
        table = pd.read_csv(tables / f"{stage}_{task}.csv").set_index("run")
        homework = task.split("_")[0]
        for run in block.runs:
            theirs = recipe_values(homeworks.params(homework), stage, task, run)
            differs = in_words(recipe_values(params, stage, task, run), theirs)
            of_run = published[(published["our_task"] == task) & (published["our_run"] == run)]
            ours = table.loc[run]
            for metric in metrics(stage, homework):
                printed = of_run.loc[of_run["metric"] == metric, "value"]
                over = "ci" if pd.notna(ours.get(f"test_{metric}_ci_low")) else "groups"
                low, high = (ours.get(f"test_{metric}_{over}_{end}") for end in ("low", "high"))
                rows.append({
                    "stage": stage, "task": task, "run": run, "metric": metric,
                    "dataset": block.data, "ours": ours[f"test_{metric}"],
                    "ci_low": low, "ci_high": high,
                    "images": ours["images"], "seeds": ours["seeds"],
                    "published": printed.iloc[0] if len(printed) else None, "differs": differs,
                })  # fmt: skip
    return pd.DataFrame(rows)


def page(folder: Path) -> str:
    """The text of docs/real-data/README.md, from the tables in its subfolders."""
    parts = [section(path.parent) for path in sorted(folder.glob("*/facts.json"))]
    return PAGE.format(sections="\n\n".join(parts))


def section(folder: Path) -> str:
    """What the page says of one run."""
    facts = json.loads((folder / "facts.json").read_text())
    rows = pd.read_csv(folder / "numbers.csv", keep_default_na=False, na_values=[""])
    path = folder / "comparisons.csv"
    pairs = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["named"])
    lines = [
        "| Run | Metric | Published | Ours | 95 % CI | Test images | Seeds | Differs |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    lines += [f"| {' | '.join(cells(row))} |" for row in rows.to_dict("records")]
    named = pairs[pairs["named"] == 1]
    sentences = [f"- {row['task']}: {row['summary']}" for row in named.to_dict("records")]
    of_data = "\n".join(f"- {data(name, of)}" for name, of in sorted(facts["datasets"].items()))
    made = f"Made at commit {facts['commit']} ({machine_line(facts['machine'])})."
    jobs = f"The jobs took {facts['cpu_minutes']} CPU minutes."
    links = f"[numbers.csv]({folder.name}/numbers.csv)"
    if len(named):
        links += f", [comparisons.csv]({folder.name}/comparisons.csv)"
    parts = [f"## {folder.name}", f"{made} {jobs} {links}.", of_data, "\n".join(lines)]
    return "\n\n".join([*parts, *(["\n".join(sentences)] if sentences else [])])


def data(name: str, facts: dict[str, Any]) -> str:
    """A dataset in a sentence."""
    counts = ", ".join(
        f"{split} {facts['images'][split]} images in {facts['groups'][split]} groups"
        for split in ("train", "val", "test")
    )
    whose = "the SHA-256 of every split is that of" if facts["verified"] else "not verified as"
    return f"`{name}`: {whose} {facts['archive']}; {counts}"


def cells(row: dict[str, Any]) -> list[str]:
    """A row of numbers.csv as texts."""
    interval = "-" if pd.isna(row["ci_low"]) else f"{row['ci_low']:.3f} to {row['ci_high']:.3f}"
    interval += " *" if row["seeds"] == 1 and interval != "-" else ""
    printed = "-" if pd.isna(row["published"]) else f"{row['published']:.4f}"
    return [
        f"{row['task']} {row['run']}", METRICS[row["metric"]], printed,
        f"{row['ours']:.4f}", interval, str(row["images"]), str(row["seeds"]), row["differs"],
    ]  # fmt: skip


PAGE = """# On the courses' own images

Two hand-outs are in public repositories: the archive of NTU DLCV 2022 HW1 whole, and CamVid in the
form of the SegNet tutorial. Each section is one run of a homework's preset on them, in a fresh
clone:

```console
$ make preset PRESET=dlcv2022
$ make data FROM=/where/it/is
$ make run
```

No published weights could be had here, so every network is trained from scratch. What differs from
a homework's recipe stands in the row, with the homework's value in brackets. Published numbers are
of one training, whose epoch was selected on the test images; ours is selected on val images that
are cut from train. The 95 % CI is over groups of images and, with three seeds, over trainings. A *
marks the interval of one training: of this network on other images, which says nothing of another
training. A difference of one training each is one of two networks, not of two methods. Where a
class is in too few groups there is no interval. The images are not in this repository.

{sections}
"""


if __name__ == "__main__":
    main()
