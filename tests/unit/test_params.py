"""params.yaml: every fault is one line that names the key and what to do."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from reprise.errors import RepriseError
from reprise.params import load_params, parse

ROOT = Path(__file__).parents[2]
EARTH = yaml.safe_load((ROOT / "presets" / "earth.yaml").read_text())


def changed(key: str, value: Any, drop: bool = False) -> dict[str, Any]:
    values = copy.deepcopy(EARTH)
    *blocks, last = key.split(".")
    block = values
    for name in blocks:
        block = block[name]
    if drop:
        del block[last]
    else:
        block[last] = value
    return values


def test_the_preset_is_right() -> None:
    parse(EARTH)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("classify.recipes.cnn.epocs", 3, ".*unknown key 'epocs'; did you mean 'epochs'?"),
        ("clasify", {}, "unknown key 'clasify'; did you mean 'classify'?"),
        ("prepare.recipes.climate.strid", 3, ".*unknown key 'strid'; did you mean 'stride'?"),
        ("classify.recipes.cnn.epochs", "ten", "classify.recipes.cnn.epochs: .*integer.*'ten'"),
        ("classify.recipes.cnn.epochs", 0, "classify.recipes.cnn.epochs: .*greater than 0"),
        ("classify.data", "climat", "classify.data: 'climat' is not in.*'climate'?"),
        ("classify.runs", ["cnn", "vit"], "classify.runs: 'vit' is not in classify.recipes"),
        ("finetune.settings.byol", ["C", "E", "F"], "finetune.settings.byol.2: .*'F'"),
        ("finetune.settings.byol", ["C", "D"], "finetune.settings: a setting stands in two lists"),
        ("prepare.recipes.climate.source", "tile", "prepare.recipes.climate: .*'tile'"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(key: str, value: Any, said: str) -> None:
    with pytest.raises(RepriseError, match=f"^params.yaml: {said}"):
        parse(changed(key, value))


def test_a_missing_key_is_named() -> None:
    with pytest.raises(RepriseError, match="classify.recipes.cnn.epochs: Field required"):
        parse(changed("classify.recipes.cnn.epochs", None, drop=True))


def test_a_setting_has_its_own_values_over_the_common_ones() -> None:
    recipe = parse(changed("finetune.recipes.earth.B.learning_rate", 0.5)).finetune.recipes["earth"]
    assert recipe.training("B").learning_rate == 0.5
    assert recipe.training("A").learning_rate == recipe.common.learning_rate
    with pytest.raises(RepriseError, match="setting 'F' does not exist; choose from A, B, C, D, E"):
        recipe.training("F")


def test_a_file_that_is_no_yaml_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(RepriseError, match="not found; `make preset"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("a: [1")
    with pytest.raises(RepriseError, match="not valid YAML"):
        load_params(tmp_path / "params.yaml")


def test_small_numbers_as_dvc_writes_them_are_numbers(tmp_path: Path) -> None:
    text = (ROOT / "presets" / "earth.yaml").read_text()
    path = tmp_path / "params.yaml"
    path.write_text(text.replace("learning_rate: 0.01\n", "learning_rate: 2e-05\n"))
    assert load_params(path).classify.recipes["cnn"].learning_rate == 2e-05
