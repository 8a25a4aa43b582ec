"""The pieces of an HTML page: everything that comes from a file is escaped here."""

import base64
import json
import re
from html import escape
from typing import Any

from reprise.errors import RepriseError

# no request leaves the page; Vega compiles its expressions, so it needs eval
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
.said { border-left: 4px solid var(--accent); padding: .3rem 0 .3rem .8rem; }
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
details { margin: .5rem 0; }
summary { cursor: pointer; }
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
.live { margin: 1.2rem 0; }
.live .chart { display: block; overflow-x: auto; padding: .5rem; color: #1d2327; background: #fff;
  border: 1px solid var(--line); border-radius: 6px; }
.vega-bind { display: inline-block; margin: .3rem 1.2rem .3rem 0; }
.vega-bind-name { display: inline-block; min-width: 4rem; }
.chart input, .chart select { font: inherit; color: #1d2327; background: #fff;
  vertical-align: middle; max-width: 15rem; }
.hole { border-left: 4px solid #c0392b; padding: .3rem 0 .3rem .8rem; }
.digest { font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
@media print { .live, nav { display: none; } h2, h3 { break-after: avoid; }
  figure, tr { break-inside: avoid; } details::details-content { content-visibility: visible; } }
@media print { .scroll, pre { overflow: visible; } pre { white-space: pre-wrap; } }
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
    """A picture inside the page: PNG or SVG, what it shows for who cannot see it, and a caption."""
    is_png = data.startswith(b"\x89PNG")
    kind, (width, height) = ("png", png_size(data)) if is_png else ("svg+xml", svg_size(data))
    source = f"data:image/{kind};base64," + base64.b64encode(data).decode()
    return (
        f'<figure>\n<img src="{source}" alt="{escape(alt)}" width="{width}" height="{height}">\n'
        f"<figcaption>{escape(caption)}</figcaption>\n</figure>\n"
    )


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height, from the first chunk (PNG specification, 11.2.2)."""
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


def svg_size(data: bytes) -> tuple[int, int]:
    """Width and height in CSS pixels of an SVG whose first tag gives them in points."""
    size = re.search(rb'<svg[^>]* width="([0-9.]+)pt" height="([0-9.]+)pt"', data)
    if size is None:
        raise RepriseError("an SVG gives no width and height in points; draw it again")
    return round(float(size[1]) * 96 / 72), round(float(size[2]) * 96 / 72)


def hole(text: str) -> str:
    """A place where something is missing, and why."""
    return f'<p class="hole" role="note">{escape(text)}</p>\n'


def live(name: str, spec: dict[str, Any], about: str) -> str:
    """A chart that the page's script draws; hidden, with all it says, where scripts are off.

    Args:
        name: plain text, of the chart.
        spec: a Vega-Lite specification.
        about: plain text: what can be done with it.
    """
    # "<" would let a name in the data end the script
    data = json.dumps(spec, separators=(",", ":"), sort_keys=True).replace("<", "\\u003c")
    return (
        f'<div class="live" role="group" aria-label="{escape(name)}" hidden>\n'
        f'<p class="note">{escape(about)}</p>\n<div class="chart"></div>\n'
        f'<script type="application/json">{data}</script>\n</div>\n'
    )


def code(text: str) -> str:
    """Lines as they are."""
    return f"<pre><code>{escape(text.rstrip())}</code></pre>\n"


def details(summary: str, content: str) -> str:
    """Content (HTML) that opens on a click."""
    return f"<details>\n<summary>{escape(summary)}</summary>\n{content}</details>\n"


def section(anchor: str, title: str, *content: str) -> str:
    """A section with a heading; content is HTML."""
    return (
        f'<section id="{escape(anchor)}">\n<h2>{escape(title)}</h2>\n' + "".join(content)
    ) + "</section>\n"


def markdown(text: str, name: str) -> str:
    """A text of tables/*.md as HTML: headings of level 3, tables, paragraphs; nothing else."""
    made = []
    heading = name
    for block in text.strip().split("\n\n"):
        if block.startswith("### "):
            heading = block.removeprefix("### ")
            made.append(f"<h3>{escape(heading)}</h3>\n")
        elif block.startswith("| "):
            first, _, *rest = [cells(line) for line in block.split("\n")]
            made.append(table(first, rest, heading))
        else:
            made.append(paragraph(block, "note"))
    return "".join(made)


def cells(line: str) -> list[str]:
    r"""Cells of one line of a markdown table; `\|` and `\\` are what they escape."""
    inner = re.split(r"(?<!\\)((?:\\\\)*)\|", line.strip())
    # the split keeps the backslash pairs before each bar: they belong to the cell before it
    joined = [a + b for a, b in zip(inner[::2], [*inner[1::2], ""], strict=True)]
    return [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in joined[1:-1]]


def page(title: str, sections: list[tuple[str, str, str]], lead: str, script: str) -> str:
    """The whole page.

    Args:
        title: plain text.
        sections: (anchor, heading, HTML).
        lead: HTML below the title.
        script: JavaScript for the end of the page.
    """
    links = "".join(
        f'<li><a href="#{escape(anchor)}">{escape(heading)}</a></li>\n'
        for anchor, heading, _ in sections
    )
    body = "".join(section(anchor, heading, html) for anchor, heading, html in sections)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#content">To the content</a>\n<header>\n'
        f"<h1>{escape(title)}</h1>\n{lead}</header>\n"
        f'<nav aria-label="Contents">\n<ul>\n{links}</ul>\n</nav>\n'
        f'<main id="content">\n{body}</main>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _class(kind: str) -> str:
    return f' class="{escape(kind)}"' if kind else ""
