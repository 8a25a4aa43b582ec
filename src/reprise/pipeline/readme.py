"""Put the tables of the last run into README.md, so that it shows what was made and nothing else.

A table stands between `<!-- results/tables/NAME.md -->` and the next `<!-- end -->`. Of the
figures, which DVC keeps and Git does not, those that the README shows are copied to docs/figures/.
"""

import argparse
import re
from pathlib import Path

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.files import write_bytes, write_text

README = Path("README.md")
SHOWN = re.compile(r"\]\(docs/figures/(\w+\.png)\)")
BLOCK = re.compile(r"(<!-- (results/tables/\w+\.md) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description="Put the tables of the last run into README.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when it differs")
    given = parser.parse_args()
    now = README.read_text()
    wanted = with_tables(now)
    if given.check and now != wanted:
        raise RepriseError(f"{README}: its tables are not those of results/; run `make readme`")
    if not given.check:
        write_text(README, wanted)
        for name in SHOWN.findall(now):
            write_bytes(Path("docs/figures", name), Path("results/figures", name).read_bytes())


def with_tables(text: str) -> str:
    """The text of a README with each table as it stands in its file, headings left out."""

    def table(found: re.Match[str]) -> str:
        lines = Path(found[2]).read_text().splitlines()
        body = "\n".join(line for line in lines if not line.startswith("#")).strip()
        return f"{found[1]}\n{body}\n\n{found[3]}"

    return BLOCK.sub(table, text)


if __name__ == "__main__":
    run(main)
