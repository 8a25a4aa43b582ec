"""The JSON schema of params.yaml, for editors, from the code."""

import argparse
from pathlib import Path

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.files import write_text
from reprise.params import schema_json

SCHEMA = Path("workflow/schemas/params.schema.json")


def main() -> None:
    """Write the schema, or check that it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when the file is out of date")
    if not parser.parse_args().check:
        write_text(SCHEMA, schema_json())
    elif not SCHEMA.is_file() or SCHEMA.read_text() != schema_json():
        raise RepriseError(f"{SCHEMA}: out of date with reprise.params; run `make schema`")


if __name__ == "__main__":
    run(main)
