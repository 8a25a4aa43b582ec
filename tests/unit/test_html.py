"""Parts of the page."""

import pytest

from reprise.errors import RepriseError
from reprise.report import html


def test_a_cell_is_read_as_it_was_written() -> None:
    assert html.cells(r"| a\|b | c\\ | <d> |  |") == ["a|b", "c\\", "<d>", ""]


def test_markdown_becomes_headings_tables_and_notes() -> None:
    page = html.markdown("### a & b\n\n| x | y |\n|---|---:|\n| 1 | 2 |\n\nA note.\n", "name")
    assert page.startswith("<h3>a &amp; b</h3>\n")
    assert 'aria-label="a &amp; b"' in page
    assert '<tr><th scope="row">1</th><td>2</td></tr>' in page
    assert page.endswith('<p class="note">A note.</p>\n')


def test_an_svg_without_a_size_is_refused() -> None:
    assert html.svg_size(b'<svg a="b" width="72pt" height="36pt">') == (96, 48)
    with pytest.raises(RepriseError, match="no width and height"):
        html.svg_size(b"<svg>")


def test_a_chart_cannot_end_its_script_and_brings_vega_with_it() -> None:
    chart = html.vega_chart("name", {"data": "</script><b>"}, "help")
    assert chart.count("</script>") == 1
    with_chart = html.page("t", "lead", [("a", "A", chart)])
    without = html.page("t", "lead", [("a", "A", "<p></p>")])
    assert "vega" in with_chart and "vega" not in without.replace(html.STYLE, "")
    assert with_chart.count("</script>") == 2 and without.count("</script>") == 1
