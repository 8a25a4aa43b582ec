"""`reprise verify --portable`: smoke has the committed bytes on this machine, too."""

import subprocess
import sys

import pytest
from support.prestarted import ROOT

from reprise.engines.verify import PORTABLE_DIGESTS, environment

pytestmark = pytest.mark.workflow
VERIFY = [sys.executable, "-m", "reprise", "verify", "--portable"]


def verify(*options: str) -> subprocess.CompletedProcess[str]:
    """The command, by interpreters that have imported nothing: the mode is set before NumPy is."""
    return subprocess.run(
        [*VERIFY, *options], cwd=ROOT, text=True, capture_output=True, check=False,
        env=environment(ROOT),
    )  # fmt: skip


@pytest.mark.slow
def test_smoke_has_the_committed_bytes_on_this_machine() -> None:
    ended = verify("--engines", "snakemake", "--cores", "2")
    assert ended.returncode == 0, ended.stderr
    files = len(PORTABLE_DIGESTS.read_text().splitlines())
    assert ended.stderr.splitlines()[-1] == f"all {files} files are identical"


@pytest.mark.parametrize("options", [["--preset", "earth"], ["--until", "prepare"], ["--present"]])
def test_digests_are_of_the_whole_of_smoke(options: list[str]) -> None:
    ended = verify(*options)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "--portable: presets/smoke-portable.sha256 is of all of preset smoke" in ended.stderr
