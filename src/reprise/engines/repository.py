"""Files of the repository that are derived from others: `... repository NAME [--check]`.

- dvc.yaml: its stages, from the rules and tasks; see reprise.engines.dvcyaml
- rulegraph: docs/rulegraph.md, the rules as Snakemake draws them
- readme: the tables of the last run in README.md and docs/results.md, and the figures they show
- edits: the table in docs/engines.md of what an edit of a source file makes stale
- schema: workflow/schemas/params.schema.json for editors, which is not in Git
- vega: the script with which `dvc plots show` draws without a network, which is not in Git
"""

import argparse
import difflib
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from reprise.atomic_io import write_bytes, write_text
from reprise.cli import run
from reprise.engines.code import job_sources
from reprise.engines.snakemake_hooks import snakemake
from reprise.errors import RepriseError
from reprise.params.load import load_params, schema_json

README = Path("README.md")
RESULTS = Path("docs/results.md")
ENGINES = Path("docs/engines.md")
VEGA = Path(".dvc/plots/vega.js")

# a table of results/, whole or only its first rows, without notes
TABLE = re.compile(
    r"(<!-- (results/tables/\w+\.md)(?:, first (\d+) rows)? -->\n).*?(<!-- end -->)", re.DOTALL
)
FIGURE = re.compile(r"\]\((?:docs/)?figures/(\w+\.png)\)")
EDIT = re.compile(r"^\| `(src/[^`]+)` \| .* \|$", re.MULTILINE)
RULES = """\
# The rules

Drawn by `make rulegraph`. An arrow leads from a rule to one that reads its outputs.

"""


def main() -> None:
    """Write a derived file, or check it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=TEXTS)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it differs")
    args = parser.parse_args()
    for name in TOGETHER.get(args.name, [args.name]):
        write_or_check(args.name, *TEXTS[name], args.check)


def write_or_check(name: str, path: Path, render: Callable[[], str], check: bool) -> None:
    """Write a derived file, with its figures; or check it, RepriseError if it differs."""
    text = render()
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    if not check:
        write_text(path, text)
        for figure in FIGURE.findall(text) if name == "readme" else ():
            source = Path("results/figures", figure)
            write_bytes(Path("docs/figures", figure), made_by_run(source).read_bytes())
    elif old != text:
        lines = difflib.unified_diff(old.split("\n"), text.split("\n"), str(path), "derived", n=1)
        print("\n".join(lines))
        raise RepriseError(f"{path}: out of date; run `make {name}`")


def made_by_run(path: Path) -> Path:
    """A file of the results. Raises RepriseError if it is missing."""
    if not path.is_file():
        raise RepriseError(f"{path}: not found; run `make run` first")
    return path


def dvc_yaml() -> str:
    """dvc.yaml with its stages derived anew."""
    from reprise.engines.dvcyaml import render  # here: Snakemake takes a second to import

    return render()


def rulegraph() -> str:
    """Snakemake's graph of the rules in the notation of Mermaid, sorted."""
    drawn = snakemake("--rulegraph", "mermaid-js", "--forceall")
    names = dict(re.findall(r"(id\d+)\[(\w+)\]", drawn))
    arrows = re.findall(r"(id\d+) --> (id\d+)", drawn)
    lines = sorted(f"    {names[before]} --> {names[after]}" for before, after in arrows)
    return "\n".join([f"{RULES}```mermaid", "flowchart TB", *lines, "```\n"])


def with_tables(path: Path) -> str:
    """A page with each marked table as it is in its file, without headings."""

    def table(match: re.Match[str]) -> str:
        lines = made_by_run(Path(match[2])).read_text(encoding="utf-8").splitlines()
        body = [line for line in lines if not line.startswith("#")]
        if match[3]:
            body = [line for line in body if line.startswith("|")][: 2 + int(match[3])]
        text = "\n".join(body).strip()
        return f"{match[1]}\n{text}\n\n{match[4]}"

    return TABLE.sub(table, path.read_text(encoding="utf-8"))


def edits() -> str:
    """docs/engines.md with what an edit of each file of its table makes stale."""
    sources = job_sources(load_params(Path("presets/earth.yaml")))

    def row(match: re.Match[str]) -> str:
        return f"| `{match[1]}` | {', '.join(stale_stages(sources, match[1])) or 'nothing'} |"

    return EDIT.sub(row, ENGINES.read_text(encoding="utf-8"))


def stale_stages(sources: dict[str, list[str]], file: str) -> list[str]:
    """The stages with jobs that depend on a source file.

    A stage some of whose runs do not depend on it is followed by those that do, such as
    `classify (baseline cnn)`. All families of figures are `plot_*`. `sources` are those of
    `code.job_sources`.
    """
    stale = []
    for stage in dict.fromkeys(name.partition("/")[0] for name in sources):
        jobs = [name for name in sources if name.partition("/")[0] == stage]
        hit = [name for name in jobs if file in sources[name]]
        if hit:
            runs = ", ".join(name.partition("/")[2].replace("/", " ") for name in hit)
            stale.append(stage if hit == jobs else f"{stage} ({runs})")
    if all(name in stale for name in sources if name.startswith("plot_")):
        stale = list(dict.fromkeys("plot_*" if s.startswith("plot_") else s for s in stale))
    return stale


def vega() -> str:
    """Vega-Embed, which .dvc/plots/page.html loads instead of scripts from a network."""
    import vl_convert

    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


TEXTS: dict[str, tuple[Path, Callable[[], str]]] = {
    "dvc.yaml": (Path("dvc.yaml"), dvc_yaml),
    "rulegraph": (Path("docs/rulegraph.md"), rulegraph),
    "readme": (README, partial(with_tables, README)),
    "results": (RESULTS, partial(with_tables, RESULTS)),
    "edits": (ENGINES, edits),
    "schema": (Path("workflow/schemas/params.schema.json"), schema_json),
    "vega": (VEGA, vega),
}

TOGETHER = {"readme": ["readme", "results"]}


if __name__ == "__main__":
    run(main)
