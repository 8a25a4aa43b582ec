"""What every block of params.yaml is: frozen, typed, and strict about its keys."""

import difflib
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
OWN = ("unknown_key", "unknown_name", "twice", "schedule")  # messages that say it all


class Block(BaseModel):
    """One block of params.yaml: frozen, and strict about its keys and types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if key not in cls.model_fields:
                near = difflib.get_close_matches(str(key), cls.model_fields, n=1, cutoff=0.5)
                hint = (
                    f"did you mean '{near[0]}'?"
                    if near
                    else f"known: {', '.join(cls.model_fields)}"
                )
                raise PydanticCustomError(
                    "unknown_key", "{text}", {"text": f"unknown key '{key}'; {hint}"}
                )
        return data


def known(key: str, name: str, choices: Sequence[str], where: str) -> None:
    """Raise the error of a name that is not among `choices`, with the nearest one."""
    if name in choices:
        return
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"choose from {', '.join(choices)}"
    raise PydanticCustomError(
        "unknown_name", "{text}", {"text": f"{key}: '{name}' is not in {where}; {hint}"}
    )
