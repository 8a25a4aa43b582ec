"""`snakemake --lint` less the exceptions below, and the house's own rules for shell lines."""

import re
import subprocess
from pathlib import Path

from reprise.cli import run
from reprise.errors import RepriseError

# Titles of Snakemake's lints that are not followed, and why.
EXCEPTIONS = {
    "Specify a conda environment or container for each rule.": (
        "one locked environment serves all rules: requirements.lock"
    ),
}
LINT = re.compile(r" +\* (.+):$")  # a title in the text; `--lint json` fails in this version
# In a shell line: a value that Snakemake does not record as a parameter of the job, or that the
# command line of DVC could not hold.
FORBIDDEN = re.compile(r"\{(wildcards|threads|resources|config)\b")


def main() -> None:
    """Print every fault of the Snakefile; exit status 1 when there is one."""
    faults = snakemake_lints() + shell_faults()
    for fault in faults:
        print(fault)
    if faults:
        raise RepriseError("Snakefile: faults, named above; mend the rules")


def snakemake_lints() -> list[str]:
    """What `snakemake --lint` says beyond the exceptions, one line each."""
    command = ["snakemake", "--lint"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    said = made.stderr.splitlines()
    lints, place = [], ""
    for line in said:
        if line.startswith("Lints for "):
            place = line.removeprefix("Lints for ").removesuffix(":")
        elif (title := LINT.match(line)) and title[1] not in EXCEPTIONS:
            lints.append(f"{place}: {title[1]}")
    if made.returncode and not any(line.startswith("Lints for ") for line in said):
        raise RepriseError(f"snakemake --lint: {said[-1]}")
    return lints


def shell_faults(root: Path = Path()) -> list[str]:
    """Forbidden values in shell lines: file, line and what stands there."""
    faults = []
    for path in [root / "Snakefile", *sorted((root / "workflow" / "rules").glob("*.smk"))]:
        in_shell = False
        for number, line in enumerate(path.read_text().splitlines(), 1):
            in_shell = (in_shell and line.startswith("        ")) or line.strip() == "shell:"
            if in_shell and (match := FORBIDDEN.search(line)):
                faults.append(f"{path}:{number}: {match[0]}}} in a shell line; pass it by params")
    return faults


if __name__ == "__main__":
    run(main)
