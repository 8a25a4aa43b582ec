"""`reprise bundle`: one archive with fixed bytes, which is computed anew and compared."""

import gzip
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from support.small_project import CLASSES, write_project

from reprise.atomic_io import sha256
from reprise.errors import RepriseError
from reprise.export import bundle

ROOT = Path(__file__).parents[2]
AUTHOR = ["-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "commit.gpgsign=false"]
SNAKEFILE = """\
rule all:
    output: "results/metrics.json"
    shell: "cp numbers.json {output}"
"""


def git(*words: str) -> str:
    command = ["git", *AUTHOR, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed project with results, in a repository of DVC; a program and a link in it."""
    folder = tmp_path / "project"
    write_project(folder)
    monkeypatch.chdir(folder)
    results = Path("results")
    (results / "tables").mkdir()
    (results / "tables" / "seeds.csv").write_text("stage,task,run,seed\n")
    (results / "metrics.json").write_text('{"classify": {}}\n')
    (results / "intervals.json").write_text('{"machine": {"threads": {"1": 2}}}\n')
    (results / "report.html").write_text("<html>")
    Path("dvc.lock").write_text("schema: '2.0'\n")
    Path("program.sh").write_text("#!/bin/sh\n")
    Path("program.sh").chmod(0o755)
    Path("link").symlink_to("program.sh")
    Path(".dvc").mkdir()
    Path(".dvc/config").touch()
    lines = ["/results/*", "!/results/*.json", "!/results/tables/", "/logs/", "/images/"]
    Path(".gitignore").write_text("\n".join(lines))
    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "-m", "x")
    monkeypatch.setattr(bundle, "settled", lambda: True)  # Snakemake has not run here
    return folder


def names(archive: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(archive) as opened:
        return {entry.name.partition("/")[2]: entry for entry in opened.getmembers()}


def test_it_has_what_git_tracks_and_the_results_apart_from_it(project, tmp_path):
    bundle.write(tmp_path / "a.tar")
    entries = names(tmp_path / "a.tar")
    tracked = [name for name in git("ls-files").splitlines()]
    own = [name for name in entries if not name.startswith("bundle/")]
    assert sorted(own) == sorted(
        name for name in tracked if not name.startswith(("results/", "dvc.lock"))
    )
    assert {name.removeprefix("bundle/") for name in entries if name.startswith("bundle/")} == {
        "README.md", "bundle.json", "digests.txt", "licences.md", "dvc.lock",
        "cards/classify_baseline_cnn.md", "cards/segment_baseline_fcn32s.md",
        "results/metrics.json", "results/intervals.json", "results/report.html",
        "results/tables/seeds.csv",
    }  # fmt: skip
    assert entries["program.sh"].mode == 0o755 and entries["params.yaml"].mode == 0o644
    assert entries["link"].issym() and entries["link"].linkname == "program.sh"
    folder = bundle.unpack(tmp_path / "a.tar", tmp_path / "unpacked")
    digests = bundle.read_digests(folder / "bundle/digests.txt")
    model = f"{CLASSES}/model.safetensors"
    assert digests[model] == sha256(project / "results" / model)
    about = json.loads((folder / "bundle/bundle.json").read_text())
    assert about["commit"] == git("rev-parse", "HEAD") and about["files"] == len(digests)
    licences = (folder / "bundle/licences.md").read_text()
    assert "| zones | a test | none |" in licences
    card = (folder / "bundle/cards/classify_baseline_cnn.md").read_text()
    assert f"* `results/{model}`: sha256 {digests[model]}" in card


def test_the_same_results_give_the_same_bytes(project, tmp_path):
    bundle.write(tmp_path / "a.tar")
    for path in project.rglob("*"):
        if path.is_file() and ".git" not in path.parts:
            os.utime(path, (10**9, 10**9))
    bundle.write(tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert {(e.uid, e.gid, e.uname, e.mtime) for e in names(tmp_path / "a.tar").values()} == {
        (0, 0, "", 0)
    }


def test_results_that_are_not_those_of_a_commit_are_refused(project, tmp_path, monkeypatch):
    out = tmp_path / "a.tar"
    monkeypatch.undo()
    monkeypatch.chdir(project)
    with pytest.raises(RepriseError, match="results/: not up to date; run `make run` first"):
        bundle.write(out)
    (project / "params.yaml").write_text("changed: true\n")
    with pytest.raises(RepriseError, match="params.yaml: differs from the last commit"):
        bundle.write(out)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RepriseError, match="a bundle is of a commit"):
        bundle.write(out)
    assert not out.exists()


@pytest.mark.parametrize("name", ["params.yaml", "link", "dvc.lock", "results/report.html"])
def test_what_it_is_made_from_is_not_overwritten(name: str, project: Path) -> None:
    before = (project / name).read_bytes()
    with pytest.raises(RepriseError, match=f"{name}: is an input; pass another path"):
        bundle.write(Path(name))
    assert (project / name).read_bytes() == before


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """The folder of an archive whose pipeline copies its numbers."""
    folder = tmp_path / bundle.TOP
    numbers = '{"classify": {"a": {"b": {"test_accuracy": 0.5}}}}'
    (folder / "bundle/results").mkdir(parents=True)
    (folder / "requirements").mkdir()
    for name in bundle.LOCKS:
        (folder / name).write_text("# pinned\nnumpy==0.1\nno-such-package==3\n")
    (folder / "Snakefile").write_text(SNAKEFILE)
    (folder / "numbers.json").write_text(numbers)
    (folder / "bundle/results/metrics.json").write_text(numbers)
    digest = sha256(folder / "numbers.json")
    (folder / "bundle/digests.txt").write_text(f"{digest}  results/metrics.json\n")
    return folder


def test_a_replay_computes_the_results_and_finds_them_identical(unpacked, tmp_path, monkeypatch,
                                                               capsys):  # fmt: skip
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as opened:
        opened.add(unpacked, bundle.TOP)
    for path in (archive, unpacked):
        monkeypatch.setattr(sys, "argv", ["reprise bundle", "--replay", str(path), "--cores", "1"])
        bundle.main()
        assert "all 1 files of the results are identical" in capsys.readouterr().out
    assert (unpacked / "results/metrics.json").is_file()


def test_a_replay_with_other_numbers_says_which(unpacked, capsys):
    path = unpacked / "numbers.json"
    path.write_text(path.read_text().replace("0.5", "0.25"))
    with pytest.raises(RepriseError, match="1 of 1 files differ, the first is results/metrics"):
        bundle.replay(unpacked, 1)
    assert "-0.2500" in capsys.readouterr().out


def test_a_replay_that_fails_is_one_line(unpacked, tmp_path):
    (unpacked / "numbers.json").unlink()
    with pytest.raises(RepriseError, match="the replay failed; the reason is above"):
        bundle.replay(unpacked, 1)
    with pytest.raises(RepriseError, match=r"digests.txt: not found"):
        bundle.replay(tmp_path, 1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"text", "not an archive that `reprise bundle` wrote"),
        (gzip.compress(b"0" * 9999)[:-12], "not an archive that `reprise bundle` wrote"),
        ({"other/a.txt": b""}, "has no reprise-bundle/bundle/digests.txt"),
        ({"../a.txt": b""}, "not an archive that `reprise bundle` wrote"),
    ],
    ids=["text", "truncated", "other", "climbing"],  # compressed bytes contain the time
)
def test_a_file_of_another_kind_is_one_line(
    content: bytes | dict[str, bytes], reason: str, tmp_path: Path
) -> None:
    archive = tmp_path / "other.tar"
    if isinstance(content, bytes):
        archive.write_bytes(content)
    else:
        with tarfile.open(archive, "w") as opened:
            for name in content:
                opened.addfile(tarfile.TarInfo(name))
    with pytest.raises(RepriseError, match=f"other.tar: .*{reason}") as raised:
        bundle.unpack(archive, tmp_path / "unpacked")
    assert "\n" not in str(raised.value)
    with pytest.raises(RepriseError, match="none.tar: not found; pass an archive that"):
        bundle.unpack(tmp_path / "none.tar", tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (bundle.DIGESTS, b"garbage\n", "does not list the files of results/"),
        (bundle.DIGESTS, b"", "does not list the files of results/"),
        (bundle.DIGESTS, b"\xff", "is not text"),
        (bundle.LOCKS[0], b"\xff", "is not text"),
        (bundle.LOCKS[1], None, "not found; pass an archive"),
    ],
)
def test_a_damaged_folder_is_one_line(
    name: str, content: bytes | None, reason: str, unpacked: Path
) -> None:
    (unpacked / name).unlink()
    if content is not None:
        (unpacked / name).write_bytes(content)
    with pytest.raises(RepriseError, match=f"{name}: {reason}"):
        bundle.replay(unpacked, 1)
    assert not (unpacked / "results").exists()


def test_no_cores_are_refused(unpacked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["reprise bundle", "--replay", str(unpacked), "--cores", "0"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(RepriseError, match="--cores 0: pass at least 1"):
        bundle.main()


def test_packages_of_another_version_are_named(unpacked):
    lines = bundle.other_packages(unpacked)
    assert lines[0].startswith("numpy: the archive was made with 0.1, here is ")
    assert lines[1] == "no-such-package: the archive was made with 3, here is not installed"
    for name in bundle.LOCKS:
        (unpacked / name).write_bytes((ROOT / name).read_bytes())
    assert bundle.other_packages(unpacked) == []
