"""The published numbers and ours: which run reproduces which, on which data, how precisely."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from reprise.datasets.classes import CAMVID, CAMVID_THREE
from reprise.engines.preset import render
from reprise.errors import RepriseError
from reprise.evaluation.evaluate import evaluate
from reprise.evaluation.published_numbers import (
    PUBLISHED,
    matching_run,
    on_own_data,
    published_numbers_table,
    read_numbers,
    read_other_solutions,
)
from reprise.evaluation.statistics import wilson
from reprise.jobs import init_weights
from reprise.params.load import Params, parse

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / PUBLISHED
HEADER = "homework,source,stage,task,run,class,proxy_task,proxy_run,layout,metric,value,n,"
HEADER += "other_solutions,note\n"


def preset(name: str) -> Params:
    return parse(YAML(typ="safe", pure=True).load(render(name, ROOT / "presets")))


@pytest.fixture(scope="module")
def course() -> Params:
    return preset("course")


@pytest.fixture(scope="module")
def earth() -> Params:
    return preset("earth")


def rows() -> list[dict[Any, Any]]:
    return read_numbers(FOLDER).to_dict("records")


def is_same_data(params: Params, row: dict[Any, Any]) -> bool:
    task, _ = matching_run(params, row)
    return bool(task) and on_own_data(
        params, getattr(params, row["stage"])[task].data, row["layout"]
    )


def write_numbers(folder: Path, *lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "numbers.csv").write_text(HEADER + "".join(f"{line}\n" for line in lines))
    others = "other_solutions,year,value,note\nb,2021,0.9,\nb,2022,0.8,\n"
    (folder / "other_solutions.csv").write_text(others)
    return folder


def test_every_number_names_a_run_of_the_course_and_its_layout(course: Params) -> None:
    for row in rows():
        assert matching_run(course, row) == (row["task"], row["run"])
        assert is_same_data(course, row), row


def test_a_proxy_is_a_run_of_earth_and_its_data_are_not_the_homeworks(earth: Params) -> None:
    for row in rows():
        assert matching_run(earth, row) == (row["proxy_task"], row["proxy_run"])
        assert not is_same_data(earth, row)


def test_synthetic_images_are_not_the_homeworks_data() -> None:
    smoke = preset("course-smoke")
    assert not any(is_same_data(smoke, row) for row in rows())


def test_every_scored_run_of_a_homework_has_a_number(course: Params) -> None:
    table = read_numbers(FOLDER)
    corrected = {"dlcv2024_fcn32s", "cs6550_fcn8s_learned_norm"}  # without the homework's mistake
    for stage in ("finetune", "classify", "segment"):
        for name, task in getattr(course, stage).items():
            own = table[(table["stage"] == stage) & (table["task"] == name)]
            assert set(task.runs) - corrected == set(own["run"])


def test_every_name_of_other_solutions_is_used_and_known() -> None:
    named = set(read_numbers(FOLDER)["other_solutions"]) - {""}
    assert named == set(read_other_solutions(FOLDER)["other_solutions"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("h,s,ships,t,a,,,,x,accuracy,0.5,10,,", r"numbers\.csv: row 2: stage 'ships': use one of"),
        ("h,s,classify,t,a,,,,x,beauty,0.5,10,,", r"row 2: metric 'beauty': use one of accuracy"),
        ("h,s,classify,t,a,,,,x,accuracy,50,10,,", r"row 2: value '50.*': must be between 0 and 1"),
        (
            "h,s,classify,t,a,,,,x,accuracy,half,10,,",
            r"row 2: value 'half': must be between 0 and 1",
        ),
        (
            "h,s,classify,t,a,,,,x,accuracy,0.5,0,,",
            r"row 2: n '0': must be a whole number, at least 1",
        ),
        ("h,s,classify,t,a,,,,x,accuracy,0.555,10,,", r"is not k/n for any whole k"),
    ],
)
def test_a_wrong_number_is_named_by_file_and_row(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(RepriseError, match=message):
        read_numbers(write_numbers(tmp_path / "in", row))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RepriseError, match=r"numbers\.csv: not found; `git checkout"):
        read_numbers(tmp_path)


def table_of(results: Path, params: Params, folder: Path) -> pd.DataFrame:
    return evaluate(results, params, published=folder).tables["published_numbers"].frame


def test_ours_is_the_number_of_the_table_and_theirs_has_wilsons_interval(
    evaluated_results: Path, params: Params, tmp_path: Path
) -> None:
    folder = write_numbers(
        tmp_path / "in",
        "h,s,classify,none,none,,baseline,cnn,dlcv_50,accuracy,0.8748,2500,b,",
        "h,s,finetune,tiny,C,,,,office_home,accuracy,0.4803,406,,",
        "h,s,segment,skips,skip,,,,camvid,miou_cs6550,0.4,101,,",
        "h,s,classify,transfer,away,,transfer,gone,celeba_makeup,accuracy,0.5,400,,",
    )
    table = table_of(evaluated_results, params, folder)
    first, tuned, mask, none = (row for _, row in table.iterrows())
    assert (first["low"], first["high"]) == wilson(2187, 2500)
    assert (first["other_solutions"], first["other_min"], first["other_max"]) == (2, 0.8, 0.9)
    assert (first["our_task"], first["our_run"]) == ("baseline", "cnn")
    assert not table["same_data"].any()
    for row, name, run in ((first, "classify_baseline", "cnn"), (mask, "segment_skips", "skip")):
        path = evaluated_results / "tables" / f"{name}.csv"
        own, metric = pd.read_csv(path).set_index("run").loc[run], row["metric"]
        assert row["ours"] == pytest.approx(own[f"test_{metric}"], abs=1e-6)
        low = own[f"test_{metric}_groups_low"]
        assert row["ours_low"] == pytest.approx(low, abs=1e-6)
        assert row["ours_low"] < row["ours"] < row["ours_high"]
    assert np.isnan(mask["low"]) and np.isnan(mask["high"])
    assert (tuned["images"], tuned["seeds"]) == (12, 3)
    assert tuned["ours_ci_low"] < tuned["ours"]
    assert none["our_run"] == "" and np.isnan(none["ours"]) and pd.isna(none["seeds"])


def test_the_iou_of_a_class_is_that_of_its_table_and_an_unknown_class_has_none(
    evaluated_results: Path, params: Params, tmp_path: Path
) -> None:
    lines = [
        f"h,s,segment,skips,skip,{name},,,camvid,iou_cs6550,0.4,101,," for name in ("wood", "sky")
    ]
    table = table_of(evaluated_results, params, write_numbers(tmp_path / "in", *lines))
    wood, sky = (row for _, row in table.iterrows())
    ious = pd.read_csv(evaluated_results / "tables" / "class_iou.csv")
    own = ious.set_index(["task", "run", "class"]).loc[("skips", "skip", "wood"), "iou_cs6550"]
    assert wood["ours"] == pytest.approx(own, abs=1e-6) and wood["seeds"] == 1
    assert np.isnan(sky["ours"])


def test_the_classes_of_the_numbers_are_camvids() -> None:
    table = read_numbers(FOLDER)
    table = table[table["metric"] == "iou_cs6550"]
    for merged, classes in ((False, CAMVID), (True, CAMVID_THREE)):
        own = table[table["run"].str.endswith("_3") == merged]
        assert own["class"].tolist() == [name for name, _ in classes]


def test_epochs_and_early_scores_are_those_of_the_histories(
    evaluated_results: Path, params: Params, tmp_path: Path
) -> None:
    folder = write_numbers(
        tmp_path / "in",
        "h,s,finetune,tiny,A,,,,office_home,epochs_to_95pct,150,406,,about",
        "h,s,segment,baseline,fcn,,,,deepglobe,best_epoch,25,257,,",
        "h,s,segment,baseline,fcn,,,,deepglobe,middle_miou,0.6,257,,",
    )
    table = evaluate(evaluated_results, params, published=folder).tables["published_numbers"]
    near, best, middle = (row for _, row in table.frame.iterrows())
    convergence = pd.read_csv(evaluated_results / "tables" / "convergence.csv")
    own = convergence[(convergence["stage"] == "finetune") & (convergence["run"] == "A")]
    assert near["ours"] == own["epochs_to_95pct"].median() and near["seeds"] == 3
    path = evaluated_results / "segment/baseline/fcn/0/history.csv"
    history = pd.read_csv(path).set_index("epoch")
    assert best["ours"] == history["selected"].idxmax()
    assert middle["ours"] == pytest.approx(history.loc[2, "val_miou"])
    assert middle["split"] == "val" and middle["images"] == 6
    assert "| A | s | epochs to convergence | 150 | - | - |" in table.markdown


def test_a_registered_folder_is_the_homeworks_own_data(
    evaluated_results: Path, params: Params, course: Params, tmp_path: Path
) -> None:
    line = "h,s,classify,baseline,cnn,,,,dlcv_50,accuracy,0.5,10,,"
    folder = write_numbers(tmp_path / "in", line)
    datasets = params.datasets | {"zones": course.datasets["dlcv_50"]}
    registered = params.model_copy(update={"datasets": datasets})
    for configuration, same in ((params, False), (registered, True)):
        table = evaluate(evaluated_results, configuration, published=folder).tables
        numbers = table["published_numbers"]
        assert f"| zones, {'the same' if same else 'other images'} |" in numbers.markdown
        assert numbers.frame["same_data"].tolist() == [same]


def test_weights_are_scratch_published_or_our_own(course: Params, earth: Params) -> None:
    expected = {
        ("classify", "transfer", "cs6550_scratch"): "none",
        ("classify", "transfer", "cs6550_finetune"): "alexnet",
        ("segment", "baseline", "dlcv2023_fcn32s"): "vgg16",
        ("pretrain", "dlcv2023", "supervised"): "sl",
        ("pretrain", "dlcv2023", "byol"): "none",
        ("finetune", "dlcv2023", "A"): "none",
        ("finetune", "dlcv2023", "B"): "sl",
        ("finetune", "dlcv2023", "C"): "own",
    }
    for run, weights in expected.items():
        assert init_weights(course, *run) == weights
    assert init_weights(earth, "finetune", "earth", "B") == "own"
    assert init_weights(earth, "classify", "transfer", "features") == "imagenet"
    assert init_weights(earth, "classify", "transfer", "scratch") == "none"


def test_an_empty_folder_of_numbers_is_refused(params: Params, tmp_path: Path) -> None:
    with pytest.raises(RepriseError, match="not found"):
        published_numbers_table(tmp_path, params, {}, pd.DataFrame(), {})
