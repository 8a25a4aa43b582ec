"""`reprise search`: experiments of DVC by their score on val, from DVC's cache."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from support.fake_results import write_mask
from support.small_project import CLASSES, MASKS, write_project

from reprise.cli import run as run_command
from reprise.datasets.prepared import read_prepared
from reprise.engines import search
from reprise.errors import RepriseError

AUTHOR = ["-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "commit.gpgsign=false"]
OUTS = [f"results/prepare/{name}/{file}" for name in ("zones", "cover") for file in
        ("index.csv", "dataset.json", "labels.npy")]  # fmt: skip
OUTS += [f"results/{CLASSES}/predictions.csv", f"results/{MASKS}/predictions"]
RATE = "classify.baseline.recipes.cnn.learning_rate"


def git(folder: Path, *words: str) -> str:
    command = ["git", *AUTHOR, *words]
    return subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(folder: Path) -> str:
    """Put the outputs into DVC's cache, and what Git keeps into a commit."""
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        repo.commit(force=True)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "x")
    return git(folder, "rev-parse", "HEAD")


def predict(folder: Path, right: int) -> None:
    """Predictions of val with this many right ones; those of test are all wrong."""
    path = folder / f"results/{CLASSES}/predictions.csv"
    table = pd.read_csv(path, dtype={"id": str})
    wrong = (table["label"] + 1) % 3
    of_val = (table["split"] == "val").to_numpy()
    is_right = of_val & (np.cumsum(of_val) <= right)
    table.assign(prediction=np.where(is_right, table["label"], wrong)).to_csv(path, index=False)


def experiment(folder: Path, name: str, rate: float | None, right: int, of: str) -> None:
    """An experiment of DVC as a commit below refs/exps."""
    values = yaml.safe_load((folder / "params.yaml").read_text())
    if rate is not None:
        values["classify"]["baseline"]["recipes"]["cnn"]["learning_rate"] = rate
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    predict(folder, right)
    revision = commit(folder)
    git(folder, "update-ref", f"refs/exps/{of[:2]}/{of[2:]}/{name}", revision)
    git(folder, "reset", "--quiet", "--hard", of)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with HEAD and three experiments of it; not to be changed."""
    folder = tmp_path_factory.mktemp("search") / "project"
    write_project(folder)
    git(folder, "init", "--quiet")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # DVC looks for dvc.yaml here
        fill(folder)
    return folder


def fill(folder: Path) -> None:
    from dvc.repo import Repo

    Repo.init(".").close()
    stages = {"stages": {"all": {"cmd": "true", "params": ["classify"], "outs": OUTS}}}
    (folder / "dvc.yaml").write_text(yaml.safe_dump(stages))
    (folder / ".gitignore").write_text("/results/\n")
    predict(folder, 2)
    head = commit(folder)
    experiment(folder, "high", 0.3, 1, head)
    experiment(folder, "low", 0.01, 4, head)
    experiment(folder, "lost", 0.02, 3, head)
    listed = git(folder, "show", f"refs/exps/{head[:2]}/{head[2:]}/lost:dvc.lock")
    outs = yaml.safe_load(listed)["stages"]["all"]["outs"]
    digest = next(out["md5"] for out in outs if out["path"] == OUTS[-2])
    os.chmod(cached := folder / ".dvc/cache/files/md5" / digest[:2] / digest[2:], 0o644)
    cached.unlink()


@pytest.fixture
def here(searched: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(searched)
    return searched


def output(patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    patch.setattr("sys.argv", ["reprise search", *words])
    search.main()
    return capsys.readouterr().out


def test_the_best_on_val_is_named_with_what_differs_and_how_many_were_tried(
    here, monkeypatch, capsys, caplog, tmp_path
):
    path = tmp_path / "trials.csv"
    text = output(monkeypatch, capsys, "classify.baseline.cnn", "--csv", str(path))
    table = pd.read_csv(path)
    assert table["trial"].tolist() == ["low", "HEAD", "high"]
    assert table["changed"].tolist() == [f"{RATE}=0.01", "no change", f"{RATE}=0.3"]
    assert table["val"].tolist() == [1.0, 0.5, 0.25]
    assert table["below_best"].tolist()[1:] == [0.5, 0.75]
    assert "classify.baseline.cnn: 4 tried, val of 4 images in 4 groups" in text
    assert f"Best on val: low ({RATE}=0.01)." in text
    assert "`dvc exp apply low` brings it here." in text
    assert "Val chose the best of 4," in text
    lines = [record.getMessage() for record in caplog.records]
    path = f"results/{CLASSES}/predictions.csv"
    assert f"lost: tried, but not compared: {path}: is not in DVC's cache" in lines


def test_intervals_are_those_of_the_statistics_and_the_difference_is_paired(here):
    trials = [search.read_trial(name, revision, "classify", "baseline", "cnn")
              for name, revision in search.revisions() if name != "lost"]  # fmt: skip
    ranked, others = search.comparable(trials)
    table = search.trials_table(ranked).set_index("trial")
    assert not others
    below = (ranked[0].val - next(t for t in ranked if t.name == "HEAD").val).estimate()
    row = table.loc["HEAD"]
    assert row["below_best"] == below.value
    assert (row["below_best_low"], row["below_best_high"]) == (below.groups_low, below.groups_high)
    assert row["over"] == "groups only"  # one seed


def test_predictions_of_test_change_nothing(here):
    """The trials are the same whatever is predicted there: here all of it is wrong."""
    trial = search.read_trial("HEAD", "HEAD", "classify", "baseline", "cnn")
    assert trial.val.values.tolist() == [0.5] and len(trial.images) == 4


def test_masks_are_scored_by_their_miou_on_val(here, tmp_path):
    trial = search.read_trial("HEAD", "HEAD", "segment", "baseline", "fcn32s")
    assert trial.val.values.tolist() == [1.0]
    dataset = read_prepared(Path("results/prepare/cover"))
    folder = tmp_path / "predictions"
    shutil.copytree(f"results/{MASKS}/predictions", folder)
    row = dataset.rows("val")[0]
    write_mask(folder / f"{dataset.index['id'][row]}.png", (dataset.labels[row] + 1) % 3)
    assert 0.4 < search.val_score(folder, dataset, None, None).value < 1


def test_other_images_of_val_are_not_compared(here):
    one = search.read_trial("HEAD", "HEAD", "classify", "baseline", "cnn")
    other = search.Trial("other", {}, (0,), one.val, ("1", "2"))
    assert search.comparable([one, other]) == ([one], [other])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("classify.baseline", "is not stage.task.run"),
        ("pretrain.earth.byol", "a pretraining is chosen by a fine-tuning that starts from it"),
        ("classify.base.cnn", "no task 'base'; did you mean 'baseline'"),
        ("segment.baseline.fcn", "no 'fcn'; did you mean 'fcn32s'"),
        ("segment.baseline.fcn32s", None),
    ],
)
def test_a_wrong_name_and_a_search_without_trials_are_one_line(here, monkeypatch, name, reason):
    monkeypatch.setattr("sys.argv", ["reprise search", name])
    if reason is None:
        head = git(here, "rev-parse", "HEAD")
        monkeypatch.setattr(search, "revisions", lambda: [("HEAD", head)])
        reason = "fewer than two trials to compare; `dvc exp run --queue"
    with pytest.raises(RepriseError, match=reason):
        search.main()


def test_a_folder_without_git_is_one_line(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["reprise search", "classify.baseline.cnn"])
    with pytest.raises(SystemExit):
        run_command(search.main)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
