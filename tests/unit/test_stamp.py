"""The stamped copy of the report: commit, date, and the times of this machine's records."""

import json
import re
from pathlib import Path

import pytest
from support.html_checker import read_html

from reprise.atomic_io import write_text
from reprise.engines.stamp import mean_times, pretraining, write_stamped
from reprise.errors import RepriseError
from reprise.jobs import jobs
from reprise.params.load import Params
from reprise.report.sections import report


def write_records(logs: Path, params: Params, but: str = "?") -> None:
    """A record of 2 CPU seconds for each training but those whose name contains `but`."""
    used = {"seconds": 3.0, "cpu_seconds": 2.0, "peak_memory_mib": 700}
    for job in jobs(params):
        if but not in job.path:
            write_text(logs / f"{job.path}.json", json.dumps({"resources": used}))


def test_the_copy_has_commit_date_and_times_and_the_report_has_none(
    results: Path, params: Params, tmp_path: Path
) -> None:
    page = report(results, params)[0]
    write_text(results / "report.html", page)
    logs, out = tmp_path / "logs", tmp_path / "logs/report.html"
    write_records(logs, params)
    write_stamped(results, params, out, logs)
    stamped = out.read_text()
    assert re.search(r"<b>Commit</b> ([0-9a-f]{7,}|unknown)", stamped)
    assert re.search(r"<b>Written</b> \d{4}-\d\d-\d\d \d\d:\d\d UTC", stamped)
    assert f"({len(jobs(params))} trainings, " in stamped
    assert "CPU seconds</th>" in stamped and "<h3>On this machine</h3>" in stamped
    for word in ("<b>Commit", "<b>Written", "CPU seconds</th>"):
        assert word not in page
    assert len(read_html(stamped).attributes("img")) == len(read_html(page).attributes("img")) + 1


def test_the_links_of_the_copy_lead_to_the_results(
    results: Path, params: Params, tmp_path: Path
) -> None:
    write_text(results / "report.html", report(results, params)[0])
    (tmp_path / "src").symlink_to(Path(__file__).parents[2] / "src")
    write_stamped(results, params, tmp_path / "logs/report.html", tmp_path / "none")
    links = re.findall(r'<a href="([^#"]+)"', (tmp_path / "logs/report.html").read_text())
    assert len(links) > 20
    assert [link for link in links if not (tmp_path / "logs" / link).exists()] == []


def test_a_fine_tuning_includes_the_pretraining_that_it_starts_from(
    params: Params, tmp_path: Path
) -> None:
    write_records(tmp_path, params)
    seeds = len(params.finetune["tiny"].seeds)
    scratch = mean_times(params, tmp_path, "finetune", "tiny", "A")
    assert list(scratch) == [seeds, 2.0, 3.0, 700]
    assert pretraining(params, "finetune", "tiny", "A", 0) == []
    (first,) = pretraining(params, "finetune", "tiny", "C", 0)
    assert (first.stage, first.run) == ("pretrain", params.finetune["tiny"].recipes["C"].start)
    assert mean_times(params, tmp_path, "finetune", "tiny", "C")[1] == 4.0
    (tmp_path / f"{first.path}.json").unlink()
    assert mean_times(params, tmp_path, "finetune", "tiny", "C")[0] != seeds


def test_a_run_without_records_is_left_out(results: Path, params: Params, tmp_path: Path) -> None:
    write_text(results / "report.html", report(results, params)[0])
    write_records(tmp_path / "logs", params, but="finetune/tiny/B")
    write_stamped(results, params, tmp_path / "x.html", tmp_path / "logs")
    table = (tmp_path / "x.html").read_text().partition("On this machine")[2].partition("</table>")
    assert ">finetune tiny A<" in table[0] and ">finetune tiny B<" not in table[0]


def test_without_a_report_or_with_an_old_one_it_is_one_line(params: Params, tmp_path: Path) -> None:
    with pytest.raises(RepriseError, match=r"report\.html: not found; run `make run` first"):
        write_stamped(tmp_path, params)
    write_text(tmp_path / "report.html", "<html>")
    with pytest.raises(RepriseError, match="is of another version"):
        write_stamped(tmp_path, params)
