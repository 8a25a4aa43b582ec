"""params.yaml as values: one reader, and a refusal of what other readers of YAML would misread.

The value of a text is that of YAML 1.2, in which DVC reads and writes it. YAML 1.1 reads `no`,
`010` or `1:30` otherwise, as people do, so such a text is refused with its line and key. But a
number such as 2e-05, text in YAML 1.1, stays a number: DVC writes it so.
"""

import io
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml as yaml_1_1
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from reprise.errors import RepriseError, one_line

BYTES = 100_000  # read in three seconds at most; the presets have 20,000
DEPTH = 20
NODES = 50_000  # with those of an alias counted each time that it is named
KINDS = {"str": "text", "bool": "true or false", "timestamp": "a date", "map": "a mapping"}
LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
Loader = getattr(yaml_1_1, "CSafeLoader", yaml_1_1.SafeLoader)


def read_yaml(path: Path, layout: bool = False) -> Any:
    """The values of a params.yaml; with `layout` its comments too, for `yaml_text`.

    Raises RepriseError if it is missing, or is not such a file (see `parse_yaml`).
    """
    text = read_text(path)
    return parse_layout(text, str(path)) if layout else parse_yaml(text, str(path))


def read_text(path: Path) -> str:
    """The text of a params.yaml. Raises RepriseError if it is missing, too large or not UTF-8."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise RepriseError(f"{path}: is not a file")
        if status.st_size > BYTES:
            raise RepriseError(f"{path}: is larger than {BYTES:,} bytes")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; `make preset PRESET=earth` writes one") from None
    except UnicodeDecodeError as error:
        raise RepriseError(f"{path}: is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except (OSError, ValueError) as error:
        raise RepriseError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def parse_layout(text: str, source: str = "params.yaml") -> Any:
    """The values of a text of YAML with its comments, for `yaml_text`; raises as `parse_yaml`."""
    parse_yaml(text, source)
    return _layout_yaml().load(text)


def parse_yaml(text: str, source: str = "params.yaml") -> Any:
    """The values of a text of YAML.

    Raises RepriseError, with line and key: it is not valid, nested too deeply, too large, or YAML
    1.1 and 1.2 read it differently.
    """
    reader = YAML(typ="safe", pure=True)
    reader.max_depth = DEPTH
    reader.composer.warn_double_anchors = False
    try:
        tree = reader.compose(text)
        other = yaml_1_1.compose(text, Loader)
    except Exception as error:  # of whatever kind: the libraries do not want this text
        raise RepriseError(f"{source}: not valid YAML: {_reason(error)}") from None
    if reader.doc_infos[-1].doc_version:
        raise RepriseError(f"{source}: remove the directive %YAML")
    if problem := next(_problems(tree, other), None):
        raise RepriseError(f"{source}: {problem}")
    try:
        return None if tree is None else reader.constructor.construct_document(tree)
    except Exception as error:  # a number of 5000 digits, a day that no month has, two equal keys
        raise RepriseError(f"{source}: not valid YAML: {_reason(error)}") from None


def _problems(tree: Any, other: Any) -> Iterator[str]:
    """Why a text is refused, in the order of its lines; it is given as both versions read it."""
    try:
        for count, (key, ours, theirs) in enumerate(_nodes(tree, other)):
            if count == NODES:
                yield f"more than {NODES:,} values; do not name an alias that often"
            if advice := _advice(ours, theirs):
                place = f"line {ours.start_mark.line + 1}: " + (f"{key}: " if key else "")
                yield one_line(f"{place}{one_line(ours.value, 40)} {advice}", 300)
    except RecursionError:
        yield "an alias names what it is in"


def _nodes(ours: Any, theirs: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted key, node of YAML 1.2 and node of 1.1; below nodes of different kinds, none."""
    yield key, ours, theirs
    if _kind(ours) == _kind(theirs) == "map":
        for (name, value), (other_name, other_value) in zip(ours.value, theirs.value, strict=True):
            below = f"{key}.{name.value}" if key else str(name.value)
            yield from _nodes(name, other_name, below)
            yield from _nodes(value, other_value, below)
    elif _kind(ours) == _kind(theirs) == "seq":
        for place, (value, other_value) in enumerate(zip(ours.value, theirs.value, strict=True)):
            yield from _nodes(value, other_value, f"{key}[{place}]")


def _advice(ours: Any, theirs: Any) -> str:
    """What is wrong with a value, and what to write instead; "" if the two are one value."""
    kind, other = _kind(ours), _kind(theirs)
    if kind == "timestamp":
        return "is a date, which no key takes; quote it if it is a name"
    if kind == "int" and LEADING_ZERO.fullmatch(ours.value):
        number = ours.value.replace("_", "").lstrip("+-0") or "0"
        return f"is {number} to some readers of YAML, octal to others; write {number}, or quote it"
    if kind == other or (kind, other) == ("float", "str"):
        return ""
    kind, other = (KINDS.get(k, f"of the type {k}") for k in (kind, other))
    advice = "write true or false, or quote it" if "bool" in _kind(theirs) else "quote it"
    return f"is {kind} in YAML 1.2 and {other} in YAML 1.1; {advice}"


def _kind(node: Any) -> str:
    """What a node is, such as int, str or map; the short form of its tag."""
    return str(node.tag).rpartition(":")[2] if node is not None else "null"


def _reason(error: Exception) -> str:
    """What a YAML library says, on one line."""
    if isinstance(error, MarkedYAMLError | yaml_1_1.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return one_line(f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}", 200)
    return one_line(error, 200)


def yaml_text(values: Any, width: int = 100) -> str:
    """Values that were read with `layout` as text, with their comments."""
    stream = io.StringIO()
    yaml = _layout_yaml()
    yaml.width = width
    yaml.dump(values, stream)
    return stream.getvalue()


def _layout_yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(
        type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml


def preset_name(text: str) -> str:
    """The preset that a params.yaml was written from; "" if its comment does not say so."""
    match = re.search(r"PRESET=([\w-]+)", text)
    return match[1] if match else ""
