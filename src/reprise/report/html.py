"""The parts of an HTML page; text that comes from a file is escaped here."""

import base64
import json
import re
from functools import cache
from html import escape
from typing import Any

import vl_convert

from reprise.errors import RepriseError

# no request leaves the page; Vega compiles its expressions, which needs eval
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
POLICY += "script-src 'unsafe-inline' 'unsafe-eval'"

STYLE = """
:root { color-scheme: light dark; --ink: #1d2327; --soft: #5b656d; --line: #d8dde1;
  --paper: #ffffff; --card: #f5f7f8; --accent: #005b96; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8eb; --soft: #a3adb5; --line: #3a434a; --paper: #14181b; --card: #1d2327;
    --accent: #7cc0f0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.55 system-ui, "DejaVu Sans", sans-serif;
  overflow-wrap: break-word; }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; padding-top: .8rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .4rem; }
a { color: var(--accent); }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; padding: 0; list-style: none; }
p, li { max-width: 46rem; }
.note { color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; }
thead th { border-bottom: 2px solid var(--soft); }
tbody th, td { white-space: nowrap; }
table.words td { white-space: normal; min-width: 6rem; }
tr > :first-child { text-align: left; }
table.words th, table.words td { text-align: left; }
figure { margin: 1.2rem 0; }
figure img { display: block; max-width: 100%; height: auto; background: #fff; padding: .5rem;
  border: 1px solid var(--line); border-radius: 6px; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .4rem; max-width: 46rem; }
details { margin: .5rem 0; } summary { cursor: pointer; }
pre { overflow-x: auto; padding: .7rem .9rem; background: var(--card); border-radius: 6px;
  font: .85rem/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
thead button { font: inherit; color: inherit; background: none; border: 0; padding: 0;
  text-align: inherit; cursor: pointer; }
thead button::after { content: " ↕"; color: var(--soft); }
[aria-sort="ascending"] button::after { content: " ↑"; color: inherit; }
[aria-sort="descending"] button::after { content: " ↓"; color: inherit; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: .5rem; padding: .4rem .8rem; background: var(--card); }
.chart-block { margin: 1.2rem 0; }
.chart-block .chart { display: block; overflow-x: auto; padding: .5rem; color: #1d2327;
  background: #fff; border: 1px solid var(--line); border-radius: 6px; }
.vega-bind { display: inline-block; margin: .3rem 1.2rem .3rem 0; }
.vega-bind-name { display: inline-block; min-width: 4rem; }
.chart input, .chart select { font: inherit; color: #1d2327; background: #fff;
  vertical-align: middle; max-width: 15rem; }
.missing { border-left: 4px solid #c0392b; padding: .3rem 0 .3rem .8rem; }
@media print { .chart-block, nav { display: none; } h2, h3 { break-after: avoid; }
  figure, tr { break-inside: avoid; } details::details-content { content-visibility: visible; }
  .scroll, pre { overflow: visible; } pre { white-space: pre-wrap; } }
"""

# Headings become buttons: a click sorts by the first number of a cell, or else by its text, and a
# second click reverses the order. A dash (no value) stays last.
SORT = """
const number = (text) => {
  const parts = text.match(/[-+]?[0-9][0-9.]*(e[-+]?[0-9]+)?/g);
  if (!parts || !/^[-+<]? ?[0-9]/.test(text)) return null;
  return text.includes("/") && parts.length > 1 ? parts[0] / parts[1] : Number(parts[0]);
};
const compare = (left, right, sign) => {
  if (left === "-" || right === "-") return (left === "-") - (right === "-");
  const [a, b] = [number(left), number(right)];
  return sign * (a !== null && b !== null ? a - b : left.localeCompare(right));
};
for (const table of document.querySelectorAll("main table")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows];
      const text = (row) => row.cells[column].textContent.trim();
      rows.sort((a, b) => compare(text(a), text(b), down ? -1 : 1));
      table.tBodies[0].append(...rows);
    });
  });
}
addEventListener("beforeprint", () => {
  for (const block of document.querySelectorAll("details")) block.open = true;
});
"""

