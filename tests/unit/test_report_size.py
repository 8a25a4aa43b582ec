"""The report of the whole course, in the published sizes, is one that can be opened and sent."""

from pathlib import Path

import pytest
from PIL import Image
from ruamel.yaml import YAML
from support.course_results import course_results
from support.evaluated import write_figures, write_tables

from reprise.atomic_io import write_csv, write_json
from reprise.engines.preset import render
from reprise.evaluation.checksums import checksums
from reprise.evaluation.evaluate import evaluate
from reprise.figures.style import MAX_PIXELS
from reprise.params.load import parse
from reprise.report.sections import report

PRESETS = Path(__file__).parents[2] / "presets"
MAX_BYTES = 10_000_000


@pytest.mark.slow
@pytest.mark.exhaustive
def test_the_report_of_the_course_has_ten_megabytes_at_most(tmp_path: Path) -> None:
    params = parse(YAML(typ="safe", pure=True).load(render("course", PRESETS)))
    results = tmp_path / "results"
    course_results(results, params)
    evaluation = evaluate(results, params)
    write_tables(results, evaluation.tables)
    write_json(results / "metrics.json", evaluation.metrics)
    write_json(results / "intervals.json", evaluation.intervals)
    write_csv(results / "checksums.csv", checksums(results, params))
    write_figures(results, params)
    for path in sorted((results / "figures").glob("*.png")):
        with Image.open(path) as image:
            assert max(image.size) <= MAX_PIXELS, path.name
    page, missing = report(results, params)
    assert missing == []
    assert len(page.encode()) <= MAX_BYTES
