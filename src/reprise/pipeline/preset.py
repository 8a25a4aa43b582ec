"""params.yaml from presets/: earth.yaml and course.yaml are whole, others hold what differs."""

import argparse
import difflib
import io
import logging
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.files import write_text
from reprise.params import parse

BASE = "earth"
BASES = {"course": "course", "course-smoke": "course"}  # of the others: BASE


def main() -> None:
    """Write params.yaml."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset", help="a file of presets/, without its ending")
    parser.add_argument("--force", action="store_true", help="drop changes made by hand")
    parser.add_argument("--presets", type=Path, default=Path("presets"))
    parser.add_argument("--out", type=Path, default=Path("params.yaml"))
    given = parser.parse_args()

    text = render(given.preset, given.presets)
    if not given.force and changed_by_hand(given.out, given.presets):
        raise RepriseError(
            f"{given.out}: has changes of your own, not those of a preset; keep a copy, then "
            f"`make preset PRESET={given.preset} FORCE=1`"
        )
    write_text(given.out, text)
    logging.info("%s: preset %s", given.out, given.preset)


def names(presets: Path) -> list[str]:
    """The presets that there are, sorted."""
    return sorted(path.stem for path in presets.glob("*.yaml"))


def render(name: str, presets: Path) -> str:
    """The text of params.yaml for a preset, with the comments of the whole file.

    Raises:
        RepriseError: no such preset, a key that the whole file does not have (with the nearest
            one), or values that do not make sense.
    """
    if name not in names(presets):
        raise RepriseError(f"preset '{name}' does not exist; {_near(name, names(presets))}")
    whole = BASES.get(name, BASE)
    base = presets / f"{whole}.yaml"
    text = base.read_text()
    if name != whole:
        layout = _layout()
        values, overlay = _load(base), _load(presets / f"{name}.yaml")
        _merge(values, overlay or {}, name, whole)
        out = io.StringIO()
        layout.dump(values, out)
        text = out.getvalue().replace(f"PRESET={whole}", f"PRESET={name}", 1)
    parse(YAML(typ="safe", pure=True).load(text), f"presets/{name}.yaml")
    return text


def changed_by_hand(path: Path, presets: Path) -> bool:
    """Whether `path` exists and is the text of no preset."""
    return path.exists() and path.read_text() not in [render(n, presets) for n in names(presets)]


def _merge(values: Any, overlay: dict[str, Any], preset: str, whole: str, key: str = "") -> None:
    """Put the values of `overlay` into `values`, in place; mappings are merged, lists replaced."""
    where = f"presets/{preset}.yaml"
    for name, value in overlay.items():
        dotted = f"{key}.{name}" if key else str(name)
        if name not in values:
            raise RepriseError(f"{where}: unknown key '{dotted}'; {_near(str(name), list(values))}")
        if isinstance(values[name], dict) != isinstance(value, dict):
            kind = "a mapping" if isinstance(values[name], dict) else "no mapping"
            raise RepriseError(f"{where}: '{dotted}' must be {kind}, as in presets/{whole}.yaml")
        if isinstance(value, dict):
            _merge(values[name], value, preset, whole, dotted)
        elif isinstance(values[name], list):
            values[name][:] = value  # in place: the comment behind the list stays
        else:
            values[name] = value


def _near(name: str, choices: list[str]) -> str:
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    return f"did you mean '{near[0]}'?" if near else f"choose from {', '.join(choices)}"


def _layout() -> YAML:
    layout = YAML()
    layout.width = 100
    layout.preserve_quotes = True
    layout.indent(mapping=2, sequence=4, offset=2)
    layout.representer.add_representer(
        type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return layout


def _load(path: Path) -> Any:
    try:
        return _layout().load(path.read_text())
    except YAMLError as error:
        raise RepriseError(f"{path}: not valid YAML: {error}") from None


if __name__ == "__main__":
    run(main)
