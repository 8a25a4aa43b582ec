"""How each number was made: the command, the parameters, and the digests of what it came from."""

from collections.abc import Sequence

import pandas as pd
import yaml

from reprise.evaluation.digests import COLUMNS
from reprise.figures import page
from reprise.figures.sources import Sources
from reprise.params import Params

DIGITS = 12  # of a digest that are shown; results/digests.csv has all 64
INTRODUCTION = (
    "Each number comes from predictions that lie in the results folder. For each part there stand "
    "the command that rebuilds what is out of date of it, and nothing else; the digests of its "
    "code, data, weights and predictions; and its values in params.yaml, with defaults filled in. "
    "A digest is the beginning of a SHA-256; results/digests.csv has it whole, and sha256sum gives "
    "that of a file of yours. That of the code is of the script with all source files it imports; "
    "the command beside it gives it again. The packages are pinned in requirements.lock."
)


def made(sources: Sources, params: Params) -> str:
    """The section, a heading for each part that has runs."""
    files = sources.csv("digests.csv", COLUMNS, ["setting"]).fillna({"seed": -1})
    parts = [page.paragraph(INTRODUCTION)]
    for part, block in params.stages.items():
        if not block.runs:
            continue
        values = yaml.safe_dump(block.model_dump(exclude_none=True), sort_keys=False)
        own = files[(files["part"] == part) & (files["run"] != "code")]
        code = files[(files["part"] == part) & (files["run"] == "code")]
        data = files[(files["part"] == "prepare") & (files["run"] == block.data)]
        parts += [f"<h3>{part}</h3>\n", page.code(f"snakemake --cores 4 {target(part, params)}")]
        if len(own):
            parts.append(_digests(part, own, data, code))
        parts.append(page.details(f"Parameters of {part}", page.code(values)))
    parts.append("<h3>Everything</h3>\n" + page.code("snakemake --cores 4"))
    return "".join(parts)


def _digests(part: str, files: pd.DataFrame, data: pd.DataFrame, code: pd.DataFrame) -> str:
    """A row a job; above it, the digests of the code and of each file of the data set."""
    rows = []
    for (run, setting, seed), own in files.groupby(["run", "setting", "seed"], sort=False):
        number = int(float(str(seed)))
        names = [str(run), str(setting), f"seed {number}" if number >= 0 else ""]
        ends = dict(zip(own["file"].str.rsplit("/", n=1).str[1], own["sha256"], strict=True))
        kinds = ("safetensors", "predictions", "history")
        found = [next((d for end, d in ends.items() if kind in end), "") for kind in kinds]
        rows.append([" ".join(filter(None, names)), *(one[:DIGITS] or "-" for one in found)])
    listed = ", ".join(
        f"{str(file).rsplit('/', 1)[1]} {digest[:DIGITS]}"
        for file, digest in zip(data["file"], data["sha256"], strict=True)
    )
    name = data["run"].iloc[0] if len(data) else "unknown"
    sources = "".join(
        page.paragraph(
            f"Code {digest[:DIGITS]}: python -m reprise.closure {file} | xargs sha256sum | "
            "sha256sum",
            "note",
        )
        for file, digest in zip(code["file"], code["sha256"], strict=True)
    )
    table = page.table(["Job", "Weights", "Predictions", "History"], rows, f"Digests of {part}")
    return page.details(
        f"Digests of {part}",
        sources + page.paragraph(f"Data set {name}: {listed}.", "note") + table,
    )


def target(part: str, params: Params) -> str:
    """The files whose making runs every job of a part; in braces, as a shell expands them."""
    block = params.stages[part]
    levels: list[Sequence[str | int]] = [block.runs]
    if part == "pretrain":
        levels.append(params.pretrain.methods)
    if part == "finetune":
        levels.append(params.finetune.settings.all)
    levels.append(getattr(block, "seeds", []))
    folders = [_braces([str(name) for name in level]) for level in levels if level]
    return "/".join(["results", part, *folders, "history.csv"])


def _braces(names: list[str]) -> str:
    return names[0] if len(names) == 1 else "{" + ",".join(names) + "}"
