"""Results on S3: pushed from one clone and pulled into another, where no engine has work to do.

The server is moto's, on loopback, in the environment .venv-s3 (`make test-s3` builds it). There
smoke has the same bytes as with requirements/lock.txt.
"""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.slurm import free_ports
from support.small_workflow import AUTHOR, SmallWorkflow
from support.smoke import smoke_build

from reprise.engines.verify import clone, digests, first_difference

ROOT = Path(__file__).parents[2]
COMMANDS = ROOT / ".venv-s3" / "bin"
BUCKET = "results"
ALLOWED = (BUCKET, "nowhere")  # the second does not exist
# a bucket and a user who may use S3: the actions that the server takes from anybody
SET_UP = f"""
import boto3, json, sys
options = dict(endpoint_url=sys.argv[1], region_name="us-east-1")
options |= dict(aws_access_key_id="any", aws_secret_access_key="any")
boto3.client("s3", **options).create_bucket(Bucket="{BUCKET}")
iam = boto3.client("iam", **options)
iam.create_user(UserName="me")
names = [f"arn:aws:s3:::{{name}}{{below}}" for name in {ALLOWED} for below in ("", "/*")]
everything = {{"Effect": "Allow", "Action": ["s3:*"], "Resource": names}}
policy = json.dumps({{"Version": "2012-10-17", "Statement": [everything]}})
iam.put_user_policy(UserName="me", PolicyName="all", PolicyDocument=policy)
key = iam.create_access_key(UserName="me")["AccessKey"]
print(key["AccessKeyId"], key["SecretAccessKey"])
"""
ACTIONS = "4"

MISSING = None if (COMMANDS / "moto_server").exists() else "needs .venv-s3 of `make test-s3`"
pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.needs(MISSING)]


@dataclass(frozen=True)
class Server:
    url: str
    key: str
    secret: str

    def variables(self, **changes: str) -> dict[str, str]:
        """The variables that every client of S3 reads."""
        usual = {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret}
        return usual | {"AWS_DEFAULT_REGION": "us-east-1"} | changes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("moto") / "log"
    command = [str(COMMANDS / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    variables = os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": ACTIONS}
    with log.open("w") as stream, subprocess.Popen(
        command, env=variables, stdout=stream, stderr=subprocess.STDOUT
    ) as process:  # fmt: skip
        try:
            wait_for(f"{url}/moto-api/")  # no action of S3, of which only the first are free
            printed = subprocess.run(
                [COMMANDS / "python", "-c", SET_UP, url], capture_output=True, text=True, check=True
            ).stdout
            yield Server(url, *printed.split())
        finally:
            process.terminate()


def wait_for(url: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(url)
            return
        time.sleep(0.1)
    pytest.fail("the server did not start")


def call(folder: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """A command with the packages of .venv-s3."""
    path = {"PATH": f"{COMMANDS}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(
        words, cwd=folder, env=os.environ | path | variables, text=True, check=False,
        capture_output=True,
    )  # fmt: skip


def share(folder: Path, direction: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return call(folder, "python", "-m", "reprise.engines.share", direction, **variables)


def add_remote(folder: Path, server: Server, bucket: str = BUCKET) -> None:
    """The commands of docs/share.md."""
    text = (ROOT / "docs" / "share.md").read_text()
    lines = [line[2:] for line in text.splitlines() if line.startswith("$ dvc remote ")]
    for line in lines:
        words = line.replace("s3://my-bucket", f"s3://{bucket}").split()
        words = [server.url if word.startswith("https://") else word for word in words]
        assert call(folder, *words).returncode == 0
    assert len(lines) == 2


def test_results_reach_another_clone_where_no_engine_has_work(
    server: Server, tmp_path: Path
) -> None:
    small = SmallWorkflow(tmp_path / "small")
    small.snakemake()
    add_remote(small.folder, server)
    small.commit("results")
    ended = share(small.folder, "push", **server.variables())
    assert ended.returncode == 0 and "files pushed" in ended.stdout
    other = tmp_path / "other"
    assert call(tmp_path, "git", *AUTHOR, "clone", "-q", str(small.folder), "other").returncode == 0
    assert share(other, "pull", **server.variables()).returncode == 0
    assert digests(other / "results") == digests(small.folder / "results")
    for words in (["dvc", "repro"], ["snakemake", "--cores", "1"]):
        output = call(other, *words)
        assert output.returncode == 0, output.stderr
    assert not (other / "logs" / "ran").exists()
    assert "up to date" in call(other, "dvc", "status").stdout


FAULTS = {
    "bucket": ("nowhere", {}, "bucket does not exist"),
    "rights": ("private", {}, "Access Denied"),
    "key": (BUCKET, {"AWS_SECRET_ACCESS_KEY": "wrong"}, "signature"),
    "no key": (BUCKET, {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "credentials"),
}


@pytest.mark.parametrize("direction", ["push", "pull"])
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_remote_that_refuses_is_named_in_one_line(
    fault: str, direction: str, server: Server, tmp_path: Path
) -> None:
    small = SmallWorkflow(tmp_path / "small")
    bucket, variables, reason = FAULTS[fault]
    add_remote(small.folder, server, bucket)
    ended = share(small.folder, direction, **server.variables(**variables))
    assert ended.returncode == 1, ended.stdout
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"reprise: s3://{bucket}") and line.endswith("; see docs/share.md")
    assert reason in line


def test_without_a_remote_or_its_client_the_line_says_what_to_do(tmp_path: Path) -> None:
    small = SmallWorkflow(tmp_path / "small")
    ended = share(small.folder, "push")
    assert ended.returncode == 1 and len(ended.stderr.splitlines()) == 1
    assert "no remote" in ended.stderr
    call(small.folder, "dvc", "remote", "add", "--default", "shared", "s3://bucket/me")
    command = ["python", "-m", "reprise.engines.share", "push"]
    plain = small.run(*command, ok=False)  # without .venv-s3
    assert "the client of this kind of remote is missing; `make s3` for s3://" in plain
    assert len(plain.splitlines()) == 1


def test_smoke_has_the_same_bytes_with_the_client_of_s3(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its lock differs in python-dateutil, which pandas reads dates with."""
    folder = clone(ROOT, tmp_path / "clone", "smoke")
    ended = call(folder, "snakemake", "--cores", "2", "--quiet", "rules", PYTHONPATH="src")
    assert ended.returncode == 0, ended.stderr[-3000:]
    lock, s3 = (digests(one / "results") for one in (smoke_build(tmp_path_factory), folder))
    assert first_difference(lock, s3) is None
    packages = call(folder, "python", "-c", VERSIONS).stdout
    assert json.loads(packages)["python-dateutil"].startswith("2.")


VERSIONS = """
import importlib.metadata, json
print(json.dumps({d.name: d.version for d in importlib.metadata.distributions()}))
"""
