"""What every block of params.yaml shares: frozen, typed, strict about keys, one line an error."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from reprise.errors import RepriseError, did_you_mean

PARAMS = Path("params.yaml")
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
# YAML has lists where a pair is meant
Pair = Annotated[tuple[Name, Name], Field(strict=False)]
T = TypeVar("T", bound=BaseModel)
Items = TypeVar("Items", bound=list[Any])


class Block(BaseModel):
    """One block of params.yaml: frozen, and strict about its keys and types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if key not in cls.model_fields:
                hint = did_you_mean(str(key), cls.model_fields)
                raise invalid(f"unknown key '{key}'; {hint}")
        return data


def _distinct(items: Items) -> Items:
    for place, item in enumerate(items):
        if item in items[:place]:
            raise invalid(f"{item!r} is given twice; name it once")
    return items


# a list in which no item is given twice
Distinct = Annotated[
    Items, AfterValidator(_distinct), Field(json_schema_extra={"uniqueItems": True})
]


class Task(Block):
    """A question about one dataset: the runs that answer it, each with a recipe."""

    data: str
    runs: Distinct[list[Name]]

    @model_validator(mode="after")
    def _runs_have_recipes(self) -> Self:
        for run in self.runs:
            require_name("runs", run, getattr(self, "recipes", {}), "recipes")
        return self


class TrainingTask(Task):
    """A task whose runs are trained, each once for every seed.

    comparisons: pairs of runs (a, b) whose difference a - b is reported by name; null: all pairs,
    a later run minus an earlier one.
    """

    seeds: Distinct[list[Count]]
    comparisons: list[Pair] | None = None

    @model_validator(mode="after")
    def _compared_runs_exist(self) -> Self:
        for run in (run for pair in self.comparisons or () for run in pair):
            require_name("comparisons", run, getattr(self, "recipes", {}), "recipes")
        return self

    @property
    def named_pairs(self) -> list[tuple[str, str]]:
        """The comparisons (a, b), each a minus b, whose two runs are in `runs`."""
        if self.comparisons is None:
            order = enumerate(self.runs)
            return [(run, earlier) for i, run in order for earlier in self.runs[:i]]
        return [pair for pair in self.comparisons if set(pair) <= set(self.runs)]


def invalid(text: str) -> PydanticCustomError:
    """A validation error with its own message, to be raised inside a validator."""
    return PydanticCustomError("reprise", "{text}", {"text": text})


def require_name(
    key: str, name: str, choices: Sequence[str] | Mapping[str, Any], where: str
) -> None:
    """Raise a validation error if `name` is not among `choices`."""
    if name not in choices:
        raise invalid(f"{key}: '{name}' is not in {where}; {did_you_mean(name, choices)}")


def value_at(mapping: Any, key: str) -> Any:
    """The value of nested mappings at a dotted key; None if a name on the way is missing."""
    for name in key.split("."):
        mapping = mapping.get(name) if isinstance(mapping, dict) else None
    return mapping


def read_yaml(path: Path, layout: bool = False) -> Any:
    """The content of a YAML 1.2 file; with `layout` its comments too, for `yaml_text`.

    Raises RepriseError if it is missing or not valid YAML.
    """
    try:
        text = path.read_text()
        return _layout_yaml().load(text) if layout else parse_yaml(text)
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; `make preset PRESET=earth` writes one") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise RepriseError(f"{path}: not valid YAML: {error}") from None


def parse_yaml(text: str) -> Any:
    """The content of a YAML 1.2 text."""
    # YAML 1.2, as DVC writes it: `2e-05` is a number there, and text for a YAML 1.1 reader
    return YAML(typ="safe", pure=True).load(text)


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


def validate(block: type[T], values: Any, source: str, key: str = "") -> T:
    """Check values against a type of block.

    source: the file, for the message. key: the dotted key of `values` in that file. Raises
    RepriseError, one line for the first error: file, key, what is wrong, what to do.
    """
    try:
        return block.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        # a discriminated union puts its tag (such as 'earth_tiles') into the location
        tags = {"earth_tiles", "earth_maps", "orl", "course"}
        location = [str(name) for name in first["loc"] if name not in tags]
        dotted = ".".join([*([key] if key else []), *location])
        value = "" if first["type"] in ("missing", "reprise") else f" (got {first['input']!r})"
        message = f"{dotted}: {first['msg']}" if dotted else first["msg"]
        raise RepriseError(f"{source}: {message}{value}") from None


def load_block(path: Path, key: str, block: type[T]) -> T:
    """One block of a params.yaml by its dotted key, checked; other blocks are not checked.

    Raises RepriseError if it is missing or wrong (see `validate`).
    """
    values = read_yaml(path)
    content = value_at(values, key)
    if content is None:
        stage, _, name = key.rpartition(".")
        known = value_at(values, stage) if stage else values
        hint = did_you_mean(name, known) if isinstance(known, dict) and known else "add it"
        raise RepriseError(f"{path}: {key}: not found; {hint}")
    return validate(block, content, str(path), key)
