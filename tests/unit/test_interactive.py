"""Promises of the charts that a reader can hover over: valid, with the pictures of their points."""

import base64
import csv
import io
from pathlib import Path

import altair as alt
import pytest
from PIL import Image

from reprise.evaluation.holes import Holes
from reprise.evaluation.prepared import Prepared, read_prepared
from reprise.figures.interactive import THUMBNAIL, label_maps, points
from reprise.params import Params


@pytest.fixture(scope="module")
def prepared(whole_results: Path) -> Prepared:
    return read_prepared(whole_results / "prepare" / "zones")


def test_the_charts_are_valid_vega_lite(
    whole_results: Path, params: Params, prepared: Prepared
) -> None:
    cover = read_prepared(whole_results / "prepare" / "cover")
    for spec in (
        points(whole_results, params, "classify", prepared, Holes(strict=True)),
        label_maps(whole_results, params, "segment", cover, Holes(strict=True)),
    ):
        alt.Root.validate(spec)  # raises where a property is unknown or has a wrong value


def test_every_point_has_the_picture_of_its_image(
    whole_results: Path, params: Params, prepared: Prepared
) -> None:
    spec = points(whole_results, params, "classify", prepared, Holes(strict=True))
    (lookup,) = [step for step in spec["transform"] if "lookup" in step]
    rows = csv.DictReader(io.StringIO(spec["datasets"][lookup["from"]["data"]["name"]]))
    pictures = {row["id"]: row["url"] for row in rows}
    own = spec["datasets"][spec["data"]["name"]]
    shown = {row["id"] for row in csv.DictReader(io.StringIO(own))}
    assert pictures.keys() == shown
    for url in pictures.values():
        assert len(url) < 2000  # 1500 of them stay far below the page's 10 MB
        head, data = url.split(",")
        assert head == "data:image/webp;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            assert max(picture.size) <= THUMBNAIL
    tooltip = spec["encoding"]["tooltip"][0]
    assert (tooltip["field"], tooltip["title"]) == ("url", "image")  # Vega shows it as a picture


def test_a_missing_mask_leaves_its_panels_empty_and_the_rest(results: Path, params: Params) -> None:
    (results / "street/skip/0/masks/0012_early.png").unlink()
    groups = read_prepared(results / "prepare" / "groups")
    holes = Holes()
    spec = label_maps(results, params, "street", groups, holes)
    alt.Root.validate(spec)
    (data,) = spec["datasets"].values()
    rows = list(csv.DictReader(io.StringIO(data)))
    # panel 2 is what a run answered, and moments begin with 1
    answers = {(row["run"], row["moment"]) for row in rows if row["panel"] == "2"}
    assert answers == {(run, at) for run in "01" for at in "123"} - {("0", "1")}
    assert len(holes.of("street")) == 1 and "0012_early.png: not found" in holes.of()[0]


def test_a_missing_layout_leaves_the_other_method(
    results: Path, params: Params, prepared: Prepared
) -> None:
    (results / "embed/classify/pca.csv").unlink()
    holes = Holes()
    spec = points(results, params, "classify", prepared, holes)
    (method,) = [one for one in spec["params"] if one["name"] == "method"]
    assert method["bind"]["options"] == ["t-SNE"] and method["value"] == "t-SNE"
    assert len(holes.of("classify")) == 1 and "pca.csv: not found" in holes.of()[0]
    (results / "embed/classify/tsne.csv").unlink()
    assert points(results, params, "classify", prepared, holes) is None
