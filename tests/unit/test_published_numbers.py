"""The published numbers and ours: which run reproduces which, on which data, how precisely."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from reprise.atomic_io import write_json
from reprise.datasets.classes import CAMVID, CAMVID_THREE
from reprise.engines.preset import render
from reprise.errors import RepriseError
from reprise.evaluation.evaluate import evaluate
from reprise.evaluation.published_numbers import (
    OTHER_IMAGES,
    OWN,
    PUBLISHED,
    UNVERIFIED,
    matching_run,
    published_numbers_table,
    read_numbers,
    read_other_solutions,
    whose_images,
)
from reprise.evaluation.recipe_differences import Homeworks, in_words, recipe_values
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


def images_of(params: Params, row: dict[Any, Any], **info: Any) -> str:
    """Whose images the run of a number has, if its dataset.json has `info`."""
    task, _ = matching_run(params, row)
    data = getattr(params, row["stage"])[task].data
    return whose_images(params, SimpleNamespace(name=data, info=info), row)  # type: ignore[arg-type]


def write_numbers(folder: Path, *lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "numbers.csv").write_text(HEADER + "".join(f"{line}\n" for line in lines))
    others = "other_solutions,year,value,note\nb,2021,0.9,\nb,2022,0.8,\n"
    (folder / "other_solutions.csv").write_text(others)
    return folder


def test_every_number_names_a_run_of_the_course_and_its_layout(course: Params) -> None:
    for row in rows():
        assert matching_run(course, row) == (row["task"], row["run"])
        assert row["task"] == row["homework"]
        assert images_of(course, row) == UNVERIFIED, row


def test_own_images_are_those_of_a_verified_hand_out_of_this_homework(course: Params) -> None:
    found = {"verified": True, "homeworks": ["dlcv2022"], "archive": "NTU DLCV 2022 HW1"}
    for row in rows():
        whose = images_of(course, row, **found)
        own = row["homework"] == "dlcv2022"
        assert whose == (OWN if own else "those of NTU DLCV 2022 HW1")
        assert images_of(course, row, **found | {"verified": False}) == UNVERIFIED


def test_a_proxy_is_a_run_of_earth_and_its_data_are_not_the_homeworks(earth: Params) -> None:
    for row in rows():
        task, run = matching_run(earth, row)
        assert (task, run) == (row["proxy_task"], row["proxy_run"])
        assert not task or images_of(earth, row, verified=True) == OTHER_IMAGES


def test_synthetic_images_are_not_the_homeworks_data() -> None:
    smoke = preset("course-smoke")
    homeworks = {"verified": True, "homeworks": [row["homework"] for row in rows()]}
    assert {images_of(smoke, row, **homeworks) for row in rows()} == {OTHER_IMAGES}


def difference(params: Params, row: dict[Any, Any]) -> str:
    our_task, our_run = matching_run(params, row)
    return Homeworks(ROOT / "presets").differences(
        row | {"our_task": our_task, "our_run": our_run}, params
    )


def test_a_homeworks_own_recipe_differs_in_nothing(course: Params) -> None:
    assert {difference(course, row) for row in rows()} == {"none"}


@pytest.mark.parametrize(
    ("stage", "run", "values", "words"),
    [
        ("segment", "deeplabv3", {"epochs": 3}, "3 epochs (30)"),
        ("segment", "fcn32s", {"weights": "none"}, "vgg16 from scratch"),
        ("segment", "fcn32s", {"width_mult": 0.125}, "width 0.125 (1)"),
        ("segment", "fcn32s", {"image_size": 128}, "128 px (512)"),
        ("classify", "cnn", {"normalize": "none"}, "normalize none (dataset)"),
        ("classify", "cnn", {"feature_epochs": [1]}, "none"),
    ],
)
def test_what_differs_from_the_homework_is_in_the_row(
    stage: str, run: str, values: dict[str, Any], words: str
) -> None:
    params = preset("dlcv2022")
    recipes = getattr(params, stage)["dlcv2022"].recipes
    recipes[run] = recipes[run].model_copy(update=values)
    row = next(row for row in rows() if (row["task"], row["run"]) == ("dlcv2022", run))
    assert difference(params, row | {"stage": stage}) == words


def test_every_value_of_a_recipe_can_differ(course: Params) -> None:
    theirs = recipe_values(course, "finetune", "dlcv2023", "C")
    assert {"start", "epochs", "augment.degrees", "pretraining.epochs", "images.size"} <= set(
        theirs
    )
    for key, value in theirs.items():
        other = value + 1 if isinstance(value, int | float) else "other"
        assert in_words(theirs | {key: other}, theirs) != "none", key
    many = dict.fromkeys(theirs, "x")
    assert in_words(many, theirs).endswith(f"{len(theirs) - 8} more")


def test_the_rule_reads_the_preset_of_every_homework() -> None:
    rule = (ROOT / "workflow/rules/evaluate.smk").read_text()
    (listed,) = re.findall(r"^HOMEWORKS = \[(.*)\]$", rule, re.M)
    homeworks = {row["homework"] for row in rows()}
    assert set(re.findall(r'"(\w+)"', listed)) == homeworks
    assert all((ROOT / f"presets/{name}.yaml").is_file() for name in homeworks)


def test_every_scored_run_of_a_homework_has_a_number(course: Params) -> None:
    table = read_numbers(FOLDER)
    # without the homework's mistake
    corrected = {("dlcv2024", "fcn32s"), ("cs6550", "fcn8s_learned_norm")}
    for stage in ("finetune", "classify", "segment"):
        for name, task in getattr(course, stage).items():
            if name != "cs6550_segnet":  # not of the homework
                own = table[(table["stage"] == stage) & (table["task"] == name)]
                assert {run for run in task.runs if (name, run) not in corrected} == set(own["run"])


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
        "dlcv2022,s,classify,dlcv2022,cnn,,baseline,cnn,dlcv_50,accuracy,0.8748,2500,b,",
        "dlcv2023,s,finetune,dlcv2023,C,,tiny,C,office_home,accuracy,0.4803,406,,",
        "cs6550,s,segment,cs6550,fcn8s,,skips,skip,camvid,miou_cs6550,0.4,101,,",
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
        f"cs6550,s,segment,cs6550,fcn8s,{name},skips,skip,camvid,iou_cs6550,0.4,101,,"
        for name in ("wood", "sky")
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
        "dlcv2023,s,finetune,dlcv2023,A,,tiny,A,office_home,epochs_to_95pct,150,406,,about",
        "dlcv2021,s,segment,dlcv2021,fcn32s,,baseline,fcn,deepglobe,best_epoch,25,257,,",
        "dlcv2022,s,segment,dlcv2022,fcn32s,,baseline,fcn,deepglobe,middle_miou,0.6,257,,",
        "cs6550,s,segment,cs6550,fcn8s,,skips,skip,camvid,best_epoch_pixel_accuracy,41,101,,",
    )
    table = evaluate(evaluated_results, params, published=folder).tables["published_numbers"]
    near, best, middle, pixels = (row for _, row in table.frame.iterrows())
    convergence = pd.read_csv(evaluated_results / "tables" / "convergence.csv")
    own = convergence[(convergence["stage"] == "finetune") & (convergence["run"] == "A")]
    assert near["ours"] == own["epochs_to_95pct"].median() and near["seeds"] == 3
    path = evaluated_results / "segment/baseline/fcn/0/history.csv"
    history = pd.read_csv(path).set_index("epoch")
    assert best["ours"] == history["selected"].idxmax()
    assert middle["ours"] == pytest.approx(history.loc[2, "val_miou"])
    assert middle["split"] == "val" and middle["images"] == 6
    path = evaluated_results / "segment/skips/skip/0/history.csv"
    history = pd.read_csv(path).set_index("epoch")
    assert pixels["ours"] == history["val_pixel_accuracy"].idxmax() and pixels["split"] == "val"
    assert "| A | s | epochs to convergence | 150 | - | - |" in table.markdown


def test_a_row_says_whose_images_ours_are_and_what_differs(
    evaluated_results: Path, params: Params, course: Params, tmp_path: Path
) -> None:
    line = "dlcv2022,s,classify,dlcv2022,cnn,,baseline,cnn,dlcv_50,accuracy,0.5,10,,"
    folder = write_numbers(tmp_path / "in", line)
    datasets = params.datasets | {"zones": course.datasets["dlcv_50"]}
    registered = params.model_copy(update={"datasets": datasets})
    for configuration, whose in ((params, OTHER_IMAGES), (registered, UNVERIFIED)):
        table = evaluate(evaluated_results, configuration, published=folder).tables
        numbers = table["published_numbers"]
        assert f"| zones, {whose} |" in numbers.markdown
        assert numbers.frame["same_data"].tolist() == [False]
        assert "3 epochs (90)" in numbers.frame["differs"].iloc[0]
        assert "3 epochs (90)" in numbers.markdown


def test_a_shown_epoch_is_scored_on_the_test_split_where_the_job_counted_it(
    evaluated_results: Path, params: Params, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    shutil.copytree(evaluated_results, results)
    tasks = dict(params.segment)
    recipe = tasks["baseline"].recipes["fcn"].model_copy(update={"score_shown_epochs": True})
    tasks["baseline"] = tasks["baseline"].model_copy(update={"recipes": {"fcn": recipe}})
    scored = params.model_copy(update={"segment": tasks})
    line = "dlcv2022,s,segment,dlcv2022,fcn32s,,baseline,fcn,deepglobe,middle_miou,0.6,257,,"
    folder = write_numbers(tmp_path / "in", line)
    path = results / "segment/baseline/fcn/0/masks/test_confusion.json"
    with pytest.raises(RepriseError, match=r"test_confusion\.json: not found"):
        evaluate(results, scored, published=folder)
    # three classes, the unknown one, and last the unknown pixels: one is predicted as the first
    middle = [[3, 1, 0, 0, 0], [0, 4, 0, 0, 0], [0, 0, 2, 0, 0], [0] * 5, [1, 0, 0, 0, 0]]
    write_json(path, {"early": middle, "middle": middle, "final": middle})
    numbers = evaluate(results, scored, published=folder).tables["published_numbers"].frame
    assert numbers["ours"].iloc[0] == pytest.approx((3 / 5 + 4 / 5 + 1) / 3)
    assert (numbers["split"].iloc[0], numbers["images"].iloc[0]) == ("test", 12)
    write_json(path, {"early": middle, "middle": [[1]], "final": middle})
    with pytest.raises(RepriseError, match=r"test_confusion\.json: middle: must be 5 x 5"):
        evaluate(results, scored, published=folder)


def test_weights_are_scratch_published_or_our_own(course: Params, earth: Params) -> None:
    expected = {
        ("classify", "cs6550", "scratch"): "none",
        ("classify", "cs6550", "finetune"): "alexnet",
        ("segment", "dlcv2023", "fcn32s"): "vgg16",
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
