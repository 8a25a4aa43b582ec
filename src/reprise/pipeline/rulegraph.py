"""docs/rulegraph.md: the rules and what they wait for, as Snakemake itself draws them."""

import argparse
import re
import subprocess
from pathlib import Path

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.files import write_text

PAGE = Path("docs/rulegraph.md")
HEAD = """\
# The rules

Drawn by `make rulegraph`. An arrow leads from a rule to one that reads what it makes.

"""


def main() -> None:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when the page is out of date")
    check = parser.parse_args().check
    text = render()
    if not check:
        write_text(PAGE, text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        raise RepriseError(f"{PAGE}: out of date with the rules; run `make rulegraph`")


def render() -> str:
    """The page, with Snakemake's graph of the rules in the notation of Mermaid, sorted."""
    command = ["snakemake", "--rulegraph", "mermaid-js", "--forceall"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise RepriseError(f"snakemake --rulegraph: {made.stderr.strip().splitlines()[-1]}")
    names = dict(re.findall(r"(id\d+)\[(\w+)\]", made.stdout))
    arrows = re.findall(r"(id\d+) --> (id\d+)", made.stdout)
    lines = sorted(f"    {names[before]} --> {names[after]}" for before, after in arrows)
    return "\n".join([f"{HEAD}```mermaid", "flowchart TB", *lines, "```\n"])


if __name__ == "__main__":
    run(main)
