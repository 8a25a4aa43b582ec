"""Interactive charts: valid Vega-Lite, with the images of their points."""

import base64
import csv
import io
from pathlib import Path

import altair as alt
import numpy as np
import pytest
from PIL import Image

from reprise.datasets.prepared import Classes, PreparedDataset, read_prepared
from reprise.evaluation.markdown import Missing
from reprise.params.load import Params
from reprise.report.charts import MAX_POINTS, SMALL_THUMBNAIL, THUMBNAIL, embedding
from reprise.report.mask_charts import NO_CLASS, errors_only, masks, run_lengths, step_of

STRICT = Missing(strict=True)


@pytest.fixture(scope="module")
def zones(whole_results: Path) -> PreparedDataset:
    return read_prepared(whole_results / "prepare" / "zones")


def test_the_charts_are_valid_vega_lite(
    whole_results: Path, params: Params, zones: PreparedDataset
) -> None:
    cover = read_prepared(whole_results / "prepare" / "cover")
    for spec in (
        embedding(whole_results, params, "cnn", zones, STRICT),
        masks(whole_results, params, "baseline", cover, STRICT),
    ):
        alt.Root.validate(spec)  # raises where a property is unknown or has a wrong value


def test_every_point_has_the_thumbnail_of_its_image(
    whole_results: Path, params: Params, zones: PreparedDataset
) -> None:
    spec = embedding(whole_results, params, "cnn", zones, STRICT)
    assert spec is not None
    (lookup,) = [step for step in spec["transform"] if "lookup" in step]
    rows = csv.DictReader(io.StringIO(spec["datasets"][lookup["from"]["data"]["name"]]))
    thumbnails = {row["id"]: row["url"] for row in rows}
    points = spec["datasets"][spec["data"]["name"]]
    assert thumbnails.keys() == {row["id"] for row in csv.DictReader(io.StringIO(points))}
    for url in thumbnails.values():
        assert len(url) < 2000  # 1500 of them stay far below the page's 10 MB
        head, data = url.split(",")
        assert head == "data:image/webp;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert max(image.size) <= THUMBNAIL
    tooltip = spec["encoding"]["tooltip"][0]
    assert (tooltip["field"], tooltip["title"]) == ("url", "image")  # Vega shows it as an image


def test_a_missing_mask_leaves_its_panels_empty_and_the_rest(results: Path, params: Params) -> None:
    (results / "segment/skips/skip/0/masks/0012_early.png").unlink()
    groups = read_prepared(results / "prepare" / "groups")
    missing = Missing()
    spec = masks(results, params, "skips", groups, missing)
    assert spec is not None
    alt.Root.validate(spec)
    (data,) = spec["datasets"].values()
    rows = list(csv.DictReader(io.StringIO(data)))
    # panel 2 is the prediction of a run; epochs count from 1
    predictions = {(row["run"], row["epoch"]) for row in rows if row["panel"] == "2"}
    assert predictions == {(run, at) for run in "01" for at in "123"} - {("0", "1")}
    assert len(missing.reasons()) == 1 and "0012_early.png: not found" in missing.reasons()[0]


def test_a_missing_layout_leaves_the_other_method(
    results: Path, params: Params, zones: PreparedDataset
) -> None:
    (results / "embed/cnn/pca.csv").unlink()
    missing = Missing()
    spec = embedding(results, params, "cnn", zones, missing)
    assert spec is not None
    (method,) = [parameter for parameter in spec["params"] if parameter["name"] == "method"]
    assert method["bind"]["options"] == ["t-SNE"] and method["value"] == "t-SNE"
    assert len(missing.reasons()) == 1 and "pca.csv: not found" in missing.reasons()[0]
    (results / "embed/cnn/tsne.csv").unlink()
    assert embedding(results, params, "cnn", zones, missing) is None


def test_a_task_without_images_has_no_chart(whole_results: Path, params: Params) -> None:
    groups = read_prepared(whole_results / "prepare" / "groups")
    block = params.segment["skips"].model_copy(update={"images": []})
    changed = params.model_copy(update={"segment": {"skips": block}})
    assert masks(whole_results, changed, "skips", groups, STRICT) is None


def test_errors_are_what_was_predicted_where_that_is_wrong() -> None:
    classes = Classes(("a", "b"), ((0, 0, 0), (1, 1, 1)), 2)
    mask, truth = np.array([[0, 1, 1]], np.uint8), np.array([[0, 0, 2]], np.uint8)
    assert errors_only(mask, truth, classes).tolist() == [[NO_CLASS, 1, NO_CLASS]]


def test_run_lengths_give_the_map_back() -> None:
    ids = np.random.default_rng(0).integers(0, 3, (5, 9)).astype(np.uint8)
    ids[2] = 1
    rows = run_lengths(ids, {0: 7, 1: 8})
    painted = np.full(ids.shape, 2)
    for code, x, length, y in rows.to_numpy().tolist():
        assert (painted[y, x : x + length] == 2).all()
        painted[y, x : x + length] = code - 7
    assert np.array_equal(painted, ids)
    assert len(rows[rows["y"] == 2]) == 1


def test_label_maps_are_thinned_until_they_fit() -> None:
    noise = np.random.default_rng(0).integers(0, 2, (64, 64)).astype(np.uint8)
    plain = np.zeros((64, 64), np.uint8)
    assert step_of([plain] * 10, 640) == 1  # one run in each line
    count = len(run_lengths(noise, {0: 0, 1: 1}))
    assert step_of([noise], count) == 1
    step = step_of([noise], count - 1)
    assert step == 2 and len(run_lengths(noise[::step, ::step], {0: 0, 1: 1})) < count


def test_a_page_with_many_points_has_smaller_thumbnails(
    whole_results: Path, params: Params, zones: PreparedDataset
) -> None:
    embeds = {
        name: block.model_copy(update={"max_points": MAX_POINTS})
        for name, block in params.embed.items()
    }
    large = zones.with_images(np.random.default_rng(0).integers(0, 256, (24, 96, 96, 3), np.uint8))
    sizes = []
    for changed in (params, params.model_copy(update={"embed": embeds})):
        spec = embedding(whole_results, changed, "cnn", large, STRICT)
        assert spec is not None
        (lookup,) = [step for step in spec["transform"] if "lookup" in step]
        rows = csv.DictReader(io.StringIO(spec["datasets"][lookup["from"]["data"]["name"]]))
        data = next(rows)["url"].split(",")[1]
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            sizes.append(image.size)
    assert sizes == [(THUMBNAIL, THUMBNAIL), (SMALL_THUMBNAIL, SMALL_THUMBNAIL)]


def test_a_chart_shows_at_most_its_share_of_the_points(
    whole_results: Path, params: Params, zones: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    for most in (1000, 10):
        monkeypatch.setattr("reprise.report.charts.MAX_POINTS", most)
        spec = embedding(whole_results, params, "cnn", zones, STRICT)
        assert spec is not None
        rows = csv.DictReader(io.StringIO(spec["datasets"][spec["data"]["name"]]))
        counts.append(len({row["id"] for row in rows}))
    assert counts[0] == 16 and 3 <= counts[1] <= 10 // len(params.embed)
