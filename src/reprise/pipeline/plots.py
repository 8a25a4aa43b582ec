"""What the page of `dvc plots show` needs to draw charts without a network: .dvc/plots/vega.js."""

from pathlib import Path

import vl_convert

from reprise.cli import run
from reprise.files import write_text

SCRIPT = Path(".dvc/plots/vega.js")


def main() -> None:
    """Write Vega-Embed, which .dvc/plots/page.html loads instead of scripts from a network."""
    write_text(SCRIPT, vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


if __name__ == "__main__":
    run(main)
