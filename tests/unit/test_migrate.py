"""An old params.yaml becomes a valid one with the same values."""

import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml.comments import CommentedMap

from reprise.errors import RepriseError
from reprise.params.load import load_params
from reprise.params.migrate import main, migrate

OLD = Path(__file__).parents[1] / "support" / "params-0.1.yaml"


def test_the_command_rewrites_a_file_and_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(OLD.read_text())
    command = [sys.executable, "-m", "reprise.params.migrate", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "params.yaml.old").read_text() == OLD.read_text()
    params = load_params(path)
    assert params.datasets["climate"].source == "earth_tiles"
    assert params.pretrain["earth"].seeds == [3]
    byol = params.pretrain["earth"].recipes["byol"].model_dump()
    assert (byol["base_tau"], byol["proj_hidden_dim"], byol["knn_k"]) == (0.9, 64, 7)
    finetune = params.finetune["earth"]
    assert {run: finetune.recipes[run].start for run in finetune.runs} == {
        "A": "none", "B": "supervised", "C": "byol", "D": "supervised", "E": "byol",
    }  # fmt: skip
    assert finetune.pretraining_seeds == "shared"
    assert finetune.pretraining_seed(1, params.pretrain["earth"].seeds) == 3
    assert finetune.training("B").learning_rate == 0.0002
    assert finetune.common.T_0 == 2 and finetune.common.lr_interval == "epoch"
    cnn = params.classify["baseline"].recipes["cnn"]
    assert (cnn.step_size, cnn.ensemble_epochs, cnn.max_grad_norm) == (2, 3, 10)
    assert cnn.augment.min_scale == 0.5 and cnn.augment.auto_augment == ["blur"]
    assert params.classify["transfer"].data == "glasses"
    skips = params.segment["skips"].recipes["fcn8s"]
    assert (skips.loss, skips.merge_classes, skips.freeze_bn) == ("bce", 3, True)
    assert params.segment_anything["baseline"].recipes["vit"].points_per_side == 8
    assert params.embed["byol_finetuned"].run == "C"
    assert params.embed["cnn"].max_points == 1500
    assert "# of the target network" in path.read_text()


def test_a_file_in_the_new_form_is_refused() -> None:
    with pytest.raises(RepriseError, match="nothing to rewrite"):
        migrate(CommentedMap(datasets={}))


@pytest.mark.parametrize("text", ["", "3", "prepare: 3", "prepare: {recipes: {}}", "faces: {}"])
def test_a_file_that_is_in_no_form_is_refused(text: str, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "params.yaml").write_text(text)
    monkeypatch.setattr("sys.argv", ["migrate", str(tmp_path / "params.yaml")])
    with pytest.raises(RepriseError, match="is not a whole file of version 0.1|no key"):
        main()
    assert (tmp_path / "params.yaml").read_text() == text
