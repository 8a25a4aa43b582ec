"""The RUN lines of the Dockerfile pass in Debian as debootstrap makes it, and the engines start.

Docker itself is not needed: the steps run in a chroot, which needs root and some gigabytes.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
CHROOT = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin") or "chroot"
MIRROR = "REPRISE_DEBIAN_MIRROR"  # an address; by default the one that debootstrap knows

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.slow,
    pytest.mark.exhaustive,
    pytest.mark.skipif(shutil.which("debootstrap") is None, reason="needs debootstrap"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a chroot"),
]


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile: name and text, continued lines joined."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", text)
    return [(name, rest) for name, _, rest in (x.partition(" ") for x in joined.splitlines() if x)]


def in_root(root: Path, folder: str, line: str, **variables: str) -> str:
    """What a shell line prints in the root; it must succeed."""
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "DEBIAN_FRONTEND": "noninteractive"}
    proxies = {name: value for name, value in os.environ.items() if name.endswith("_proxy")}
    certificates = dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE"), "/certificates.crt")
    ended = subprocess.run(
        [CHROOT, root, "/bin/bash", "-o", "pipefail", "-c", f"cd {folder} && {line}"],
        env=environment | proxies | certificates | variables, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert ended.returncode == 0, f"{line}\n{ended.stdout[-3000:]}"
    return ended.stdout


def build(root: Path, **arguments: str) -> dict[str, str]:
    """Run the instructions in a root; the variables that the image sets."""
    shutil.copy("/etc/resolv.conf", root / "etc")
    shutil.copy(CERTIFICATES, root / "certificates.crt")
    variables, folder = dict(arguments), "/"
    for name, text in instructions():
        if name == "WORKDIR":
            folder = text
            Path(f"{root}{folder}").mkdir(parents=True, exist_ok=True)
        elif name == "COPY":
            source, target = text.split()
            shutil.copytree(ROOT / source, Path(f"{root}{folder}") / target, dirs_exist_ok=True)
        elif name == "RUN":
            in_root(root, folder, text, **variables)
        elif name == "ENV":
            for pair in text.split():
                key, _, value = pair.partition("=")
                variables[key] = value.replace("$PATH", "/usr/bin:/bin")
    return variables


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("container") / "root"
    command = ["debootstrap", "--variant=minbase", "bookworm", str(root)]
    command += [os.environ[MIRROR]] if MIRROR in os.environ else []
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-2000:]
    return root


def test_the_image_for_gpus_is_built_and_its_engines_read_the_rules(debian: Path) -> None:
    variables = build(debian, DEVICE="cuda")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, listed):
        target = debian / "project" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    versions = in_root(debian, "/project", "snakemake --version; dvc --version", **variables)
    lock = (ROOT / "requirements" / "lock.txt").read_text()
    assert versions.split() == re.findall(r"^(?:snakemake|dvc)==(.*)$", lock, re.M)[::-1]
    in_root(debian, "/project", "git init --quiet && git add --all", **variables)
    plan = in_root(debian, "/project", "snakemake --dryrun --quiet rules", **variables)
    assert "finetune" in plan
    folder = "results/prepare/glasses"
    command = f"python workflow/scripts/prepare.py --dataset glasses --out {folder}"
    in_root(debian, "/project", f"{command} --log logs/prepare/glasses.log", **variables)
    assert (debian / "project" / folder / "images.npy").stat().st_size > 0
