"""The model card of an exported run: what it is, how good it is, and how it is used."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path

from reprise.atomic_io import read_json
from reprise.jobs import NONE, OWN, init_weights
from reprise.params.load import Params
from reprise.predict.exported import Metadata
from reprise.predict.trained_run import TrainedRun

TAGS = {"classification": "image-classification", "segmentation": "image-segmentation"}
USE = """\
With Reprise installed (`pip install .` in its repository), the images of a folder:

```console
$ reprise predict --model {folder} IMAGES --out {out}
```

`--probabilities` also writes the probability of each class. With torch only:

```python
import torch
network = torch.export.load("model.pt2").module()
mean, std = torch.tensor({mean}), torch.tensor({std})
# rgb: (n, {height}, {width}, 3) uint8
logits = network(((rgb / 255 - mean) / std).permute(0, 3, 1, 2).contiguous())  # {logits}
```
"""


def model_card(
    run: TrainedRun,
    params: Params,
    metadata: Metadata,
    project: Path,
    files: Mapping[str, str],
) -> str:
    """The text of README.md, in markdown; the same run and tables give the same text.

    project: folder of results/tables and of the job's record. files: SHA-256 by name.
    """
    sections = {
        "Use": use(run, metadata),
        "Scores": scores(run, project),
        "Training": training(run, params, metadata, project),
        "Input": inputs(run, metadata),
        "Classes": classes(run),
        "Limits": limits(run, metadata),
        "Files": "\n".join(f"* `{name}`: sha256 {digest}" for name, digest in files.items()),
    }
    job = run.job
    head = f"---\npipeline_tag: {TAGS[run.dataset.kind]}\ntags: [reprise]\n---\n# {job.path}\n\n"
    kind = "label maps" if run.segments else "one class for an image"
    about = (
        f"`{metadata.architecture}`, trained by Reprise {metadata.reprise}: run {job.run} of the "
        f"task {job.task} of the stage {job.stage}, seed {job.seed}. It predicts {kind}."
    )
    body = "\n\n".join(f"## {title}\n\n{text.strip()}" for title, text in sections.items())
    return f"{head}{about}\n\n{body}\n"


def use(run: TrainedRun, metadata: Metadata) -> str:
    """How images are predicted."""
    height, width = metadata.input_size
    count = len(run.classes.names)
    logits = f"(n, {count}, height, width)" if run.segments else f"(n, {count})"
    return USE.format(
        folder="FOLDER", out="MASKS" if run.segments else "classes.csv", mean=metadata.mean,
        std=metadata.std, height=height, width=width, logits=logits,
    )  # fmt: skip


def scores(run: TrainedRun, project: Path) -> str:
    """The run's row of its task's table, the notes below it, and the scores of this seed."""
    job, tables = run.job, project / "results" / "tables"
    path = tables / f"{job.stage}_{job.task}.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [line for line in lines[2:] if line.split("|")[1].strip() == job.run]
    if not rows:
        return f"Not evaluated: `results/tables/{path.name}` did not have this run."
    notes = [block for block in text.split("\n\n") if block.startswith("Dataset ")][:1]
    mean = f"All seeds of the run, as `results/tables/{path.name}` has them:"
    return "\n\n".join([*seed_scores(run, tables), mean, "\n".join(lines[:2] + rows), *notes])


def seed_scores(run: TrainedRun, tables: Path) -> list[str]:
    """A sentence on the seed that is exported, if the table of seeds has it."""
    path, job = tables / "seeds.csv", run.job
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    name = [job.stage, job.task, job.run, str(job.seed)]
    matching = [row for row in rows if [row[k] for k in ("stage", "task", "run", "seed")] == name]
    return [
        f"This model: {row['metric']} {float(row['test']):.4f} on test, "
        f"{float(row['val']):.4f} on val, which chose the epoch."
        for row in matching
        if row["test"] and row["val"]
    ]


def training(run: TrainedRun, params: Params, metadata: Metadata, project: Path) -> str:
    """The images, the start, the recipe and the machine of the training."""
    info, job = run.dataset.info, run.job
    counts = ", ".join(f"{split} {n}" for split, n in sorted(info.get("images", {}).items()))
    start = init_weights(params, job.stage, job.task, job.run)
    starts = {NONE: "random weights", OWN: "weights pretrained in the same project"}
    record = project / "logs" / f"{job.path}.json"
    machine = read_json(record).get("machine", {}) if record.is_file() else {}
    lines = [
        f"* Dataset: {metadata.data} ({counts} images)",
        f"* Source: {metadata.source or 'not recorded'}",
        f"* Licence of the images: {metadata.licence or 'not recorded'}",
        f"* Start: {starts.get(start, f'the published weights `{start}`')}",
    ]
    if machine:
        words = (f"{key} {value}" for key, value in machine.items())
        lines.append(f"* Machine: {', '.join(words)}")
    recipe = json.dumps(run.recipe.model_dump(mode="json", exclude_defaults=True), indent=1)
    return "\n".join([*lines, "", "Recipe, where it differs from the defaults:", "", "```json",
                      recipe, "```"])  # fmt: skip


def inputs(run: TrainedRun, metadata: Metadata) -> str:
    """How an image becomes the network's input."""
    size = "{} x {}".format(*run.shape)
    height, width = metadata.input_size
    if run.segments:
        text = f"An image is read in windows of {size} pixels."
    elif metadata.resize == "cover":
        text = f"An image is scaled until it just covers {size} pixels, and cut at the center."
    else:
        text = f"An image is brought to {size} pixels by `{metadata.resize}`."
    return (
        f"{text} Pixels are interpolated {metadata.interpolation}. The network takes "
        f"{height} x {width} pixels: red, green and blue in 0..1, minus the mean "
        f"{metadata.mean}, divided by {metadata.std}."
    )


def classes(run: TrainedRun) -> str:
    """The classes by id, with the colors of masks."""
    colors = run.classes.colors
    lines = [
        f"* {i}: {name}" + (f", color {', '.join(map(str, colors[i]))}" if colors else "")
        for i, name in enumerate(run.classes.names)
    ]
    ignored = run.classes.ignore
    note = [] if ignored is None else [f"\nPixels labelled {ignored} were not trained on."]
    return "\n".join(lines + note)


def limits(run: TrainedRun, metadata: Metadata) -> str:
    """What the scores do not say."""
    note = run.dataset.info.get("note", "")
    lines = [
        f"The scores are measured on images of {metadata.data} only; they say nothing about images "
        "of other places, cameras or classes. Every image gets one of the classes above, also one "
        "that shows none of them. Probabilities were not calibrated after the training.",
        *([note] if note else []),
    ]
    epochs = getattr(run.recipe, "ensemble_epochs", 1)
    if epochs > 1:
        lines.append(f"The scores are of a vote of {epochs} epochs; this model is its best epoch.")
    return "\n\n".join(lines)
