"""How far two trainings that differ in rounding alone move the comparisons: docs/spread.csv.

python -m bench.spread --build DIR   nine builds of preset earth in a clone at DIR, in two hours;
                                     continues where it was interrupted
python -m bench.spread               the table of docs/determinism.md from docs/spread.csv
"""

import argparse
import os
import subprocess
from pathlib import Path

import pandas as pd

from bench.measure import ROOT
from reprise.params.reader import read_yaml, yaml_text

CSV = ROOT / "docs" / "spread.csv"
SEEDS = (0, 3, 6)  # the first of three seeds of a build
BUILDS = {
    f"threads {threads}, {precision}, seeds from {seed}": (threads, precision, seed)
    for threads, precision in ((1, "auto"), (2, "auto"), (1, "float32"))
    for seed in SEEDS
}
PAIRS = {  # what differs: the two kinds of builds, of the same seeds
    "threads 1 and 2": ((1, "auto"), (2, "auto")),
    "bfloat16 and float32": ((1, "auto"), (1, "float32")),
}
KEPT = ["stage", "task", "a", "b", "difference", "ci_low", "ci_high", "groups_low", "groups_high"]


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("bench.spread", description=__doc__, formatter_class=layout)
    parser.add_argument("--build", type=Path, metavar="DIR", help="build, then write the csv file")
    folder = parser.parse_args().build
    if folder:
        tables = [build(folder, name).assign(build=name) for name in BUILDS]
        pd.concat(tables)[["build", *KEPT]].to_csv(CSV, index=False, lineterminator="\n")
    if not CSV.exists():
        parser.error(f"{CSV.relative_to(ROOT)} does not exist; make it with --build DIR")
    print(table(pd.read_csv(CSV)), end="")


def build(folder: Path, name: str) -> pd.DataFrame:
    """The comparisons of one build of preset earth, which is made if it has not been."""
    threads, precision, first = BUILDS[name]
    kept = folder / f"{threads}-{precision}-{first}.csv"
    clone = folder / "clone"
    if not kept.exists():
        if not clone.exists():
            subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
        params = read_yaml(clone / "presets" / "earth.yaml")
        params["runtime"] |= {"threads": threads, "precision": precision}
        del params["embed"]  # of seed 0
        for stage in ("classify", "pretrain", "finetune", "segment"):
            for task in params[stage].values():
                task["seeds"] = [first + seed for seed in task["seeds"]]
        (clone / "params.yaml").write_text(yaml_text(params))
        target = "results/tables/comparisons.csv"
        subprocess.run(
            ["snakemake", target, "--cores", "2", "--quiet", "rules"],
            cwd=clone, check=True, env=os.environ | {"REPRISE_STATE": "off"},
        )  # fmt: skip
        (clone / target).rename(kept)
    return pd.read_csv(kept)


def table(rows: pd.DataFrame) -> str:
    """Of the differences of each build, how many lie outside the interval of the other one."""
    keys = ["stage", "task", "a", "b"]
    lines = [
        "| what differs | comparisons | outside the other's 95 % CI | median distance | largest |",
        "|---|---:|---:|---:|---:|",
    ]
    pooled = []
    for what, kinds in PAIRS.items():
        both = [of_kind(rows, kind).set_index([*keys, "seed"]) for kind in kinds]
        one = pd.concat(
            first.join(second.add_suffix("_other"), how="inner")
            for first, second in (both, both[::-1])
        )
        # `auto` takes float32 for some networks, whose trainings are then the same
        one = one[one["difference"] != one["difference_other"]]
        pooled.append(one)
        lines.append(line(what, one))
    lines.append(line("both", pd.concat(pooled)))
    return "\n".join(lines) + "\n"


def of_kind(rows: pd.DataFrame, kind: tuple[int, str]) -> pd.DataFrame:
    """The rows of the builds of a kind that have an interval over groups and seeds."""
    seeds = {name: seed for name, (*same, seed) in BUILDS.items() if tuple(same) == kind}
    kept = rows[rows["build"].isin(seeds) & rows["ci_low"].notna()]
    return kept.assign(seed=kept["build"].map(seeds))


def line(what: str, pairs: pd.DataFrame) -> str:
    """A row of the table; each comparison is counted in both directions."""
    if pairs.empty:
        return f"| {what} | 0 | | | |"
    other = pairs["difference_other"]
    outside = int(((other < pairs["ci_low"]) | (other > pairs["ci_high"])).sum())
    moved = 100 * (other - pairs["difference"]).abs()
    return (
        f"| {what} | {len(pairs)} | {outside} ({outside / len(pairs):.1%}) "
        f"| {moved.median():.1f} points | {moved.max():.1f} points |"
    )


if __name__ == "__main__":
    main()
