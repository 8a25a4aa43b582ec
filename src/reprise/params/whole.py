"""The whole of params.yaml: read, checked, one line for its first fault."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from reprise.errors import RepriseError
from reprise.params.anything import Anything
from reprise.params.block import OWN, Block, Positive, known
from reprise.params.sets import Prepare
from reprise.params.stages import Classify, Embed, Finetune, Plot, Pretrain, Segment
from reprise.params.weights import WeightsFile


class Runtime(Block):
    """Where and how the numbers are computed."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # float16: GPUs alone
    threads: Positive = 1


class Params(Block):
    """The whole of params.yaml."""

    runtime: Runtime
    weights: dict[str, WeightsFile]
    prepare: Prepare
    pretrain: Pretrain
    finetune: Finetune
    classify: Classify
    faces: Classify
    segment: Segment
    street: Segment
    anything: Anything
    embed: Embed
    plot: Plot

    @cached_property
    def stages(self) -> dict[str, Pretrain | Finetune | Classify | Segment]:
        """The training stages by name."""
        return {
            "pretrain": self.pretrain,
            "finetune": self.finetune,
            "classify": self.classify,
            "faces": self.faces,
            "segment": self.segment,
            "street": self.street,
        }

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for name in self.prepare.sets:
            known("prepare.sets", name, list(self.prepare.recipes), "prepare.recipes")
        for stage, block in [*self.stages.items(), ("anything", self.anything)]:
            known(f"{stage}.data", block.data, self.prepare.sets, "prepare.sets")
            for run in block.runs:
                known(f"{stage}.runs", run, list(block.recipes), f"{stage}.recipes")
        for key, name in self._weights_asked():
            known(key, name, ["none", *self.weights], "weights")
        for run in self.finetune.runs:
            known("finetune.runs", run, self.pretrain.runs, "pretrain.runs")
        known("embed.classify.run", self.embed.classify.run, self.classify.runs, "classify.runs")
        known("embed.finetune.run", self.embed.finetune.run, self.finetune.runs, "finetune.runs")
        settings = self.finetune.settings.all
        known("embed.finetune.setting", self.embed.finetune.setting, settings, "finetune.settings")
        return self

    def _weights_asked(self) -> list[tuple[str, str]]:
        """The key and the name of every recipe's weights."""
        asked = []
        for stage in (self.classify, self.faces, self.segment, self.street):
            for run in stage.runs:
                recipe = stage.recipes[run]
                if recipe.model != "lite0":
                    asked.append((f"{run}.weights", recipe.weights))
                elif recipe.weights not in ("none", "imagenet"):
                    asked.append((f"{run}.weights: of lite0", recipe.weights))
        for run in self.pretrain.runs:
            recipes = self.pretrain.recipes[run]
            asked.append((f"{run}.supervised.weights", recipes.supervised.weights))
        for run in self.anything.runs:
            asked.append((f"anything.recipes.{run}.weights", self.anything.recipes[run].weights))
        return asked


def parse(values: Any, source: str = "params.yaml") -> Params:
    """Check the values of a params.yaml.

    Raises RepriseError with one line for the first fault: file, key, what is wrong, what to do.
    """
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        # a discriminated union puts its tag ('tiles') into the location; it is no key of the file
        tags = {"tiles", "maps", "faces", "course"} if first["loc"][:1] == ("prepare",) else set()
        key = ".".join(str(part) for part in first["loc"] if part not in tags)
        given = ""
        if first["type"] not in ("missing", *OWN):
            given = f" (got {first['input']!r})"
        message = f"{key}: {first['msg']}" if key else first["msg"]
        raise RepriseError(f"{source}: {message}{given}") from None


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check a params.yaml. Raises RepriseError (see `parse`)."""
    try:
        # YAML 1.2, as DVC writes it: `2e-05` is a number there, and text for a YAML 1.1 reader
        values = YAML(typ="safe", pure=True).load(path.read_text())
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; `make preset PRESET=earth` writes one") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise RepriseError(f"{path}: not valid YAML: {error}") from None
    return parse(values, str(path))


def schema_json() -> str:
    """The JSON schema of params.yaml, for editors."""
    return json.dumps(Params.model_json_schema(), indent=2, sort_keys=True) + "\n"
