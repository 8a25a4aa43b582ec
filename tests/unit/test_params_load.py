"""params.yaml: every error is one line that names the key and what to do."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from reprise.datasets import earth
from reprise.errors import RepriseError
from reprise.params import datasets
from reprise.params.base import load_block
from reprise.params.classify import ClassifyTask
from reprise.params.load import load_params, parse
from reprise.params.training import Runtime, load_runtime, load_weights

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


def test_the_check_of_tiles_knows_the_globe() -> None:
    assert earth.PIXELS_PER_DEGREE == datasets.PIXELS_PER_DEGREE


def test_the_preset_is_valid() -> None:
    parse(EARTH)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("classify.baseline.recipes.cnn.epocs", 3, ".*unknown key 'epocs'; .*'epochs'"),
        ("clasify", {}, "unknown key 'clasify'; did you mean 'classify'?"),
        ("datasets.climate.strid", 3, "datasets.climate: unknown key 'strid'; did you mean"),
        ("classify.baseline.recipes.cnn.epochs", "ten",
         "classify.baseline.recipes.cnn.epochs: .*integer.*'ten'"),
        ("classify.baseline.recipes.cnn.epochs", 0, ".*epochs: .*greater than 0"),
        ("classify.baseline.data", "climat", ".*data: 'climat' is not in.*'climate'"),
        ("classify.baseline.runs", ["cnn", "vit"], ".*baseline: runs: 'vit' is not in recipes"),
        ("classify.baseline.comparisons", [["cnn", "lite"]], ".*: 'lite' is not in recipes"),
        ("classify.baseline.recipes.cnn.model", "cmn", ".*cnn.model: 'cmn' is not in .*'cnn'"),
        ("classify.baseline.recipes.cnn.weights", "x", ".*cnn.weights: 'x' is not in weights"),
        ("pretrain.earth.recipes.byol.method", "bjol", ".*method: 'bjol' is not in .*'byol'"),
        ("pretrain.earth.recipes.byol.base_taw", 1, ".*unknown key 'base_taw'.*'base_tau'"),
        ("pretrain.earth.recipes.byol.backbone", "resnet11", ".*backbone: 'resnet11' is not in"),
        ("finetune.earth.recipes.C.start", "moco", ".*start: 'moco' is not in pretrain.earth.runs"),
        ("finetune.earth.pretraining", "mars", ".*pretraining: 'mars' is not in pretrain"),
        ("finetune.earth.seeds", [0, 3], ".*earth.seeds: 3 is not in pretrain.earth.seeds; add it "
         "there, or set finetune.earth.pretraining_seeds: shared"),
        ("pretrain.earth.seeds", [], "pretrain.earth.seeds: is empty, but finetune.earth starts"),
        ("finetune.earth.pretraining_seeds", 0, ".*seeds: Input should be 'paired' or 'shared'"),
        ("finetune.earth.pretraining_seed", 0, ".*unknown key.*did you mean 'pretraining_seeds'"),
        ("pretrain.earth.seeds", [0, 1, 2, 1], "pretrain.earth.seeds: 1 is given twice; name it"),
        ("segment.skips.seeds", [4, 4], "segment.skips.seeds: 4 is given twice"),
        ("classify.baseline.runs", ["cnn", "cnn"], "classify.baseline.runs: 'cnn' is given twice"),
        ("embed.cnn.methods", ["pca", "pca"], "embed.cnn.methods: 'pca' is given twice"),
        ("datasets.climate.source", "tile", "datasets.climate: .*'tile'"),
        ("embed.cnn.run", "vit", "embed.cnn.run: 'vit' is not in classify.baseline.runs"),
        ("embed.cnn.split", "train", "embed.cnn.split: classify jobs save the features of test"),
        ("embed.cnn.seed", 4, "embed.cnn.seed: 4 is not in classify.baseline.seeds"),
        ("runtime.threads", 10**26, "runtime.threads: .*less than or equal to 64"),
        ("datasets.climate.seed", -1, "datasets.climate.seed: .*greater than or equal to 0"),
        ("pretrain.earth.seeds", [2**32], "pretrain.earth.seeds.0: .*less than 4294967296"),
        ("embed.cnn.random_state", 2**64, "embed.cnn.random_state: .*less than 4294967296"),
        ("datasets.climate.tile", 10**9, "datasets.climate.tile: .*less than or equal to 4096"),
        ("datasets.igbp.block_degrees", 91, "datasets.igbp.block_degrees: .*equal to 90"),
        ("datasets.igbp.tile", 226, "datasets.igbp: tile: 226 pixels are more than the 225 of"),
        ("classify.baseline.recipes.cnn.image_size", 3,
         "classify.baseline.recipes.cnn.image_size: 3 does not fit cnn; choose 4 or more"),
        ("segment.baseline.recipes.fcn32s.image_size", 31, ".*31 does not fit fcn32s; choose 32"),
        ("segment.skips.recipes.fcn8s.image_size", 48, ".*: 48 .* choose a multiple of 32, 32 or"),
        ("segment.baseline.recipes.fcn32s.width_mult", 1e-9, ".*width_mult: .*equal to 0.03125"),
        ("segment.baseline.recipes.fcn32s.middle_epoch", 9, ".*middle_epoch: 9 is after the last"),
        ("finetune.earth.common.feature_epochs", [1, 10], ".*feature_epochs: 10 is after the last"),
        ("classify.baseline.recipes.cnn.ensemble_epochs", 13, ".*ensemble_epochs: 13 is after the"),
        ("pretrain.earth.recipes.byol.warmup", 4, ".*warmup: 4 is after the last epoch; epochs is"),
        ("classify.baseline.recipes.cnn.dropout", 1, ".*cnn.dropout: .*less than 1"),
        ("classify.baseline.recipes.cnn.learning_rate", float("inf"), ".*learning_rate: .*1000000"),
        ("classify.baseline.recipes.cnn.weight_decay", float("nan"), ".*weight_decay: .*got nan"),
        ("plot.dpi", 5, "plot.dpi: .*greater than or equal to 10"),
        ("segment.skips.images", ["0040", "0040"], ".*images: '0040' is given twice"),
        ("classify.baseline.recipes.cnn.feature_epochs", [2, 2], ".*feature_epochs: 2 is given"),
        ("finetune.earth.comparisons", [["B", "A"]] * 2, ".*comparisons: .*'A'. is given twice"),
        ("finetune.earth.comparisons", [["B", "B"]], ".*comparisons: 'B' is compared with itself"),
        ("datasets.a b", EARTH["datasets"]["glasses"], "datasets.a b: 'a b' is not a name; use"),
        ("datasets.no", EARTH["datasets"]["glasses"], "datasets.no: 'no' is a value to some"),
        ("classify.baseline.data", "x" * 9999, "classify.baseline.data: 'x{40}...' is not a name"),
        ("classify.baseline.recipes.cnn.optimizer", "x" * 9999, ".*got 'x{79}...\\)$"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(key: str, value: Any, message: str) -> None:
    with pytest.raises(RepriseError, match=f"^params.yaml: {message}"):
        parse(changed(key, value))


def test_one_shared_pretraining_serves_seeds_that_it_lacks() -> None:
    values = changed("finetune.earth.seeds", [7, 8])
    values["finetune"]["earth"]["pretraining_seeds"] = "shared"
    values["pretrain"]["earth"]["seeds"] = [4]
    del values["embed"]
    params = parse(values)
    seeds = params.pretrain["earth"].seeds
    assert params.finetune["earth"].pretraining_seed(8, seeds) == 4
    values["pretrain"]["earth"]["seeds"] = []
    with pytest.raises(RepriseError, match="pretrain.earth.seeds: is empty"):
        parse(values)


def test_runs_from_scratch_need_no_pretraining_of_their_seeds() -> None:
    values = changed("finetune.earth.seeds", [7, 8])
    values["finetune"]["earth"] |= {"runs": ["A"]}
    del values["embed"]
    assert parse(values).finetune["earth"].seeds == [7, 8]


def test_a_missing_key_is_named() -> None:
    key = "classify.baseline.recipes.cnn.epochs"
    with pytest.raises(RepriseError, match=f"{key}: Field required"):
        parse(changed(key, None, drop=True))


@pytest.mark.parametrize("stage", ["pretrain", "finetune", "classify", "segment", "embed"])
def test_a_stage_may_be_absent(stage: str) -> None:
    values = copy.deepcopy(EARTH)
    needs = {"pretrain": ["finetune", "embed"], "finetune": ["embed"], "classify": ["embed"]}
    for name in (stage, *needs.get(stage, [])):
        del values[name]
    assert getattr(parse(values), stage) == {}


def test_the_old_form_is_refused_with_the_command_that_rewrites_it() -> None:
    with pytest.raises(RepriseError, match="'faces'.*python -m reprise.params.migrate params.yaml"):
        parse({"faces": {}})


def test_a_run_of_finetune_has_its_own_values_over_the_common_ones() -> None:
    key = "finetune.earth.recipes.B.learning_rate"
    task = parse(changed(key, 0.5)).finetune["earth"]
    assert task.training("B").learning_rate == 0.5
    assert task.training("A").learning_rate == task.common.learning_rate


def test_all_pairs_are_named_unless_a_task_lists_its_comparisons() -> None:
    values = changed("classify.transfer.comparisons", [["scratch", "finetune"]])
    assert parse(values).classify["transfer"].named_pairs == [("scratch", "finetune")]
    pairs = parse(EARTH).classify["transfer"].named_pairs
    assert pairs == [("finetune", "features"), ("scratch", "features"), ("scratch", "finetune")]


def test_a_file_that_is_missing_or_not_yaml(tmp_path: Path) -> None:
    with pytest.raises(RepriseError, match="not found; `make preset"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("a: [1")
    with pytest.raises(RepriseError, match="not valid YAML"):
        load_params(tmp_path / "params.yaml")


def test_small_numbers_as_dvc_writes_them_are_numbers(tmp_path: Path) -> None:
    text = (ROOT / "presets" / "earth.yaml").read_text()
    path = tmp_path / "params.yaml"
    path.write_text(text.replace("learning_rate: 0.01\n", "learning_rate: 2e-05\n"))
    assert load_params(path).classify["baseline"].recipes["cnn"].learning_rate == 2e-05


def test_a_block_is_loaded_alone(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    task = EARTH["classify"]["baseline"]
    path.write_text(yaml.safe_dump({"classify": {"baseline": task, "other": "wrong"}}))
    assert load_block(path, "classify.baseline", ClassifyTask).data == "climate"
    with pytest.raises(RepriseError, match="classify.baselin: not found; did you mean 'baseline'"):
        load_block(path, "classify.baselin", ClassifyTask)
    assert load_runtime(path) == Runtime()
    assert load_weights(path) == {}


@pytest.mark.parametrize("other", ["CNN", "c_nn", "C_NN_"])
def test_names_of_runs_differ_in_more_than_case_and_underscores(other: str) -> None:
    """Files, on some systems, and the commands of LaTeX would have one name."""
    recipe = EARTH["classify"]["baseline"]["recipes"]["cnn"]
    values = changed(f"classify.baseline.recipes.{other}", recipe)
    values["classify"]["baseline"]["runs"] = ["cnn", other]
    values["classify"]["baseline"]["comparisons"] = []
    message = f"classify.baseline: runs: 'cnn' and '{other}' differ in case or underscores only"
    with pytest.raises(RepriseError, match=message):
        parse(values)
