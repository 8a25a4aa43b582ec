"""Promises of the charts that a reader can hover over: valid, with the pictures of their points."""

import base64
import csv
import io
from pathlib import Path

import altair as alt
import pytest
from PIL import Image

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
        points(whole_results, params, "classify", prepared),
        label_maps(whole_results, params, "segment", cover),
    ):
        alt.Root.validate(spec)  # raises where a property is unknown or has a wrong value


def test_every_point_has_the_picture_of_its_image(
    whole_results: Path, params: Params, prepared: Prepared
) -> None:
    spec = points(whole_results, params, "classify", prepared)
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
