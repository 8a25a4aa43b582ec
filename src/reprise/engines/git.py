"""What Git says of this repository, and DVC's experiments, which are references of Git."""

import os
import subprocess

from reprise.errors import RepriseError, one_line

EXPERIMENTS = "refs/exps"


def git(*words: str) -> str:
    """What Git prints. Raises RepriseError if it fails or is not installed."""
    return os.fsdecode(git_bytes(*words))


def git_bytes(*words: str) -> bytes:
    """As `git`, for a file that may not be text."""
    try:
        ended = subprocess.run(["git", *words], capture_output=True, check=False)
    except FileNotFoundError:
        raise RepriseError("git: not found; install it") from None
    if ended.returncode:
        reason = os.fsdecode(ended.stderr.strip() or ended.stdout.strip())
        raise RepriseError(f"git {words[0]}: {one_line(reason)}")
    return ended.stdout


def experiments(start: str = "") -> dict[str, str]:
    """The commits of DVC's experiments by name, in the order of names; all, or those of a start.

    `start`: the commit from which they were made.
    """
    below = f"{EXPERIMENTS}/{start[:2]}/{start[2:]}/" if start else EXPERIMENTS
    listed = git("for-each-ref", "--format=%(refname) %(objectname)", below).splitlines()
    pairs = (line.split() for line in listed)
    return dict(sorted((reference.rpartition("/")[2], commit) for reference, commit in pairs))
