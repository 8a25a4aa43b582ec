"""The study of presets/study.yaml: its tables and one page of prose in docs/study/.

make study                         after `make preset PRESET=study` and `make run`
python -m bench.study --check      whether the page is what its tables say
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from bench.measure import ROOT, facts_of_run
from reprise.compare import machine_line

STUDY = ROOT / "docs" / "study"
TABLES = ("finetune_earth", "pretrain_earth", "comparisons", "seeds")
# question -> the pairs that answer it; yes: the first of a pair is higher (1) or lower (-1)
QUESTIONS = {
    "Does pretraining help with {train} labeled images?": (1, [("B", "A"), ("C", "A")]),
    "Is BYOL better than supervised pretraining?": (1, [("C", "B"), ("E", "D")]),
    "Does freezing the backbone hurt?": (-1, [("D", "B"), ("E", "C")]),
}


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("bench.study", description=__doc__, formatter_class=layout)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it differs")
    check = parser.parse_args().check
    if not check:
        collect(ROOT, STUDY)
    text = page(*read(STUDY))
    if check and text != (STUDY / "README.md").read_text():
        sys.exit("docs/study/README.md: not what its tables say; run `make study`")
    (STUDY / "README.md").write_text(text)


def collect(project: Path, out: Path) -> None:
    """Copy the tables of the last run, and write facts.json: what the page says of the run."""
    params = yaml.safe_load((project / "params.yaml").read_text())
    results = project / "results"
    out.mkdir(exist_ok=True)
    for name in TABLES:
        (out / f"{name}.csv").write_bytes((results / "tables" / f"{name}.csv").read_bytes())
    pretrain, finetune = params["pretrain"]["earth"], params["finetune"]["earth"]
    data = {
        name: params_of["data"]
        for name, params_of in (("pretrain", pretrain), ("finetune", finetune))
    }
    images = {
        stage: pd.read_csv(results / "prepare" / name / "index.csv")["split"]
        .value_counts()
        .to_dict()
        for stage, name in data.items()
    }
    facts = facts_of_run(project) | {
        "data": data,
        "images": images,
        "epochs": {run: recipe["epochs"] for run, recipe in pretrain["recipes"].items()}
        | {"finetune": finetune["common"]["epochs"]},
    }
    (out / "facts.json").write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")


def read(folder: Path) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """The tables by name, and the facts."""
    tables = {name: pd.read_csv(folder / f"{name}.csv") for name in TABLES}
    return tables, json.loads((folder / "facts.json").read_text())


def page(tables: dict[str, pd.DataFrame], facts: dict[str, Any]) -> str:
    """The text of docs/study/README.md."""
    pairs = tables["comparisons"].set_index(["a", "b"])
    train = facts["images"]["finetune"]["train"]
    sections = []
    for question, (yes, members) in QUESTIONS.items():
        rows = [pairs.loc[pair].to_dict() | {"a": pair[0], "b": pair[1]} for pair in members]
        lines = [f"- {sentence(row)}" for row in rows]
        heading = f"## {question.format(train=train)}"
        sections += [heading, answer(rows, yes), "\n".join(lines)]
    runs = tables["finetune_earth"]
    seeds = int(runs["seeds"].iloc[0])
    return PAGE.format(
        sections="\n\n".join(sections), settings=settings(runs), seeds=seeds, train=train,
        pairs=len(pairs), machine=machine_line(facts["machine"]), **_counts(facts, runs),
    )  # fmt: skip


def answer(rows: list[dict[str, Any]], yes: int) -> str:
    """The answer to a question in a sentence, from the comparisons that bear on it."""
    signs = [
        yes * (1 if row["difference"] > 0 else -1) if row["significant"] else 0 for row in rows
    ]
    if set(signs) == {1}:
        return "**Yes**, in both comparisons."
    if set(signs) == {-1}:
        return "**No**: both comparisons show the opposite."
    if not any(signs):
        bound = max(abs(100 * row[end]) for row in rows for end in ("ci_low", "ci_high"))
        return f"**No difference above {bound:.1f} points**, and none is shown."
    words = {1: "yes", -1: "the opposite", 0: "not shown"}
    parts = [
        f"{row['a']} against {row['b']}: {words[sign]}"
        for row, sign in zip(rows, signs, strict=True)
    ]
    return f"**It depends.** {'; '.join(parts)}."


def sentence(row: dict[str, Any]) -> str:
    """A comparison in words."""
    gap, low, high = (100 * row[name] for name in ("difference", "ci_low", "ci_high"))
    where = f"95 % CI [{low:.1f}, {high:.1f}], p = {row['p_holm']:.3f} after Holm's correction"
    size = f"{abs(gap):.1f} points {'above' if gap > 0 else 'below'}"
    if row["significant"]:
        return f"{row['a']} is {size} {row['b']} ({where})."
    return f"{row['a']} was {size} {row['b']}, which is not significant ({where})."


def settings(runs: pd.DataFrame) -> str:
    """The table of the settings."""
    lines = [
        "| Setting | Pretraining | Trained | Test accuracy | sd | 95 % CI |",
        "|---|---|---|---:|---:|---:|",
    ]
    for row in runs.to_dict("records"):
        interval = f"{row['test_accuracy_ci_low']:.3f} to {row['test_accuracy_ci_high']:.3f}"
        cells = [row["run"], row["start"], row["tuned"], f"{row['test_accuracy']:.4f}"]
        cells += [f"{row['test_accuracy_sd']:.4f}", interval]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _counts(facts: dict[str, Any], runs: pd.DataFrame) -> dict[str, Any]:
    return {
        "commit": facts["commit"],
        "minutes": facts["cpu_minutes"],
        "unlabeled": facts["images"]["pretrain"]["train"],
        "images": int(runs["images"].iloc[0]),
        "groups": int(runs["groups"].iloc[0]),
        "byol": facts["epochs"]["byol"],
        "supervised": facts["epochs"]["supervised"],
        "finetune": facts["epochs"]["finetune"],
    }


PAGE = """# Does pretraining help, does BYOL, does freezing hurt?

The settings A to E with {seeds} whole chains each: seed *s* of a setting starts from the
pretraining of seed *s*. The backbone is pretrained on {unlabeled} images of the Old World for
{byol} epochs (BYOL) or {supervised} (supervised), and fine-tuned on {train} labeled images of the
New World for {finetune} epochs. The accuracies are those of {images} test images in {groups} blocks
of the globe.

```console
$ make preset PRESET=study
$ make run
$ make study    # this page, from the tables of the run
```

Made at commit {commit} ({machine}). The jobs took {minutes} CPU minutes. `make run` continues
where it was interrupted.

{sections}

## The settings

{settings}

The 95 % CI is over blocks and chains. The p-values are of Student's t with Holm's correction for
all {pairs} pairs; "significant" means below 0.05. The answers hold for these images, this backbone
and these lengths of training. Every sentence above is made from the rows of
[comparisons.csv](comparisons.csv); the settings are in [finetune_earth.csv](finetune_earth.csv),
the accuracy of each chain in [seeds.csv](seeds.csv), and the pretrainings in
[pretrain_earth.csv](pretrain_earth.csv).
"""


if __name__ == "__main__":
    main()
