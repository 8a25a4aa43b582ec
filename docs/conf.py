"""The documentation as a site: `make docs` builds it in site/, and fails at a wrong link.

Sphinx reads README.md and docs/*.md as they are. README.md is the first page, and the pages follow
in the order in which its section "Read on" links them. The API reference is made of the docstrings.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = re.compile(r"\]\((docs/[\w/-]+)\.md\)")
API = "docs/api"

project = "Reprise"
author = "the authors of Reprise"
copyright = "MIT"  # noqa: A001
html_title = "Reprise"
html_theme = "furo"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
root_doc = "README"
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
include_patterns = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/**"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.apidoc", "sphinx.ext.napoleon"]

myst_heading_anchors = 4
# a diagram that GitHub draws
suppress_warnings = ["misc.highlighting_failure"]

apidoc_modules = [
    {
        "path": "../src/reprise",
        "destination": API,
        "separate_modules": True,
        "module_first": True,
        "automodule_options": {"members", "show-inheritance"},
    }
]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_mock_imports = ["segmentation_models_pytorch"]  # its import takes ten seconds


def pages() -> list[str]:
    """The pages of the site, in the order of README.md, and those that it does not link."""
    section = README.partition("## Read on")[2]
    linked = dict.fromkeys(PAGE.findall(section))
    here = ROOT / "docs"
    others = (path.relative_to(ROOT).with_suffix("").as_posix() for path in here.rglob("*.md"))
    return [*linked, *sorted(name for name in others if name not in linked)]


def add_contents(_: object, name: str, source: list[str]) -> None:
    """Give the first page the contents of the site, which the other readers of it do not need."""
    if name == root_doc:
        listed = "\n".join([*pages(), f"{API}/modules", "CONTRIBUTING", "SECURITY", "CHANGELOG"])
        source[0] += f"\n```{{toctree}}\n:hidden:\n:maxdepth: 1\n\n{listed}\n```\n"


def to_restructured_text(*event: list[str]) -> None:
    """Docstrings are written as Markdown: code in one backtick, and * | _ as they are."""
    lines = event[-1]
    for number, line in enumerate(lines):
        parts = line.split("`")
        if len(parts) % 2:
            parts[::2] = [re.sub(r"([*|]|_(?!\w))", r"\\\1", text) for text in parts[::2]]
            lines[number] = "``".join(parts)


def setup(app: object) -> None:
    """Register the functions above; Sphinx calls this."""
    app.connect("source-read", add_contents)  # type: ignore[attr-defined]
    app.connect("autodoc-process-docstring", to_restructured_text)  # type: ignore[attr-defined]
