"""params.yaml and dvc.yaml from presets/.

A preset that begins with the comment for editors is complete; such a one with the key `union` names
the presets that it puts together, and others are overlays of a complete one.
"""

import argparse
import logging
from pathlib import Path
from typing import Any

from reprise.atomic_io import delete, write_text
from reprise.cli import run
from reprise.engines.blocks import union
from reprise.engines.data import LEFT_OUT, read_left_out
from reprise.engines.selection import restore, without_data
from reprise.errors import RepriseError, did_you_mean
from reprise.params.base import PARAMS
from reprise.params.load import Params, parse
from reprise.params.reader import parse_layout, parse_yaml, read_text, read_yaml, yaml_text

BASE = "earth"
BASES = {"course-smoke": "course"}  # of the overlays; of the others: BASE
COMPLETE = "# yaml-language-server:"  # how the text of a complete preset begins
# An entry of these mappings (a dataset, a task, ...) that is null in an overlay is removed.
REMOVABLE = Params.model_fields.keys() - {"runtime", "plot"}


def main() -> None:
    """Write params.yaml, and derive dvc.yaml from its tasks."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("preset", help="a file of presets/, without its ending")
    parser.add_argument("--force", action="store_true", help="drop changes made by hand")
    parser.add_argument("--presets", type=Path, default=Path("presets"))
    parser.add_argument("--out", type=Path, default=PARAMS)
    args = parser.parse_args()
    text = render(args.preset, args.presets)
    if not args.force and changed_by_hand(args.out, args.presets):
        raise RepriseError(
            f"{args.out}: has changes of your own, not those of a preset; keep a copy, then "
            f"`make preset PRESET={args.preset} FORCE=1`"
        )
    write_text(args.out, text)
    if args.out == PARAMS:
        delete(LEFT_OUT)  # of the preset before
        from reprise.engines import dvcyaml  # here: Snakemake takes a second to import

        write_text(dvcyaml.DVC_YAML, dvcyaml.render())
    logging.info("%s: preset %s", args.out, args.preset)


def names(presets: Path) -> list[str]:
    """The existing presets, sorted."""
    return sorted(path.stem for path in presets.glob("*.yaml"))


def render(name: str, presets: Path) -> str:
    """The text of params.yaml for a preset, with the comments of the complete file.

    Raises RepriseError: no such preset, a key that the complete file does not have (with the
    closest one), or invalid values.
    """
    if name not in names(presets):
        raise RepriseError(f"preset '{name}' does not exist; {did_you_mean(name, names(presets))}")
    text = read_text(presets / f"{name}.yaml")
    if text.startswith(COMPLETE):
        text = _complete(name, presets)
    else:
        complete = BASES.get(name, BASE)
        values = parse_layout(_complete(complete, presets))
        overlay = read_yaml(presets / f"{name}.yaml", layout=True)
        _merge(values, overlay or {}, name, complete)
        text = yaml_text(values).replace(f"PRESET={complete}", f"PRESET={name}", 1)
    parse(parse_yaml(text), f"presets/{name}.yaml")
    return text


def _complete(name: str, presets: Path) -> str:
    """The text of a complete preset; of a union, that of its presets below its own comment."""
    text = read_text(presets / f"{name}.yaml")
    head, key, _ = text.partition("\nunion:")
    if not key:
        return text
    files = [presets / f"{preset}.yaml" for preset in parse_yaml(text)["union"]]
    texts = {str(file): read_text(file) for file in files}
    return union(head, texts, [*Params.model_fields])


def changed_by_hand(path: Path, presets: Path) -> bool:
    """Whether `path` exists and is the text of no preset.

    What `make data` has cut, and the names and checksums of the folders that it wrote, do not
    count.
    """
    if not path.exists():
        return False
    text = restore(read_text(path), read_left_out())
    return without_data(text) not in [without_data(render(n, presets)) for n in names(presets)]


def _merge(values: Any, overlay: dict[str, Any], preset: str, complete: str, key: str = "") -> None:
    """Put the values of `overlay` into `values`: mappings are merged, lists replaced.

    Only a recipe may be new: another unknown key is a misspelt one.
    """
    where = f"presets/{preset}.yaml"
    for name, value in overlay.items():
        dotted = f"{key}.{name}" if key else str(name)
        if name not in values and key.endswith(".recipes"):
            values[name] = value
        elif name not in values:
            hint = did_you_mean(str(name), list(values))
            raise RepriseError(f"{where}: unknown key '{dotted}'; {hint}")
        elif value is None and key in REMOVABLE:
            del values[name]
        elif isinstance(values[name], dict) != isinstance(value, dict):
            kind = "a mapping" if isinstance(values[name], dict) else "a value, not a mapping"
            raise RepriseError(f"{where}: '{dotted}' must be {kind}, as in {complete}.yaml")
        elif isinstance(value, dict):
            _merge(values[name], value, preset, complete, dotted)
        elif isinstance(values[name], list):
            values[name][:] = value  # in place: the comment after the list stays
        else:
            values[name] = value


if __name__ == "__main__":
    run(main)
