"""The page: its sections, what is on them, and what happens when something is missing."""

import re
import runpy
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.evaluated import write_evaluation, write_figures
from support.fake_results import fake_params
from support.html_checker import read_html

from reprise import __version__
from reprise.atomic_io import read_json, write_json
from reprise.figures import figures
from reprise.params.load import Params
from reprise.report import html as parts
from reprise.report.html_tables import cells
from reprise.report.methods import differing_values
from reprise.report.sections import (
    missing_data,
    recipe_summary,
    report,
    starts_in_words,
    transfer_rows,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def html(whole_results: Path, params: Params) -> str:
    page, missing = report(whole_results, params)
    assert missing == []
    return page


def test_the_page_is_the_same_bytes_when_written_again(
    whole_results: Path, params: Params, html: str
) -> None:
    assert report(whole_results, params) == (html, [])


def test_the_page_needs_no_other_file(html: str) -> None:
    checker = read_html(html)
    assert '<script type="application/gzip" data-draws="scatter">' in html
    assert not {"link", "iframe", "object", "embed"} & {tag for tag, _ in checker.tags}
    assert not [script for script in checker.attributes("script") if "src" in script]
    images = checker.attributes("img")
    assert all(str(image["src"]).startswith("data:image/") for image in images)
    without = re.sub(r"(?s)base64,[A-Za-z0-9+/=]+|<script.*?</script>", "", html)
    assert "http" not in without.replace("http-equiv", "")
    (policy,) = [meta["content"] for meta in checker.attributes("meta") if "http-equiv" in meta]
    assert str(policy).startswith("default-src 'none'; img-src data:;")


def test_every_figure_is_on_the_page_with_a_text_alternative_and_a_caption(
    html: str, params: Params
) -> None:
    checker = read_html(html)
    images = checker.attributes("img")
    assert len(images) == len(figures(params)) == len(checker.attributes("figcaption"))
    numbers = [int(n) for n in re.findall(r"<b>Figure (\d+)\.</b>", html)]
    assert numbers == list(range(1, len(images) + 1))
    assert all(len(str(image["alt"])) > 20 for image in images)
    assert all(int(str(image["width"])) > 0 for image in images)


def test_every_task_has_a_section_titled_by_stage_and_task(html: str) -> None:
    headings = re.findall('<section id="([^"]+)">\n<h2>([^<]+)</h2>', html)
    assert [pair for pair in headings if "-" in pair[0]] == [
        ("pretrain-tiny", "Pretraining: tiny"),
        ("finetune-tiny", "Fine-tuning: tiny"),
        ("classify-baseline", "Classification: baseline"),
        ("classify-transfer", "Classification: transfer"),
        ("segment-baseline", "Segmentation: baseline"),
        ("segment-skips", "Segmentation: skips"),
        ("segment_anything-baseline", "Segment Anything: baseline"),
    ]


def test_masks_of_a_random_network_are_called_that_on_the_page(
    html: str, whole_results: Path, params: Params
) -> None:
    assert "RANDOM weights: nothing was learned, its masks mean nothing" in read_html(html).text
    task = params.segment_anything["baseline"]
    recipe = task.recipes["tiny_one"].model_copy(update={"weights": "sam_vit_b"})
    trained = task.model_copy(update={"recipes": {"tiny_one": recipe}})
    changed = params.model_copy(update={"segment_anything": {"baseline": trained}})
    page, _ = report(whole_results, changed)
    assert "with the published weights sam_vit_b" in page and "RANDOM weights" not in page
    none, missing = report(whole_results, params.model_copy(update={"segment_anything": {}}))
    assert '<section id="segment_anything' not in none and missing == []


def test_every_heading_of_a_table_has_its_scope(html: str) -> None:
    headings = read_html(html).attributes("th")
    assert {heading.get("scope") for heading in headings} == {"col", "row"}


def test_every_link_leads_to_a_section_a_figure_or_a_file(
    html: str, whole_results: Path, params: Params
) -> None:
    checker = read_html(html)
    links = {str(link["href"]) for link in checker.attributes("a")}
    anchors = {link.removeprefix("#") for link in links if link.startswith("#")}
    sections = {section["id"] for section in checker.attributes("section")}
    drawn = {f"figure-{name}" for name in figures(params)}
    assert sections | {"content"} <= anchors <= sections | {"content"} | drawn
    assert [main["id"] for main in checker.attributes("main")] == ["content"]
    files = {link for link in links if not link.startswith("#")}
    for link in files:
        path = ROOT / link[3:] if link.startswith("../") else whole_results / link
        assert path.exists(), link
    assert len([link for link in files if link.endswith(".svg")]) == len(figures(params))


def test_names_are_escaped(html: str, results: Path, params: Params) -> None:
    assert "drawn <for> the tests" in read_html(html).text
    assert "<for>" not in html
    for path in (results / "tables").glob("*"):
        path.write_text(path.read_text().replace("urban", "<script>alert(1)</script>"))
    path = results / "prepare" / "cover" / "dataset.json"
    path.write_text(path.read_text().replace("urban", "</script><b>"))
    page, _ = report(results, params)
    assert "<script>alert(1)" not in page and "</script><b>" not in page
    assert "<script>alert(1)</script>" in read_html(page).text


def test_the_numbers_on_the_page_are_those_of_the_tables(html: str, whole_results: Path) -> None:
    text = read_html(html).text
    for path in (whole_results / "tables").glob("*.md"):
        for line in path.read_text().splitlines():
            if line.startswith("| "):
                assert all(cell in text for cell in cells(line))


def test_a_question_names_the_runs_and_what_sets_them_apart(html: str, params: Params) -> None:
    text = read_html(html).text
    assert "Which run has the highest accuracy on people?" in text
    assert "B (weights: supervised), C (weights: byol), D (weights: supervised, frozen" in text
    merged = params.segment["skips"].recipes["merged"]
    assert recipe_summary("merged", merged) == "fcn8s, from scratch, 3 merged classes"
    assert recipe_summary("byol", params.pretrain["tiny"].recipes["byol"]) == "from scratch"


def test_the_first_screen_is_made_of_rows(results: Path, params: Params) -> None:
    path = results / "tables" / "answers.csv"
    table = pd.read_csv(path)
    assert len(table) > 4 and table["question"].iloc[0] == "Does supervised pretraining help?"
    page, _ = report(results, params)
    first = page.split('<section id="questions">')[1].split("</section>")[0]
    shown = re.findall(r'<th scope="row"><a href="#([\w-]+)">(.*?)</a></th>', first)
    assert [unescape(text) for _, text in shown] == table["question"].tolist()
    assert [link for link, _ in shown] == (table["stage"] + "-" + table["task"]).tolist()
    assert len(re.findall("<tr><th", first.split("<details")[0])) <= 7  # with the head
    table.loc[0, ["answer", "number", "certainty"]] = ["B wins", "+40 points", "significant"]
    table.to_csv(path, index=False)
    changed_page, _ = report(results, params)
    assert "B wins" in changed_page and "+40 points" in changed_page
    assert "B wins" not in page and "+40 points" not in page


def test_the_first_screen_says_what_the_names_of_runs_mean(html: str, params: Params) -> None:
    task = params.finetune["tiny"]
    (sentence,) = starts_in_words(params)
    assert sentence in html and f"{task.runs[0]}: from scratch;" in sentence
    frozen = task.recipes[task.runs[0]].model_copy(update={"start": "byol", "frozen": True})
    other = changed(params, "finetune", "tiny", recipes=task.recipes | {task.runs[0]: frozen})
    words = f"{task.runs[0]}: from byol pretraining without labels, frozen backbone;"
    assert words in starts_in_words(other)[0]


def test_values_in_which_the_runs_of_a_task_differ_are_named_before_its_table(
    results: Path, params: Params
) -> None:
    task = params.finetune["tiny"].model_copy(deep=True)
    for run, recipe in task.recipes.items():
        task.recipes[run] = recipe.model_copy(update={"learning_rate": 0.1, "epochs": None})
    assert differing_values(task) == ""
    first, *others = task.runs
    task.recipes[first] = task.recipes[first].model_copy(update={"learning_rate": 0.25})
    sentence = f" Not all have the same values: learning_rate is 0.25 in {first}; 0.1 in "
    assert differing_values(task) == f"{sentence}{', '.join(others)}."
    changed = params.model_copy(update={"finetune": params.finetune | {"tiny": task}})
    assert sentence in report(results, changed)[0]


def test_words_that_are_used_are_explained(html: str) -> None:
    words = html[html.index('<section id="words">') :].partition("</section>")[0]
    for word in ("Group, block", "ECE", "(proxy)", "resnet10, lite0, cnn"):
        assert f"<dt>{word}</dt><dd>" in words
    assert '<a href="#words">' in html


def test_a_preset_whose_numbers_mean_nothing_has_a_banner(
    whole_results: Path, params: Params, html: str
) -> None:
    warned = params.model_copy(update={"warning": "The numbers mean nothing."})
    page, _ = report(whole_results, warned)
    banner = '<p class="warning" role="note">The numbers mean nothing.</p>'
    assert banner in page.split("<table")[0] and banner not in html


def test_the_strip_names_preset_machine_precision_and_versions(
    results: Path, params: Params
) -> None:
    counts = {"cpu_capability": {"AVX2": 3, "AVX512": 3}, "device": {"cpu": 6}}
    counts |= {"precision": {"bfloat16": 6}, "torch": {"2.15.0": 6}}
    write_json(results / "intervals.json", {"machine": counts})
    page, _ = report(results, params, "earth")
    strip = read_html(page.split('<p class="strip">')[1].split("</p>")[0]).text
    assert "Preset earth" in strip and "AVX2 and AVX512, cpu" in strip
    assert "Precision bfloat16" in strip and "torch 2.15.0" in strip
    assert f"Reprise {__version__}" in strip


@pytest.mark.parametrize(
    "lost",
    ["tables/classify_transfer.md", "vector/iou.svg", "figures/masks_skips.png", "checksums.csv",
     "tables/finetune_tiny.csv", "tables/answers.csv", "embed/cnn/tsne.csv",
     "segment/baseline/fcn/0/masks/0012_middle.png"],
)  # fmt: skip
def test_what_is_missing_is_noted_in_its_place(
    html: str, results: Path, params: Params, lost: str
) -> None:
    (results / lost).unlink()
    page, missing = report(results, params)
    assert len(missing) == 1 and f"{lost}: not found" in missing[0]
    partial, whole = read_html(page), read_html(html)
    assert partial.attributes("section") == whole.attributes("section")
    assert len(partial.attributes("table")) >= len(whole.attributes("table")) - 9
    assert "Missing here: " in partial.text and "Missing here: " not in whole.text


def test_the_page_with_a_note_is_written_and_the_command_fails(
    results: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (results / "tables" / "classify_transfer.md").unlink()
    out = results / "report.html"
    monkeypatch.setattr("sys.argv", ["report.py", "--results", str(results), "--out", str(out)])
    monkeypatch.setattr("reprise.params.load.load_params", lambda _: fake_params())
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "workflow" / "scripts" / "report.py"), run_name="__main__")
    assert ended.value.code == 1
    assert "classify_transfer.md: not found" in caplog.text
    assert "where missing results are noted" in caplog.text
    assert "Missing here: " in read_html(out.read_text()).text


