"""The tasks of params.yaml whose data and weights are there; the others are kept aside as text.

A task without its data, or without any run whose weights are there, is cut from the text of
params.yaml; of other tasks, the list `runs` is shortened. What was cut is restored later as it was,
with the user's comments and changes.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from reprise.engines.blocks import Section, read_sections, write_sections
from reprise.engines.missing import missing_of_runs
from reprise.errors import RepriseError
from reprise.params.load import NETWORKS, parse
from reprise.params.reader import parse_yaml, preset_name


class LeftOut(BaseModel):
    """What was cut from params.yaml.

    preset: that it was written from. order, titles: of the sections before, the names of their
    blocks and their first lines. blocks: texts by section and name. runs: by stage and task, the
    text of the list before and after.
    """

    preset: str = ""
    order: list[tuple[str, list[str]]] = []  # JSON sorts mappings
    titles: dict[str, str] = {}
    blocks: dict[str, dict[str, str]] = {}
    runs: dict[str, tuple[str, str]] = {}


def restore(text: str, left_out: LeftOut) -> str:
    """The text with all that was cut, unless it is of another preset.

    What is in the text now wins over what was cut from it.
    """
    if left_out.preset != preset_name(text) or not left_out.order:
        return text
    sections = read_sections(text)
    for section, blocks in left_out.blocks.items():
        if section not in sections:
            sections[section] = Section(left_out.titles[section])
        sections[section].blocks = blocks | sections[section].blocks
    for key, lists in left_out.runs.items():
        stage, task = key.split(".")
        block = sections[stage].blocks.get(task) if stage in sections else None
        if block:
            sections[stage].blocks[task] = _with_runs(block, _all_runs(_runs(block), *lists))
    for section, names in left_out.order:
        if section in sections:
            blocks = sections[section].blocks
            first = [name for name in names if name in blocks]
            sections[section].blocks = {
                name: blocks[name] for name in dict.fromkeys([*first, *blocks])
            }
    order = dict.fromkeys([*dict(left_out.order), *sections])
    return write_sections({name: sections[name] for name in order if name in sections})


def _all_runs(now: str, before: str, after: str) -> str:
    """The text of a list of runs with those that were cut; what a user changed since stays.

    before, after: the list when it was cut.
    """
    present, complete, kept = (_names(text) for text in (now, before, after))
    cut = [run for run in complete if run not in kept]
    if set(cut) <= set(present):
        return now
    if present == kept:
        return before
    known = [run for run in complete if run in present or run in cut]
    return f"[{', '.join([*known, *(run for run in present if run not in known)])}]"


def _names(runs: str) -> list[str]:
    """The names in the text of a list of runs, which may be a flow or a block list."""
    names: list[str] = re.findall(r"""(?:^|[\[,]|- ) *["']?(\w+)""", re.sub("#.*", "", runs), re.M)
    return names


def merged(old: LeftOut, new: LeftOut) -> LeftOut:
    """What brings back a text from before and from after a selection, as each has its own cuts."""
    if old.preset != new.preset or not old.order or not new.order:
        return new if new.order else old
    both = {section: old.blocks.get(section, {}) | blocks for section, blocks in new.blocks.items()}
    runs = dict(new.runs)
    for key, (before, after) in old.runs.items():
        if key in runs:
            kept = _names(runs[key][1])
            after = f"[{', '.join(run for run in _names(after) if run in kept)}]"
        runs[key] = (before, after)
    titles, blocks = old.titles | new.titles, old.blocks | both
    return LeftOut(preset=new.preset, order=new.order, titles=titles, blocks=blocks, runs=runs)


def select(text: str, datasets: Collection[str], weights: Collection[str]) -> tuple[str, LeftOut]:
    """The text with the tasks and runs that can be computed, and what was cut from it.

    text: a complete params.yaml. datasets, weights: names of those that are there. A dataset that
    only tasks without weights would use is cut too, so that it is not prepared for nothing.
    """
    params = parse(parse_yaml(text))
    reasons = missing_of_runs(params, datasets, weights)
    sections = read_sections(text)
    left_out = LeftOut(
        preset=preset_name(text),
        order=[(name, list(section.blocks)) for name, section in sections.items()],
        titles={name: section.title for name, section in sections.items() if section.blocks},
    )

    def cut(section: str, name: str) -> None:
        left_out.blocks.setdefault(section, {})[name] = sections[section].blocks.pop(name)

    complete = [key for key, runs in reasons.items() if not all(runs.values())]
    used, still_used = (
        {getattr(params, stage)[task].data for stage, task in keys} for keys in (reasons, complete)
    )
    for name in params.datasets:
        if name not in datasets or (complete and name in used - still_used):
            cut("datasets", name)
    for (stage, task), runs in reasons.items():
        kept = [run for run, why in runs.items() if not why]
        if not kept:
            cut(stage, task)
        elif len(kept) < len(runs):
            block = sections[stage].blocks[task]
            before, after = _runs(block), f"[{', '.join(kept)}]"
            left_out.runs[f"{stage}.{task}"] = before, after
            sections[stage].blocks[task] = _with_runs(block, after)
    for name, embed in params.embed.items():
        runs = reasons[embed.stage, embed.task]
        if runs[embed.run]:
            cut("embed", name)
    return write_sections(sections), left_out


def check_form(text: str) -> None:
    """Raise RepriseError if a params.yaml is not written as the presets are, so that it can be cut.

    Each dataset and task begins with its name after two spaces, and there is no alias.
    """
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            line = event.start_mark.line + 1 if event.start_mark else "?"
            raise RepriseError(
                f"params.yaml: line {line}: *{event.anchor}: `make data` cuts "
                "tasks from the text; write the values in place of the alias"
            )
    params, sections = parse(parse_yaml(text)), read_sections(text)
    for section in ("datasets", *NETWORKS, "embed"):
        blocks = sections[section].blocks if section in sections else {}
        for name in getattr(params, section):
            if name not in blocks:
                raise RepriseError(
                    f"params.yaml: {section}.{name}: `make data` cuts tasks from the text; begin a "
                    f"line with two spaces and `{name}:`, as the presets do"
                )


def set_registered(text: str, registered: Mapping[str, tuple[str, str]]) -> str:
    """The text with the name and sha256 of the registered folder of some datasets.

    registered: both, by the dataset's name in params.yaml. Raises RepriseError if a key is not on
    a separate line.
    """
    sections = read_sections(text)
    blocks = sections["datasets"].blocks
    for dataset, values in registered.items():
        for key, value in zip(("registered_as", "sha256"), values, strict=True):
            # quoted, because some are numbers to YAML, such as 2023
            blocks[dataset] = _with_value(blocks[dataset], key, f'"{value}"')
    written = write_sections(sections)
    datasets: dict[str, Any] = parse(parse_yaml(written)).datasets
    for dataset, values in registered.items():
        if (datasets[dataset].registered_as, datasets[dataset].sha256) != values:
            raise RepriseError(
                f"params.yaml: datasets.{dataset}: `make data` writes registered_as and sha256; "
                "write each on a separate line, such as `    sha256: null`"
            )
    return written


def without_data(text: str) -> str:
    """The text without the names and sha256 of registered folders, to compare it with a preset."""
    sections = read_sections(text)
    if "datasets" in sections:
        for dataset, block in sections["datasets"].blocks.items():
            for key in ("registered_as", "sha256"):
                block = _with_value(block, key, "null")
            sections["datasets"].blocks[dataset] = block
    return write_sections(sections)


def _with_value(block: str, key: str, value: str) -> str:
    """A block with another value of a key that has one; its comment is kept."""

    def line(match: re.Match[str]) -> str:
        new = f"{match[1]}{value}"
        return f"{new} {match[3].lstrip()}" if match[3] else new

    pattern = rf"^(    {key}: +)([^\s#]+|\"[^\"]*\")( *#.*)? *$"
    return re.sub(pattern, line, block, flags=re.M)


def _runs(block: str) -> str:
    """The text of the list `runs` in the block of a task."""
    start, end = _span(block)
    return block[start:end]


def _with_runs(block: str, runs: str) -> str:
    start, end = _span(block)
    return block[:start] + runs + block[end:]


def _span(block: str) -> tuple[int, int]:
    """Where the list `runs` of a task begins and ends, as indices of the block's text."""
    tree: Any = yaml.compose(block)
    ((_, task),) = tree.value
    (runs,) = (value for key, value in task.value if key.value == "runs")
    end = runs.end_mark if runs.flow_style else runs.value[-1].end_mark
    return runs.start_mark.index, end.index
