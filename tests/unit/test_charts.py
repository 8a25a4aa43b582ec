"""Interactive charts: valid Vega-Lite, with the images of their points."""

import base64
import csv
import io
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from reprise.datasets.prepared import Classes, PreparedDataset, read_prepared
from reprise.evaluation.markdown import Missing
from reprise.params.load import Params
from reprise.report.charts import MAX_POINTS, SMALL_THUMBNAIL, THUMBNAIL, embedding
from reprise.report.mask_charts import APART, errors_only, legend, map_url, masks, neutral

STRICT = Missing(strict=True)


@pytest.fixture(scope="module")
def zones(whole_results: Path) -> PreparedDataset:
    return read_prepared(whole_results / "prepare" / "zones")


def test_the_scatter_plot_is_valid_vega_lite_and_stops_at_the_kept_epochs(
    whole_results: Path, params: Params, zones: PreparedDataset
) -> None:
    spec = embedding(whole_results, params, "cnn", zones, STRICT)
    assert spec is not None
    alt.Root.validate(spec)  # raises where a property is unknown or has a wrong value
    (epoch,) = [parameter for parameter in spec["params"] if parameter["name"] == "epoch"]
    kept = pd.read_csv(whole_results / "embed" / "cnn" / "pca.csv")["epoch"].unique()
    assert epoch["bind"]["options"] == sorted(kept.tolist())
    (zoom,) = [p for p in spec["params"] if "select" in p]
    assert "event.ctrlKey" in zoom["select"]["zoom"]  # the wheel alone scrolls the page


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
    data = masks(results, params, "skips", groups, missing)
    assert data is not None
    shown = {key for key in data["maps"] if key.startswith("prediction/")}
    every = {f"prediction/0012/{run}/{epoch}" for run in data["runs"] for epoch in data["epochs"]}
    assert shown == every - {"prediction/0012/skip/early"}
    assert "wrong/0012/skip/early" not in data["maps"] and "truth/0012/skip" in data["maps"]
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


COLORS = ((0, 0, 0), (255, 255, 255), (224, 224, 224), (192, 192, 192), (9, 99, 199))


@pytest.mark.parametrize("number", range(len(COLORS)))
def test_a_class_that_is_wrong_everywhere_is_not_drawn_like_one_that_is_right(number: int) -> None:
    """Also if it is white, black, or of a gray that would do for right pixels."""
    classes = Classes(tuple("abcde"), COLORS, None)
    ids = np.full((4, 4), number, np.uint8)
    other = np.full((4, 4), (number + 1) % len(COLORS), np.uint8)
    right, wrong = errors_only(ids, ids, classes), errors_only(ids, other, classes)
    assert (wrong == COLORS[number]).all()
    assert len(np.unique(right.reshape(-1, 3), axis=0)) == 1
    assert int(np.abs(right.astype(int) - wrong.astype(int)).max()) >= APART
    assert len(set(right[0, 0].tolist())) == 1  # gray


def test_errors_are_what_was_predicted_where_that_is_wrong() -> None:
    classes = Classes(("a", "b"), ((10, 0, 0), (1, 1, 99)), 2)
    mask, truth = np.array([[0, 1, 1]], np.uint8), np.array([[0, 0, 2]], np.uint8)
    gray = neutral(classes)
    assert errors_only(mask, truth, classes).tolist() == [[list(gray), [1, 1, 99], [0, 0, 0]]]


def test_a_map_is_an_image_of_the_same_pixels() -> None:
    pixels = np.random.default_rng(0).choice(np.array(COLORS, np.uint8), (7, 5))
    head, data = map_url(pixels).split(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert np.array_equal(np.asarray(image.convert("RGB")), pixels)


def test_the_legend_names_every_class_right_pixels_and_no_label(
    whole_results: Path, params: Params
) -> None:
    cover = read_prepared(whole_results / "prepare" / "cover")
    entries = legend(cover.classes)
    assert [name for name, _ in entries[:-2]] == [cover.classes.names[i] for i in cover.classes.ids]
    assert [name for name, _ in entries[-2:]] == ["right", "no label"]


def test_each_run_has_the_photo_of_its_own_crop(whole_results: Path, params: Params) -> None:
    cover = read_prepared(whole_results / "prepare" / "cover")
    block = params.segment["baseline"]
    (run,) = block.runs
    recipe = block.recipes[run]
    cropped = recipe.model_copy(
        update={"augment": recipe.augment.model_copy(update={"crop_pixels": 8})}
    )
    recipes = {"small": cropped, run: recipe, "again": recipe}
    changed = block.model_copy(update={"runs": list(recipes), "recipes": recipes})
    several = params.model_copy(update={"segment": {"baseline": changed}})
    chart = masks(whole_results, several, "baseline", cover, Missing())
    assert chart is not None
    assert chart["crops"] == {"small": "8", run: "whole", "again": "whole"}
    sizes = {}
    for key, url in chart["maps"].items():
        if key.startswith(f"image/{block.images[0]}/"):
            with Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))) as photo:
                sizes[key.rpartition("/")[2]] = photo.size
    assert sizes == {"8": (8, 8), "whole": cover.images.shape[2:0:-1]}


def test_large_maps_are_thinned_until_they_fit(
    whole_results: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    cover = read_prepared(whole_results / "prepare" / "cover")
    whole = masks(whole_results, params, "baseline", cover, STRICT)
    monkeypatch.setattr("reprise.report.mask_charts.MAX_BYTES", 1)
    small = masks(whole_results, params, "baseline", cover, STRICT)
    assert whole is not None and small is not None
    assert sum(map(len, small["maps"].values())) < sum(map(len, whole["maps"].values()))


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
