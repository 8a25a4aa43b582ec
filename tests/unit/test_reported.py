"""The reports' numbers beside ours: what stands for what, on whose data, with which interval."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from reprise.data.legend import CAMVID, CAMVID_THREE
from reprise.errors import RepriseError
from reprise.evaluation.beside import beside_table, counterpart, on_own_data
from reprise.evaluation.evaluate import evaluate
from reprise.evaluation.holes import Holes
from reprise.evaluation.intervals import wilson
from reprise.evaluation.origins import weights_of
from reprise.evaluation.reported import REPORTED, read_numbers, read_others
from reprise.params import Params, parse
from reprise.pipeline.preset import render

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / REPORTED
HEAD = "report,source,part,recipe,setting,stands_in,layout,metric,value,n,others,note\n"


def preset(name: str) -> Params:
    return parse(YAML(typ="safe", pure=True).load(render(name, ROOT / "presets")))


@pytest.fixture(scope="module")
def course() -> Params:
    return preset("course")


@pytest.fixture(scope="module")
def earth() -> Params:
    return preset("earth")


def numbers(folder: Path, *rows: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "numbers.csv").write_text(HEAD + "".join(f"{row}\n" for row in rows))
    (folder / "others.csv").write_text("others,year,value,note\nb,2021,0.9,\nb,2022,0.8,\n")
    return folder


def test_every_number_names_a_recipe_of_the_course_and_its_layout(course: Params) -> None:
    for row in read_numbers(FOLDER).to_dict("records"):
        recipe, stand = row["recipe"], row["stands_in"]
        assert counterpart(course, row["part"], recipe, stand, row["setting"]) == recipe
        assert on_own_data(course, row["part"], row["layout"]), row


def test_what_stands_in_is_a_run_of_earth_and_its_data_are_not_the_reports(earth: Params) -> None:
    for row in read_numbers(FOLDER).to_dict("records"):
        found = counterpart(earth, row["part"], row["recipe"], row["stands_in"], row["setting"])
        assert found == row["stands_in"]
        assert not on_own_data(earth, row["part"], row["layout"])


def test_a_made_sample_is_not_the_reports_data() -> None:
    smoke = preset("course-smoke")
    assert not any(
        on_own_data(smoke, row["part"], row["layout"])
        for row in read_numbers(FOLDER).to_dict("records")
    )


def test_every_scored_run_of_a_report_has_a_number(course: Params) -> None:
    table = read_numbers(FOLDER)
    beside = {"dlcv2024_fcn32s", "cs6550_fcn8s_learned_norm"}  # what is right, beside a slip
    for part, block in course.stages.items():
        if part != "pretrain":
            named = set(table.loc[table["part"] == part, "recipe"])
            assert set(block.runs) - beside == named


def test_every_name_of_other_solutions_leads_somewhere() -> None:
    asked = set(read_numbers(FOLDER)["others"]) - {""}
    assert asked == set(read_others(FOLDER)["others"])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("r,s,ships,a,,,x,accuracy,0.5,10,,", r"numbers\.csv: row 2: part 'ships': use one of"),
        ("r,s,faces,a,,,x,beauty,0.5,10,,", r"row 2: metric 'beauty': use one of accuracy"),
        ("r,s,faces,a,,,x,accuracy,50,10,,", r"row 2: value '50.*': it must be in 0 to 1"),
        ("r,s,faces,a,,,x,accuracy,half,10,,", r"row 2: value 'half': it must be in 0 to 1"),
        ("r,s,faces,a,,,x,accuracy,0.5,0,,", r"row 2: n '0': it must be a number of images"),
        ("r,s,faces,a,,,x,accuracy,0.555,10,,", r"no whole number of its n images gives it"),
    ],
)
def test_a_wrong_number_is_named_by_file_and_row(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(RepriseError, match=said):
        read_numbers(numbers(tmp_path / "in", row))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RepriseError, match=r"numbers\.csv: not found; `git checkout"):
        read_numbers(tmp_path)


def made(results: Path, params: Params, folder: Path) -> pd.DataFrame:
    return evaluate(results, params, reported=folder)[1]["reported"].frame


def test_ours_is_the_number_of_the_table_and_theirs_has_wilsons_interval(
    results: Path, params: Params, tmp_path: Path
) -> None:
    folder = numbers(
        tmp_path / "in",
        "r,s,classify,none,,cnn,fifty,accuracy,0.8748,2500,b,",
        "r,s,finetune,tiny,C,,office,accuracy,0.4803,406,,",
        "r,s,street,skip,,,camvid,miou_cs6550,0.4,101,,",
        "r,s,faces,away,,gone,makeup,accuracy,0.5,400,,",
    )
    table = made(results, params, folder)
    first, setting, mask, none = (row for _, row in table.iterrows())
    assert (first["low"], first["high"]) == wilson(2187, 2500)
    assert (first["others"], first["others_min"], first["others_max"]) == (2, 0.8, 0.9)
    assert first["run"] == "cnn" and not table["same_data"].any()
    for row, part, key in ((first, "classify", "cnn"), (mask, "street", "skip")):
        own = pd.read_csv(results / "tables" / f"{part}.csv").set_index("run").loc[key]
        metric = row["metric"]
        assert row["ours"] == pytest.approx(own[metric], abs=1e-6)
        assert row["ours_low"] == pytest.approx(own[f"{metric}_low"], abs=1e-6)
        assert row["ours_low"] < row["ours"] < row["ours_high"]
    assert np.isnan(mask["low"]) and np.isnan(mask["high"])
    assert (setting["images"], setting["seeds"]) == (12, 3)
    assert setting["ours_both_low"] < setting["ours"]
    assert none["run"] == "" and np.isnan(none["ours"]) and pd.isna(none["seeds"])


def test_the_iou_of_a_class_is_read_off_its_table_and_a_strange_class_has_none(
    results: Path, params: Params, tmp_path: Path
) -> None:
    rows = [f"r,s,street,skip,{name},,camvid,iou_cs6550,0.4,101,," for name in ("wood", "sky")]
    wood, sky = (
        row for _, row in made(results, params, numbers(tmp_path / "in", *rows)).iterrows()
    )
    ious = pd.read_csv(results / "tables" / "iou.csv").set_index(["part", "run", "class"])
    own = ious.loc[("street", "skip", "wood"), "iou_cs6550"]
    assert wood["ours"] == pytest.approx(own, abs=1e-6) and wood["seeds"] == 1
    assert np.isnan(sky["ours"])


def test_the_classes_of_the_numbers_are_camvids() -> None:
    table = read_numbers(FOLDER)
    table = table[table["metric"] == "iou_cs6550"]
    for merged, named in ((False, CAMVID), (True, CAMVID_THREE)):
        own = table[table["recipe"].str.endswith("_3") == merged]
        assert own["setting"].tolist() == [name for name, _ in named]


def test_epochs_and_moments_are_read_off_the_histories(
    results: Path, params: Params, tmp_path: Path
) -> None:
    folder = numbers(
        tmp_path / "in",
        "r,s,finetune,tiny,A,,office,near_best,150,406,,about",
        "r,s,segment,fcn,,,satellite,kept,25,257,,",
        "r,s,segment,fcn,,,satellite,middle_miou,0.6,257,,",
    )
    near, kept, middle = (row for _, row in made(results, params, folder).iterrows())
    epochs = pd.read_csv(results / "tables" / "epochs.csv")
    own = epochs[(epochs["part"] == "finetune") & (epochs["setting"] == "A")]
    assert near["ours"] == own["near_best"].median() and near["seeds"] == 3
    history = pd.read_csv(results / "segment/fcn/0/history.csv").set_index("epoch")
    assert kept["ours"] == history["selected"].idxmax()
    assert middle["ours"] == pytest.approx(history.loc[2, "select_miou"])
    assert middle["role"] == "select" and middle["images"] == 6
    text = evaluate(results, params, reported=folder)[1]["reported"].text
    assert "| setting A | s | epochs to converge | 150 | - | - |" in text


def test_a_registered_folder_is_the_reports_own_data(
    results: Path, params: Params, course: Params, tmp_path: Path
) -> None:
    folder = numbers(tmp_path / "in", "r,s,classify,cnn,,,fifty,accuracy,0.5,10,,")
    recipes = params.prepare.recipes | {"zones": course.prepare.recipes["fifty"]}
    prepare = params.prepare.model_copy(update={"recipes": recipes})
    own = params.model_copy(update={"prepare": prepare})
    for given, whose in ((params, "zones, other images"), (own, "zones, the report's own")):
        table = evaluate(results, given, reported=folder)[1]["reported"]
        assert f"| {whose} |" in table.text
        assert table.frame["same_data"].tolist() == ["own" in whose]


def test_weights_are_scratch_published_or_our_own(course: Params, earth: Params) -> None:
    found: dict[tuple[Any, ...], str] = {
        ("faces", "cs6550_scratch"): "none",
        ("faces", "cs6550_finetune"): "alexnet",
        ("segment", "dlcv2023_fcn32s"): "vgg16",
        ("pretrain", "dlcv2023", "supervised"): "sl",
        ("pretrain", "dlcv2023", "byol"): "none",
        ("finetune", "dlcv2023", "A"): "none",
        ("finetune", "dlcv2023", "B"): "sl",
        ("finetune", "dlcv2023", "C"): "own",
    }
    for job, weights in found.items():
        assert weights_of(course, *job) == weights
    assert weights_of(earth, "finetune", "earth", "B") == "own"
    assert weights_of(earth, "faces", "features") == "imagenet"
    assert weights_of(earth, "faces", "scratch") == "none"


def test_the_vote_is_set_beside_the_single_epoch_of_the_same_training(
    results: Path, params: Params
) -> None:
    row = pd.read_csv(results / "tables" / "votes.csv").iloc[0]
    path = results / "classify" / "big" / "0" / "predictions.csv"
    table = pd.read_csv(path)
    table = table[table["role"] == "report"]
    right = {name: table[name] == table["label"] for name in ("prediction", "single")}
    assert row["vote_correct"] == right["prediction"].sum()
    assert row["single_correct"] == right["single"].sum()
    assert row["difference"] == pytest.approx(
        right["prediction"].mean() - right["single"].mean(), abs=1e-6
    )
    assert row["low_images"] <= row["difference"] <= row["high_images"]
    assert (row["epochs"], row["images"], row["seeds"]) == (3, 12, 1)
    pd.read_csv(path, dtype=str).drop(columns="single").to_csv(path, index=False)
    with pytest.raises(RepriseError, match=r"predictions\.csv: column 'single' is missing"):
        evaluate(results, params)


def test_without_a_vote_the_table_says_so(results: Path, params: Params) -> None:
    one = params.classify.recipes["big"].model_copy(update={"vote": 1})
    block = params.classify.model_copy(update={"recipes": params.classify.recipes | {"big": one}})
    _, tables = evaluate(results, params.model_copy(update={"classify": block}))
    assert tables["votes"].text == "No run of params.yaml lets several epochs vote.\n"
    assert tables["votes"].frame.empty


def test_an_unknown_folder_of_numbers_stops_the_table(
    results: Path, params: Params, tmp_path: Path
) -> None:
    with pytest.raises(RepriseError, match="not found"):
        beside_table(tmp_path, results, params, {}, {}, Holes(strict=True))
