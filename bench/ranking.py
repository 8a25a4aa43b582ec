"""Which way to pretrain is best at a budget: docs/methods/ from presets/methods.yaml.

make ranking ARGS=--tries          after `make preset PRESET=methods_tries` and `make run`: the
                                   tries on val, and the rates in presets/methods.yaml
make ranking                       after `make preset PRESET=methods` and `make run`: the page
python -m bench.ranking --check    whether the page is what its tables say
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

METHODS = ROOT / "docs" / "methods"
PRESET = ROOT / "presets" / "methods.yaml"
TABLES = ("finetune_earth", "pretrain_earth", "comparisons", "seeds")
TRY_COLUMNS = ["method", "learning_rate", "knn_accuracy", "chosen"]
SCRATCH, FROZEN, SUPERVISED = "A", "_frozen", "supervised"


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("bench.ranking", description=__doc__, formatter_class=layout)
    parser.add_argument("--tries", action="store_true", help="only the tries, of the last run")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it differs")
    args = parser.parse_args()
    METHODS.mkdir(exist_ok=True)
    if args.tries:
        table = tries(ROOT)
        table.to_csv(METHODS / "tries.csv", index=False, float_format="%.6f")
        rates = table[table["chosen"] == 1].set_index("method")["learning_rate"]
        PRESET.write_text(with_rates(PRESET.read_text(), rates.to_dict()))
        print(rates.to_string())
        return
    if not args.check:
        collect(ROOT, METHODS)
    text = page(*read(METHODS))
    if args.check and text != (METHODS / "README.md").read_text():
        sys.exit("docs/methods/README.md: not what its tables say; run `make ranking`")
    (METHODS / "README.md").write_text(text)


def tries(project: Path) -> pd.DataFrame:
    """TRY_COLUMNS: each learning rate of each method with its kNN accuracy on val.

    Read from the last run of presets/methods_tries.yaml. chosen: 1 for the best of each method, the
    first of equals. Fails unless all methods have the same learning rates.
    """
    params = yaml.safe_load((project / "params.yaml").read_text())["pretrain"]["earth"]
    scores = pd.read_csv(project / "results/tables/pretrain_earth.csv").set_index("run")
    rows = [
        [params["recipes"][run]["method"], params["recipes"][run]["learning_rate"],
         scores.loc[run, "knn_accuracy"], 0]
        for run in params["runs"]
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=TRY_COLUMNS)
    best = table.groupby("method", sort=False)["knn_accuracy"].idxmax()
    table.loc[best, "chosen"] = 1
    tried = {tuple(rates) for _, rates in table.groupby("method")["learning_rate"]}
    if len(tried) != 1:
        sys.exit("the methods have different tries; write params.yaml from PRESET=methods_tries")
    return table


def with_rates(text: str, rates: dict[str, float]) -> str:
    """The text of presets/methods.yaml with a learning rate for each method."""
    lines, method = [], ""
    for line in text.splitlines(keepends=True):
        name = line.strip().partition(": {method:")[0]
        method = name if ": {method:" in line else method
        if method in rates and "learning_rate: " in line and "start:" not in line:
            head, _, rest = line.partition("learning_rate: ")
            line = f"{head}learning_rate: {rates[method]:g}{rest[rest.index(',') :]}"
        lines.append(line)
    return "".join(lines)


def collect(project: Path, out: Path) -> None:
    """Copy the tables of the last run, and write facts.json: what the page says of the run."""
    params = yaml.safe_load((project / "params.yaml").read_text())
    results = project / "results"
    for name in TABLES:
        (out / f"{name}.csv").write_bytes((results / "tables" / f"{name}.csv").read_bytes())
    pretrain, finetune = params["pretrain"]["earth"], params["finetune"]["earth"]
    images = {
        stage: pd.read_csv(results / "prepare" / block["data"] / "index.csv")["split"]
        .value_counts()
        .to_dict()
        for stage, block in (("pretrain", pretrain), ("finetune", finetune))
    }
    recipes = {run: pretrain["recipes"][run] for run in pretrain["runs"]}
    facts = facts_of_run(project) | {
        "images": images,
        "epochs": sorted({recipe["epochs"] for recipe in recipes.values()}),
        "batch_size": sorted({recipe["batch_size"] for recipe in recipes.values()}),
        "finetune_epochs": finetune["common"]["epochs"],
    }
    (out / "facts.json").write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")


def read(folder: Path) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """The tables by name, and the facts."""
    tables = {name: pd.read_csv(folder / f"{name}.csv") for name in (*TABLES, "tries")}
    return tables, json.loads((folder / "facts.json").read_text())


def page(tables: dict[str, pd.DataFrame], facts: dict[str, Any]) -> str:
    """The text of docs/methods/README.md."""
    runs = tables["finetune_earth"].set_index("run")
    pairs = tables["comparisons"]
    pairs = pairs[pairs["named"].astype(bool)].set_index(["a", "b"])
    tried = tables["tries"].groupby("method").size()
    return PAGE.format(
        ranking=ranking(runs, tables["pretrain_earth"].set_index("run")),
        full=verdicts(pairs, SCRATCH, "training from scratch"),
        frozen=verdicts(pairs, SUPERVISED + FROZEN, "a frozen supervised backbone"),
        tries=tries_table(tables["tries"]), tried=int(tried.max()),
        seeds=int(runs["seeds"].iloc[0]), pairs=len(tables["comparisons"]),
        machine=machine_line(facts["machine"]), commit=facts["commit"],
        minutes=facts["cpu_minutes"], unlabeled=facts["images"]["pretrain"]["train"],
        train=facts["images"]["finetune"]["train"], images=int(runs["images"].iloc[0]),
        groups=int(runs["groups"].iloc[0]), epochs=_one(facts["epochs"]),
        batch=_one(facts["batch_size"]), finetune=facts["finetune_epochs"],
    )  # fmt: skip


def ranking(runs: pd.DataFrame, pretrained: pd.DataFrame) -> str:
    """The methods by their test accuracy after full fine-tuning, scratch among them."""
    lines = [
        "| Pretraining | Full fine-tuning | 95 % CI | Frozen backbone | 95 % CI | kNN, val |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    methods = [run for run in runs.index if not run.endswith(FROZEN)]
    for name in sorted(methods, key=lambda run: -runs.loc[run, "test_accuracy"]):
        cells = ["none (from scratch)" if name == SCRATCH else name, *_score(runs, name)]
        cells += _score(runs, name + FROZEN)
        knn = pretrained["knn_accuracy"].get(name)
        lines.append(f"| {' | '.join([*cells, '-' if knn is None else f'{knn:.4f}'])} |")
    return "\n".join(lines)


def _score(runs: pd.DataFrame, name: str) -> list[str]:
    """Accuracy and interval of a run; dashes if there is none."""
    if name not in runs.index:
        return ["-", "-"]
    row = runs.loc[name]
    low, high = row["test_accuracy_ci_low"], row["test_accuracy_ci_high"]
    return [f"{row['test_accuracy']:.4f}", f"{low:.3f} to {high:.3f}"]


def verdicts(pairs: pd.DataFrame, base: str, what: str) -> str:
    """What the comparisons with `base` say, a sentence for each outcome."""
    rows = {a: row for (a, b), row in pairs.iterrows() if b == base}
    sure = {a: row["difference"] > 0 for a, row in rows.items() if bool(row["significant"])}
    better = [a.removesuffix(FROZEN) for a, higher in sure.items() if higher]
    worse = [a.removesuffix(FROZEN) for a, higher in sure.items() if not higher]
    rest = [a.removesuffix(FROZEN) for a in rows if a not in sure]
    sentences = [f"Better than {what}: {', '.join(better)}."] * bool(better)
    sentences += [f"Worse than {what}: {', '.join(worse)}."] * bool(worse)
    if rest:
        ends = [abs(100 * rows_end) for a, row in rows.items() if a not in sure
                for rows_end in (row["ci_low"], row["ci_high"])]  # fmt: skip
        sentences.append(
            f"No difference is shown for {', '.join(rest)}; the intervals allow up to "
            f"{max(ends):.1f} points."
        )
    return " ".join(sentences)


def tries_table(table: pd.DataFrame) -> str:
    """The kNN accuracy of every try, the chosen one in bold."""
    rates = sorted(set(table["learning_rate"]))
    head = " | ".join(f"{rate:g}" for rate in rates)
    lines = [f"| Method | {head} |", f"|---|{'---:|' * len(rates)}"]
    for method, rows in table.groupby("method", sort=False):
        cells = [
            f"**{row.knn_accuracy:.4f}**" if row.chosen else f"{row.knn_accuracy:.4f}"
            for row in rows.sort_values("learning_rate").itertuples()
        ]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _one(values: list[int]) -> str:
    return " or ".join(map(str, values))


PAGE = """# Ways to pretrain, at this budget

