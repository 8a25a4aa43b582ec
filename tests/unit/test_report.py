"""Promises of the page."""

import hashlib
import re
import runpy
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from fake_results import fake_params
from judged import judge

from reprise.errors import RepriseError
from reprise.evaluation.digests import digest_of
from reprise.figures import page
from reprise.figures.draw import figures
from reprise.figures.made import target
from reprise.figures.report import report
from reprise.files import read_json, sha256, write_json
from reprise.params import Params
from reprise.params.stages import Settings

ROOT = Path(__file__).parents[2]
VOID = {"meta", "img"}


class Checker(HTMLParser):
    """Reads a page; collects tags, text and ids, and insists that tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.seen if name == tag]


def read(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []
    return checker


@pytest.fixture(scope="module")
def html(whole_results: Path, params: Params) -> str:
    made, holes = report(whole_results, params)
    assert holes == []
    return made


def test_the_page_is_the_same_bytes_when_made_again(
    whole_results: Path, params: Params, html: str
) -> None:
    assert report(whole_results, params) == (html, [])


def test_the_page_needs_no_other_file(html: str) -> None:
    checker = read(html)
    assert not {"link", "iframe", "object", "embed"} & {tag for tag, _ in checker.seen}
    assert not [script for script in checker.of("script") if "src" in script]
    assert all(str(image["src"]).startswith("data:image/") for image in checker.of("img"))
    without = re.sub(r"(?s)base64,[A-Za-z0-9+/=]+|<script.*?</script>", "", html)
    assert "http" not in without.replace("http-equiv", "")
    (policy,) = [meta["content"] for meta in checker.of("meta") if "http-equiv" in meta]
    assert str(policy).startswith("default-src 'none'; img-src data:;")


def test_every_figure_is_on_the_page_with_words_and_a_caption(html: str, params: Params) -> None:
    checker = read(html)
    assert len(checker.of("img")) == len(figures(params)) == len(checker.of("figcaption"))
    assert all(len(str(image["alt"])) > 20 for image in checker.of("img"))
    assert all(int(str(image["width"])) > 0 for image in checker.of("img"))


def test_masks_of_a_random_network_are_called_that_on_the_page(
    html: str, whole_results: Path, params: Params
) -> None:
    assert "RANDOM weights: nothing was learnt, its masks mean nothing" in read(html).text
    recipe = params.anything.recipes["tiny_one"].model_copy(update={"weights": "sam_vit_b"})
    block = params.anything.model_copy(update={"recipes": {"tiny_one": recipe}})
    learnt, _ = report(whole_results, params.model_copy(update={"anything": block}))
    assert "with the published weights sam_vit_b" in learnt and "RANDOM weights" not in learnt
    block = params.anything.model_copy(update={"runs": []})
    none, holes = report(whole_results, params.model_copy(update={"anything": block}))
    assert '<section id="anything"' not in none and holes == []


def test_every_heading_of_a_table_has_its_scope(html: str) -> None:
    headings = read(html).of("th")
    assert {heading.get("scope") for heading in headings} == {"col", "row"}


def test_every_link_leads_to_a_section(html: str) -> None:
    checker = read(html)
    anchors = {str(link["href"]).removeprefix("#") for link in checker.of("a")}
    sections = {section["id"] for section in checker.of("section")}
    assert anchors == sections | {"content"}
    assert [main["id"] for main in checker.of("main")] == ["content"]


def test_names_are_escaped(html: str, results: Path, params: Params) -> None:
    assert "drawn <for> the tests" in read(html).text
    assert "<for>" not in html
    for path in (results / "tables").glob("*"):
        path.write_text(path.read_text().replace("urban", "<script>alert(1)</script>"))
    path = results / "prepare" / "cover" / "dataset.json"
    path.write_text(path.read_text().replace("urban", "</script><b>"))
    spoilt, _ = report(results, params)
    assert "<script>alert(1)" not in spoilt and "</script><b>" not in spoilt
    assert "<script>alert(1)</script>" in read(spoilt).text


def test_the_numbers_on_the_page_are_those_of_the_tables(html: str, whole_results: Path) -> None:
    said = read(html).text
    for path in (whole_results / "tables").glob("*.md"):
        for line in path.read_text().splitlines():
            if line.startswith("| "):
                assert all(cell in said for cell in page.cells(line))


def test_the_parameters_of_every_part_are_shown(html: str, params: Params) -> None:
    said = read(html).text
    for part in params.stages:
        assert f"snakemake --cores 4 {target(part, params)}" in said
    assert "learning_rate: 0.01" in said
    assert target("finetune", params) == "results/finetune/tiny/{A,B,C,D,E}/{0,1,2}/history.csv"
    assert target("classify", params) == "results/classify/{cnn,big}/0/history.csv"


def test_the_limits_are_computed(html: str) -> None:
    said = read(html).text
    assert "One seed only: classify, segment, street." in said
    assert "Each of the 2 pretrainings ran with one seed." in said
    assert "With 12 report images, the accuracy of a setting is known to about" in said
    assert "Data set cover: Not real: cover." in said


def test_a_rare_class_is_named_with_its_share(results: Path, params: Params) -> None:
    path = results / "tables" / "iou.csv"
    lines = path.read_text().splitlines()
    part, run, name, iou, _, _, course = lines[1].split(",")
    lines[1] = ",".join([part, run, name, iou, "2", "0.003", course])
    path.write_text("\n".join(lines) + "\n")
    assert (
        "Rare classes of segment, by share of the labelled report pixels: urban 0.30 %."
        in read(report(results, params)[0]).text
    )


@pytest.mark.parametrize(
    "lost",
    ["tables/faces.md", "vector/iou.svg", "figures/masks_street.png", "metrics.json", "digests.csv",
     "tables/pairs.csv", "embed/classify/tsne.csv", "segment/fcn/0/masks/0012_middle.png"],
)  # fmt: skip
def test_what_is_missing_leaves_a_hole_that_is_named(
    html: str, results: Path, params: Params, lost: str
) -> None:
    (results / lost).unlink()
    spoilt, holes = report(results, params)
    assert len(holes) == 1 and f"{lost}: not found" in holes[0]
    made, whole = read(spoilt), read(html)
    assert [s["id"] for s in made.of("section")] == [s["id"] for s in whole.of("section")]
    assert len(made.of("table")) >= len(whole.of("table")) - 9


def test_the_page_with_a_hole_is_written_and_the_command_fails(
    results: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (results / "tables" / "faces.md").unlink()
    out = results / "report.html"
    monkeypatch.setattr("sys.argv", ["report.py", "--results", str(results), "--out", str(out)])
    monkeypatch.setattr("reprise.params.load_params", lambda _: fake_params())
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "workflow" / "scripts" / "report.py"), run_name="__main__")
    assert ended.value.code == 1
    assert "faces.md: not found" in caplog.text and "where the hole is marked" in caplog.text
    assert "Missing here: " in read(out.read_text()).text


def test_the_digests_of_data_weights_and_predictions_are_shown(
    html: str, whole_results: Path
) -> None:
    said = read(html).text
    for name in ("prepare/new/labels.npy", "finetune/tiny/C/1/predictions.csv"):
        assert sha256(whole_results / name)[:12] in said


def test_a_digest_of_a_folder_is_that_of_sha256sum(tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        (tmp_path / name).write_text(name)
    lines = subprocess.run("sha256sum *", shell=True, cwd=tmp_path, capture_output=True, check=True)
    assert digest_of(tmp_path) == (10, hashlib.sha256(lines.stdout).hexdigest())
    with pytest.raises(RepriseError, match="nothing: not found"):
        digest_of(tmp_path / "nothing")


def test_settled_pairs_lead_and_every_sentence_is_one_of_the_table(
    html: str, whole_results: Path
) -> None:
    pairs = pd.read_csv(whole_results / "tables" / "pairs.csv")
    section = html.split('<section id="found">')[1].split("</section>")[0]
    said = re.findall("<li>(.*?)</li>", section)
    assert len(said) == 5  # four of the settings, one of classify
    assert all(any(unescape(one).endswith(s) for s in pairs["said"]) for one in said)
    order = ["not shown" in one for one in said]
    assert order == sorted(order)


def rebuilt(results: Path, params: Params) -> str:
    """Everything after training, made again for these parameters."""
    vars(params).pop("stages", None)  # a copy brings along what was cached of the whole
    judge(results, params)
    made, holes = report(results, params)
    assert holes == []
    return unescape(made)


def test_with_one_seed_there_is_no_interval_over_seeds_and_the_page_says_so(
    results: Path, params: Params
) -> None:
    one = params.finetune.model_copy(update={"seeds": [1]})
    said = rebuilt(results, params.model_copy(update={"finetune": one}))
    assert "One seed only: finetune, classify, segment, street." in said
    assert "one seed, so nothing is known of other seeds" in said
    pairs = pd.read_csv(results / "tables" / "pairs.csv")
    assert pairs["low_both"].isna().all() and (pairs["test"] == "McNemar").all()


def test_parts_without_runs_and_a_setting_alone_leave_a_page(results: Path, params: Params) -> None:
    settings = Settings(scratch=[], supervised=[], byol=["C"])
    changes = {
        "finetune": params.finetune.model_copy(update={"settings": settings}),
        "faces": params.faces.model_copy(update={"runs": []}),
        "street": params.street.model_copy(update={"runs": []}),
    }
    said = rebuilt(results, params.model_copy(update=changes))
    assert "No run of this part in params.yaml." in said
    pairs = pd.read_csv(results / "tables" / "pairs.csv")
    assert set(pairs["part"]) == {"classify"}


def test_a_history_of_one_epoch_and_a_class_without_an_image_leave_a_page(
    results: Path, params: Params
) -> None:
    for path in results.rglob("history.csv"):
        if "pretrain" not in path.parts:
            history = pd.read_csv(path)
            history[history["selected"] == 1].to_csv(path, index=False)
    for source in ("classify", "finetune"):
        for path in (results / "embed" / source).glob("*.csv"):
            table = pd.read_csv(path)
            table[table["epoch"] == 1].to_csv(path, index=False)
    path = results / "prepare" / "zones" / "dataset.json"
    about = read_json(path)
    about["classes"].append({"id": 3, "name": "never seen", "color": [1, 2, 3]})
    write_json(path, about)
    rebuilt(results, params)
    assert "never seen" in (results / "tables" / "confusion.csv").read_text()


def test_a_cell_is_read_as_it_was_written() -> None:
    assert page.cells(r"| a\|b | c\\ | <d> |  |") == ["a|b", "c\\", "<d>", ""]