def rebuilt(results: Path, params: Params) -> str:
    """The page after everything that follows the trainings was made again."""
    for folder in ("tables", "figures", "vector"):
        for path in (results / folder).iterdir():
            path.unlink()
    write_evaluation(results, params)
    write_figures(results, params)
    page, missing = report(results, params)
    assert missing == []
    return unescape(page)


def changed(params: Params, stage: str, task: str, **values: Any) -> Params:
    """The configuration with other values of one task."""
    block = getattr(params, stage)
    return params.model_copy(update={stage: block | {task: block[task].model_copy(update=values)}})


def test_with_one_seed_there_is_no_interval_over_seeds_and_the_page_says_so(
    results: Path, params: Params
) -> None:
    page = rebuilt(results, changed(params, "finetune", "tiny", seeds=[1]))
    assert "One seed only: finetune tiny, classify baseline, segment baseline, segment" in page
    table = pd.read_csv(results / "tables" / "comparisons.csv")
    assert table["ci_low"].isna().all() and (table["test"] == "sign flip").any()


def test_one_task_of_classify_alone_is_drawn_and_reported(results: Path, params: Params) -> None:
    names = ["pretrain", "finetune", "segment", "segment_anything", "embed"]
    classify = {"baseline": params.classify["baseline"]}
    alone = params.model_copy(update={"classify": classify, **dict.fromkeys(names, {})})
    page = rebuilt(results, alone)
    assert re.findall('<section id="([^"]+)"', page) == [
        "questions", "limitations", "classify-baseline", "comparisons", "published", "calibration",
        "cost", "networks", "training", "provenance", "words", "datasets",
    ]  # fmt: skip
    assert len(list((results / "figures").iterdir())) == len(figures(alone)) == 9
    assert "vega" not in page.rpartition("<script>")[2]  # no chart, no script for one


