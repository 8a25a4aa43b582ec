"""In what a run of ours differs from a homework's own recipe, which its preset holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reprise.jobs import NONE, init_weights
from reprise.params.load import Params, load_params

PRESETS = Path("presets")
SHOWN = 8  # differences; those of a proxy are many
# what a reader looks for first, in this order; the others follow in the order of the recipe
FIRST = ["model", "backbone", "weights", "start", "frozen", "images.size", "image_size"]
FIRST += ["width_mult", "epochs", "pretraining.epochs", "batch_size", "learning_rate"]
# what is kept and shown does not change the numbers
IGNORED = ("feature_epochs", "middle_epoch", "score_shown_epochs", "knn_k", "method")


class Homeworks:
    """The presets of the homeworks, each read once."""

    def __init__(self, folder: Path = PRESETS) -> None:
        self.folder = folder
        self._params: dict[str, Params] = {}

    def params(self, homework: str) -> Params:
        """The parameters of a homework. Raises RepriseError if its preset is missing or wrong."""
        if homework not in self._params:
            self._params[homework] = load_params(self.folder / f"{homework}.yaml")
        return self._params[homework]

    def differences(self, number: Mapping[Any, Any], params: Params) -> str:
        """What differs between our run of a published number and the homework's recipe.

        number: a row of numbers.csv with our_task and our_run. "none" if nothing does.
        """
        stage = number["stage"]
        ours = recipe_values(params, stage, number["our_task"], number["our_run"])
        homework = self.params(number["homework"])
        theirs = recipe_values(homework, stage, number["task"], number["run"])
        return in_words(ours, theirs)


def recipe_values(params: Params, stage: str, task: str, run: str) -> dict[str, Any]:
    """All values of a run's recipe, of the pretraining that it starts from and of its images.

    The keys are dotted; those of the pretraining and of the images begin with these words.
    """
    block = getattr(params, stage)[task]
    data = params.datasets[block.data].model_dump()
    images = {key: data[key] for key in ("size", "resize", "interpolation") if key in data}
    if stage != "finetune":
        recipe = block.recipes[run].model_dump()
    else:
        start, frozen = block.recipes[run].start, block.recipes[run].frozen
        recipe = block.training(run).model_dump() | {"start": start, "frozen": frozen}
        if start != NONE:
            pretraining = params.pretrain[block.pretraining].recipes[start].model_dump()
            recipe["pretraining"] = pretraining
    recipe |= {"images": images, "weights": init_weights(params, stage, task, run)}
    return dict(_flat(recipe))


def _flat(values: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """Dotted keys and values of nested mappings, without IGNORED."""
    pairs = []
    for key, value in values.items():
        if key in IGNORED:
            continue
        if isinstance(value, Mapping) and key != "normalize":
            pairs += _flat(value, f"{above}{key}.")
        else:
            pairs.append((f"{above}{key}", value))
    return pairs


def in_words(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """The values that differ, ours first and the homework's in brackets, such as "3 epochs (90)".

    A value that only one of the two has is left out, apart from those of FIRST.
    """
    keys = [*FIRST, *(key for key in {**theirs, **ours} if key not in FIRST)]
    phrases = []
    for key in keys:
        if key not in FIRST and not (key in ours and key in theirs):
            continue
        one, other = ours.get(key), theirs.get(key)
        if one != other:
            phrases.append(_phrase(key, one, other))
    more = len(phrases) - SHOWN
    if more > 0:
        phrases = [*phrases[:SHOWN], f"{more} more"]
    return ", ".join(phrases) or "none"


def _phrase(key: str, ours: Any, theirs: Any) -> str:
    if key == "weights" and ours == NONE:
        return f"{theirs} from scratch"
    one, other = _text(ours), _text(theirs)
    sizes = [_text(value or "whole") for value in (ours, theirs)]
    match key:
        case "image_size":
            return f"{one} px ({other})"
        case "images.size":
            one, other = (text if text == "whole" else f"{text} px" for text in sizes)
            return f"images {one} ({other})"
        case "width_mult":
            return f"width {one} ({other})"
        case "epochs":
            return f"{one} epochs ({other})"
        case "pretraining.epochs":
            return f"{one} epochs of pretraining ({other})"
    return f"{key} {one} ({other})"


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, int | float) else str(value)
