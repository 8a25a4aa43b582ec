"""Presets: an overlay keeps the comments of the complete file and cannot invent keys."""

from pathlib import Path

import pytest
import yaml
from dvc.utils.serialize import parse_yaml
from ruamel.yaml import YAML

from reprise.engines.preset import changed_by_hand, names, render
from reprise.errors import RepriseError
from reprise.params.load import load_params

PRESETS = Path(__file__).parents[2] / "presets"


@pytest.fixture
def presets(tmp_path):
    folder = tmp_path / "presets"
    folder.mkdir()
    for path in PRESETS.glob("*.yaml"):
        (folder / path.name).write_text(path.read_text())
    return folder


@pytest.mark.parametrize("name", names(PRESETS))
def test_every_preset_is_a_complete_valid_file(name, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(render(name, PRESETS))
    assert load_params(path).plot.dpi > 0


@pytest.mark.parametrize("name", names(PRESETS))
def test_dvc_and_snakemake_read_every_preset_as_reprise_does(name):
    text = render(name, PRESETS)
    ours = YAML(typ="safe", pure=True).load(text)
    assert parse_yaml(text, "params.yaml") == yaml.safe_load(text) == ours


def test_earth_is_written_as_it_is():
    assert render("earth", PRESETS) == (PRESETS / "earth.yaml").read_text()


def test_an_overlay_keeps_comments_and_changes_only_its_values(presets):
    (presets / "more.yaml").write_text("segment: {skips: {seeds: [7]}}\nplot: {dpi: 50}\n")
    before, after = (render(name, presets).splitlines() for name in ("earth", "more"))
    assert len(before) == len(after)
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert [line.strip() for line in changed[1:]] == ["seeds: [7]", "dpi: 50"]
    assert "PRESET=more" in changed[0]


def test_an_overlay_removes_a_task_with_null(presets, tmp_path):
    overlay = "classify: {transfer: null}\ndatasets: {glasses: null}\nembed: {cnn: null}\n"
    (presets / "less.yaml").write_text(overlay)
    path = tmp_path / "params.yaml"
    path.write_text(render("less", presets))
    params = load_params(path)
    assert list(params.classify) == ["baseline"]
    assert "glasses" not in params.datasets and list(params.embed) == ["byol_finetuned"]


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("plot: {dpy: 50}", "unknown key 'plot.dpy'; did you mean 'dpi'?"),
        ("plott: {dpi: 50}", "unknown key 'plott'; did you mean 'plot'?"),
        ("classify: {basline: null}", "unknown key 'classify.basline'; did you mean 'baseline'?"),
        ("classify: {baseline: {data: null}}", "classify.baseline.data"),
        ("plot: 50", "'plot' must be a mapping"),
        ("plot: null", "'plot' must be a mapping"),
        ("plot: {dpi: [1]}", "plot.dpi"),
        ("plot: {dpi: 50", "not valid YAML"),
    ],
)
def test_a_wrong_overlay_is_refused(presets, overlay, message):
    (presets / "wrong.yaml").write_text(overlay + "\n")
    with pytest.raises(RepriseError) as error:
        render("wrong", presets)
    assert message in str(error.value)
    assert "wrong.yaml" in str(error.value)


def test_an_unknown_preset_names_the_closest():
    with pytest.raises(RepriseError, match="did you mean 'smoke'"):
        render("smok", PRESETS)


def test_changes_by_hand_are_seen(tmp_path):
    path = tmp_path / "params.yaml"
    assert not changed_by_hand(path, PRESETS)
    path.write_text(render("smoke", PRESETS))
    assert not changed_by_hand(path, PRESETS)
    path.write_text(render("smoke", PRESETS) + "# mine\n")
    assert changed_by_hand(path, PRESETS)