def test_tasks_without_runs_and_a_run_alone_leave_a_page(results: Path, params: Params) -> None:
    values = changed(params, "finetune", "tiny", runs=["C"])
    values = changed(values, "classify", "transfer", runs=[])
    values = changed(values, "segment", "skips", runs=[])
    page = rebuilt(results, values)
    assert "No run, seed or image of segment skips in params.yaml." not in page  # it is drawn
    assert "Runs: none." in page
    table = pd.read_csv(results / "tables" / "comparisons.csv")
    assert set(table["stage"] + " " + table["task"]) == {"classify baseline"}


def test_a_history_of_one_epoch_and_a_class_without_an_image_leave_a_page(
    results: Path, params: Params
) -> None:
    for path in results.rglob("history.csv"):
        if "pretrain" not in path.parts:
            history = pd.read_csv(path)
            history[history["selected"] == 1].to_csv(path, index=False)
    path = results / "prepare" / "zones" / "dataset.json"
    info = read_json(path)
    info["classes"].append({"id": 3, "name": "never seen", "color": [1, 2, 3]})
    write_json(path, info)
    rebuilt(results, params)
    assert "never seen" in (results / "tables" / "confusion.csv").read_text()


def test_the_page_names_the_machine_of_the_training_jobs(results: Path, params: Params) -> None:
    path = results / "intervals.json"
    counts = {"precision": {"bfloat16": 4, "float32": 2}, "threads": {"1": 6}}
    write_json(path, {"machine": counts})
    page = " ".join(report(results, params)[0].split())
    assert "training jobs ran on: precision bfloat16 and float32, threads 1." in page
    path.unlink()
    page = " ".join(report(results, params)[0].split())
    assert "training jobs ran on: machine not recorded." in page


