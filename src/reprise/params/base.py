"""What every block of params.yaml shares: frozen, typed, strict about keys, one line an error."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from reprise.errors import RepriseError, did_you_mean, one_line
from reprise.params.reader import read_yaml

PARAMS = Path("params.yaml")
T = TypeVar("T", bound=BaseModel)
Items = TypeVar("Items", bound=list[Any])


def invalid(text: str) -> PydanticCustomError:
    """A validation error with its own message, to be raised inside a validator."""
    return PydanticCustomError("reprise", "{text}", {"text": text})


def _name(text: str) -> str:
    if not re.fullmatch(NAME, text):
        shown = one_line(text, 40)
        raise invalid(f"'{shown}' is not a name; use at most 60 letters, digits and _, no _ first")
    if text.lower() in ("yes", "no", "on", "off", "true", "false", "null"):
        raise invalid(f"'{text}' is a value to some readers of YAML; choose another name")
    return text


def _distinct(items: Items) -> Items:
    seen: set[Any] = set()
    for item in items:
        if item in seen:
            raise invalid(f"{one_line(repr(item), 80)} is given twice; name it once")
        seen.add(item)
    return items


# of runs, tasks, datasets: parts of file names and of commands
NAME = "[A-Za-z0-9][A-Za-z0-9_]{0,59}"
Name = Annotated[str, AfterValidator(_name), Field(json_schema_extra={"pattern": f"^{NAME}$"})]
# a list in which no item is given twice
Distinct = Annotated[
    Items, AfterValidator(_distinct), Field(json_schema_extra={"uniqueItems": True})
]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=1e6)]
Decay = Annotated[float, Field(ge=0, le=1e6)]
Positive = Annotated[int, Field(gt=0, le=1_000_000)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what NumPy takes
Pixels = Annotated[int, Field(gt=0, le=4096)]
Channels = Annotated[int, Field(gt=0, le=16_384)]
# YAML has lists where a pair is meant
Pair = Annotated[tuple[Name, Name], Field(strict=False)]


class Block(BaseModel):
    """One block of params.yaml: frozen, and strict about its keys and types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if key not in cls.model_fields:
                hint = did_you_mean(str(key)[:80], cls.model_fields)
                raise invalid(f"unknown key '{one_line(key, 80)}'; {hint}")
        return data


class Task(Block):
    """A question about one dataset: the runs that answer it, each with a recipe."""

    data: Name
    runs: Distinct[list[Name]]

    @model_validator(mode="after")
    def _runs_have_recipes(self) -> Self:
        spelled: dict[str, str] = {}
        for run in self.runs:
            require_name("runs", run, getattr(self, "recipes", {}), "recipes")
            other = spelled.setdefault(run.lower().replace("_", ""), run)
            if other != run:
                raise invalid(
                    f"runs: '{other}' and '{run}' differ in case or underscores only, so that "
                    "files or LaTeX commands would have one name; rename one"
                )
        return self


class Comparison(Block):
    """Two runs (a, b) whose difference a - b is reported, and the question to which it belongs.

    In params.yaml a plain pair [a, b] is one without a question.
    """

    runs: Pair
    question: Annotated[str, Field(min_length=1, max_length=120)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain_pair(cls, data: Any) -> Any:
        if not isinstance(data, list | tuple | dict | cls):
            shown = one_line(repr(data), 80)
            raise invalid(f"{shown} is not two runs; write [a, b] or {{runs: [a, b], question: x}}")
        return {"runs": data} if isinstance(data, list | tuple) else data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core)
        pair = handler.resolve_ref_schema(schema)["properties"]["runs"]
        return {"anyOf": [schema, pair]}


class TrainingTask(Task):
    """A task whose runs are trained, each once for every seed.

    comparisons: pairs of runs (a, b) whose difference a - b is reported by name; null: all pairs,
    a later run minus an earlier one.
    """

    seeds: Distinct[list[Seed]]
    comparisons: Annotated[
        list[Comparison] | None, Field(json_schema_extra={"uniqueItems": True})
    ] = None

    @model_validator(mode="after")
    def _compared_runs_exist(self) -> Self:
        pairs = [comparison.runs for comparison in self.comparisons or ()]
        for number, pair in enumerate(pairs):
            for run in pair:
                require_name("comparisons", run, getattr(self, "recipes", {}), "recipes")
            if pair[0] == pair[1]:
                raise invalid(f"comparisons: '{pair[0]}' is compared with itself; name two runs")
            if pair in pairs[:number]:
                raise invalid(f"comparisons: {list(pair)} is given twice; name it once")
        return self

    @property
    def named_pairs(self) -> list[tuple[str, str]]:
        """The comparisons (a, b), each a minus b, whose two runs are in `runs`."""
        if self.comparisons is None:
            order = enumerate(self.runs)
            return [(run, earlier) for i, run in order for earlier in self.runs[:i]]
        pairs = [comparison.runs for comparison in self.comparisons]
        return [pair for pair in pairs if set(pair) <= set(self.runs)]

    @property
    def questions(self) -> dict[tuple[str, str], str]:
        """The question of each named pair that has one."""
        return {one.runs: one.question for one in self.comparisons or () if one.question}


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


def validate(block: type[T], values: Any, source: str, key: str = "") -> T:
    """Check values against a type of block.

    source: the file, for the message. key: the dotted key of `values` in that file. Raises
    RepriseError, one line for the first error: file, key, what is wrong, what to do.
    """
    try:
        return block.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        location = [*(key.split(".") if key else []), *map(str, first["loc"])]
        if location[:1] == ["datasets"]:  # the third is the source that tells the types apart
            del location[2:3]
        dotted = one_line(".".join(name for name in location if name != "[key]"), 200)
        ours = first["type"] in ("missing", "reprise")
        value = "" if ours else f" (got {one_line(repr(first['input']), 80)})"
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