{seeds} whole chains of each method: the backbone (ResNet-10) is pretrained on {unlabeled} images
of the Old World for {epochs} epochs with batches of {batch}, and fine-tuned on {train} labeled
images of the New World for {finetune} epochs; seed *s* starts from the pretraining of seed *s*. The
accuracies are those of {images} test images in {groups} blocks of the globe. A longer pretraining,
more images or larger batches may give another order: the papers train for hundreds of epochs.

```console
$ make preset PRESET=methods
$ make run
$ make ranking    # this page, from the tables of the run
```

Made at commit {commit} ({machine}). The jobs took {minutes} CPU minutes.

{ranking}

The 95 % CI is over blocks and chains; the order within overlapping intervals means nothing.

Full fine-tuning: {full}

Frozen backbone: {frozen}

The p-values are of Student's t with Holm's correction for all {pairs} pairs; "better" and "worse"
mean below 0.05.

## Tries

Each method had {tried} tries, with the same learning rates and a seed that no chain has. The best
by kNN accuracy on val (bold) is that of the chains. No other value was tried, so a method whose
published values fit these images better has an advantage.

{tries}

Tables: [finetune_earth.csv](finetune_earth.csv), [pretrain_earth.csv](pretrain_earth.csv),
[comparisons.csv](comparisons.csv), [seeds.csv](seeds.csv), [tries.csv](tries.csv).
"""


if __name__ == "__main__":
    main()