CHARTS = """
for (const block of document.querySelectorAll(".chart-block")) {
  const spec = JSON.parse(block.querySelector("script").textContent);
  block.hidden = false;
  vegaEmbed(block.querySelector(".chart"), spec, { actions: false, renderer: "canvas" }).then(
    () => block.setAttribute("data-drawn", "yes"),
    (error) => { block.hidden = true; console.error(error); },
  );
}
"""


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph, of class `kind` where given."""
    return f"<p{_class(kind)}>{escape(text)}</p>\n"


def bullets(items: list[str]) -> str:
    """A list."""
    return "<ul>\n" + "".join(f"<li>{escape(item)}</li>\n" for item in items) + "</ul>\n"


def table(headings: list[str], rows: list[list[str]], name: str, kind: str = "") -> str:
    """A table that scrolls sideways on a narrow screen; the first cell of a row is its heading."""
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    body = ""
    for first, *rest in rows:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        body += f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>\n'
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(name)}">\n'
        f"<table{_class(kind)}>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n"
        "</table>\n</div>\n"
    )


def figure(data: bytes, alt: str, caption: str) -> str:
    """An embedded image, PNG or SVG, with its text alternative and a caption."""
    if data.startswith(b"\x89PNG"):  # its first chunk has the size: PNG specification, 11.2.2
        kind, width, height = "png", int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    else:
        kind, (width, height) = "svg+xml", svg_size(data)
    source = f"data:image/{kind};base64," + base64.b64encode(data).decode()
    return (
        f'<figure>\n<img src="{source}" alt="{escape(alt)}" width="{width}" height="{height}">\n'
        f"<figcaption>{escape(caption)}</figcaption>\n</figure>\n"
    )


def svg_size(data: bytes) -> tuple[int, int]:
    """Width and height in CSS pixels of an SVG whose first tag gives them in points."""
    size = re.search(rb'<svg[^>]* width="([0-9.]+)pt" height="([0-9.]+)pt"', data)
    if size is None:
        raise RepriseError("an SVG gives no width and height in points; draw it again")
    return round(float(size[1]) * 96 / 72), round(float(size[2]) * 96 / 72)


def missing_note(text: str) -> str:
    """A paragraph that says what is missing here, and why."""
    return f'<p class="missing" role="note">{escape(text)}</p>\n'


def vega_chart(name: str, spec: dict[str, Any], help_text: str) -> str:
    """A chart that the page's script draws; hidden, with its texts, where scripts are off.

    `spec` is a Vega-Lite specification; `help_text` says what a reader can do with the chart.
    """
    # a "<" in the data could end the script
    data = json.dumps(spec, separators=(",", ":"), sort_keys=True).replace("<", "\\u003c")
    return (
        f'<div class="chart-block" role="group" aria-label="{escape(name)}" hidden>\n'
        f'<p class="note">{escape(help_text)}</p>\n<div class="chart"></div>\n'
        f'<script type="application/json">{data}</script>\n</div>\n'
    )


def code(text: str) -> str:
    """Preformatted lines."""
    return f"<pre><code>{escape(text.rstrip())}</code></pre>\n"


def details(summary: str, content: str) -> str:
    """Content (HTML) that opens on a click."""
    return f"<details>\n<summary>{escape(summary)}</summary>\n{content}</details>\n"


def markdown(text: str, name: str) -> str:
    """The text of a tables/*.md as HTML: headings of level 3, tables and paragraphs only."""
    html, heading = "", name
    for block in text.strip().split("\n\n"):
        if block.startswith("### "):
            heading = block.removeprefix("### ")
            html += f"<h3>{escape(heading)}</h3>\n"
        elif block.startswith("| "):
            headings, _, *rows = [cells(line) for line in block.split("\n")]
            html += table(headings, rows, heading)
        else:
            html += paragraph(block, "note")
    return html


def cells(line: str) -> list[str]:
    r"""Cells of one line of a markdown table, with `\|` and `\\` unescaped."""
    inner = re.split(r"(?<!\\)((?:\\\\)*)\|", line.strip())
    # the split keeps the backslash pairs before each bar: they belong to the cell before it
    joined = [a + b for a, b in zip(inner[::2], [*inner[1::2], ""], strict=True)]
    return [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in joined[1:-1]]


def page(title: str, lead: str, sections: list[tuple[str, str, str]]) -> str:
    """The whole page: a title, HTML below it, and (anchor, heading, HTML) of each section."""
    links = body = ""
    for anchor, heading, html in sections:
        links += f'<li><a href="#{escape(anchor)}">{escape(heading)}</a></li>\n'
        body += f'<section id="{escape(anchor)}">\n<h2>{escape(heading)}</h2>\n{html}</section>\n'
    charts = 'class="chart-block"' in body
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#content">Skip to the content</a>\n<header>\n'
        f"<h1>{escape(title)}</h1>\n{lead}</header>\n"
        f'<nav aria-label="Contents">\n<ul>\n{links}</ul>\n</nav>\n'
        f'<main id="content">\n{body}</main>\n'
        f"<script>{_scripts(charts)}</script>\n</body>\n</html>\n"
    )


@cache
def _scripts(charts: bool) -> str:
    """JavaScript for the end of the page: sorting alone, or with Vega-Embed and the charts."""
    if not charts:
        return SORT
    bundle: str = vl_convert.javascript_bundle(SORT + CHARTS)
    # inside HTML a script ends at the first such letters, wherever they are
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _class(kind: str) -> str:
    return f' class="{escape(kind)}"' if kind else ""