def test_what_make_data_left_out_is_on_the_page(
    whole_results: Path, params: Params, html: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "What is left out" not in html
    path = tmp_path / "missing.csv"
    path.write_text(
        "kind,name,what,where,tables\n"
        "weights,vgg16,the file data/weights/vgg16.pth,make weights NAME=vgg16,segment.x (fcn32s)\n"
    )
    assert missing_data(path) == [
        [
            "vgg16",
            "the file data/weights/vgg16.pth",
            "make weights NAME=vgg16",
            "segment.x (fcn32s)",
        ]
    ]
    assert missing_data(tmp_path / "none.csv") == []
    monkeypatch.setattr("reprise.report.sections.MISSING_DATA", path)
    page, missing = report(whole_results, params)
    assert missing == [] and '<section id="missing">' in page
    assert "make weights NAME=vgg16" in page


def test_frozen_and_pretrained_runs_are_compared_in_one_table(
    whole_results: Path, params: Params
) -> None:
    block = params.classify["transfer"]
    reader = parts.ResultsReader(whole_results)
    assert transfer_rows(reader, "transfer", block) == []  # none is frozen
    scratch = block.recipes["scratch"]
    frozen = scratch.model_copy(update={"frozen": True, "weights": "imagenet"})
    recipes = {"scratch": scratch, "features": frozen}
    both = block.model_copy(update={"recipes": recipes, "runs": ["scratch", "features"]})
    scores = pd.read_csv(whole_results / "tables" / "classify_transfer.csv")
    networks = pd.read_csv(whole_results / "tables" / "networks.csv")
    added = scores.assign(run="features", test_accuracy=0.999)
    of_task = networks[(networks["stage"] == "classify") & (networks["task"] == "transfer")]
    tables = {
        "tables/classify_transfer.csv": pd.concat([scores, added]),
        "tables/networks.csv": pd.concat([networks, of_task.assign(run="features", trained=8194)]),
    }
    reader.csv = lambda path, *_: tables[path]  # type: ignore[method-assign]
    first, second = transfer_rows(reader, "transfer", both)
    trained = int(of_task["trained"].iloc[0])
    assert first == [
        "scratch", "no", f"all layers, {trained:,} parameters",
        f"{scores['test_accuracy'].iloc[0]:.4f}", "2",
    ]  # fmt: skip
    assert second == [
        "features", "yes, imagenet", "the last layer, 8,194 parameters", "0.9990", "1"
    ]  # fmt: skip
    # a run without a score has no rank, and takes none from the other
    tables["tables/classify_transfer.csv"].loc[
        lambda t: t["run"] == "features", "test_accuracy"
    ] = float("nan")
    first, second = transfer_rows(reader, "transfer", both)
    assert first[-1] == "1" and second[-2:] == ["-", "-"]


def test_byol_is_drawn_with_its_loss_and_its_target(params: Params, html: str) -> None:
    assert html.count('class="diagram"') == 1 and "2 - 2 cos(q, z)" in html
    assert "moving average" in html and "as in SimSiam" not in html
    recipe = params.pretrain["tiny"].recipes["byol"].model_copy(update={"use_momentum": False})
    simsiam = parts.macro("byol", recipe, "x")
    assert "as in SimSiam" in simsiam and "moving average" not in simsiam


def test_a_large_figure_is_a_webp_if_that_is_smaller(results: Path, params: Params) -> None:
    name, few = "confusion_classify_baseline", parts.FIGURES_BYTES
    reader = parts.ResultsReader(results, few)  # a byte each
    figure = reader.figure("confusion", "classify", "baseline", alt="A figure.")
    svg = (results / "vector" / f"{name}.svg").stat().st_size
    webp = parts.as_webp((results / "figures" / f"{name}.png").read_bytes(), lossless=True)
    assert ("data:image/webp" in figure) == (len(webp) < svg)
    assert "data:image/svg+xml" in parts.ResultsReader(results).figure(
        "confusion", "classify", "baseline", alt="A figure."
    )
