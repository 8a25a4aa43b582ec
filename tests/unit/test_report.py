"""Promises of the page."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reprise.errors import RepriseError
from reprise.figures import page
from reprise.figures.draw import FIGURES
from reprise.figures.report import report, target
from reprise.params import Params

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
    return report(whole_results, params)


def test_the_page_is_the_same_bytes_when_made_again(
    whole_results: Path, params: Params, html: str
) -> None:
    assert report(whole_results, params) == html


def test_the_page_needs_no_other_file(html: str) -> None:
    checker = read(html)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in checker.seen}
    assert all(
        str(image["src"]).startswith("data:image/png;base64,") for image in checker.of("img")
    )
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", html)


def test_every_figure_is_on_the_page_with_words_and_a_caption(html: str) -> None:
    checker = read(html)
    assert len(checker.of("img")) == len(FIGURES) == len(checker.of("figcaption"))
    assert all(len(str(image["alt"])) > 20 for image in checker.of("img"))
    assert all(int(str(image["width"])) > 0 for image in checker.of("img"))


def test_every_heading_of_a_table_has_its_scope(html: str) -> None:
    headings = read(html).of("th")
    assert {heading.get("scope") for heading in headings} == {"col", "row"}


def test_every_link_leads_to_a_section(html: str) -> None:
    checker = read(html)
    anchors = {str(link["href"]).removeprefix("#") for link in checker.of("a")}
    assert anchors == {section["id"] for section in checker.of("section")}


def test_names_are_escaped(html: str, results: Path, params: Params) -> None:
    assert "drawn <for> the tests" in read(html).text
    assert "<for>" not in html
    for path in (results / "tables").glob("*"):
        path.write_text(path.read_text().replace("urban", "<script>alert(1)</script>"))
    spoilt = report(results, params)
    assert "<script" not in spoilt
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
    part, run, name, iou, _, _ = lines[1].split(",")
    lines[1] = ",".join([part, run, name, iou, "2", "0.003"])
    path.write_text("\n".join(lines) + "\n")
    assert (
        "Rare classes of segment, by share of the labelled report pixels: urban 0.30 %."
        in read(report(results, params)).text
    )


@pytest.mark.parametrize("lost", ["tables/faces.md", "figures/iou.png", "metrics.json"])
def test_a_missing_file_is_named(results: Path, params: Params, lost: str) -> None:
    (results / lost).unlink()
    with pytest.raises(RepriseError, match=f"{lost}: not found"):
        report(results, params)


def test_a_cell_is_read_as_it_was_written() -> None:
    assert page.cells(r"| a\|b | c\\ | <d> |  |") == ["a|b", "c\\", "<d>", ""]
