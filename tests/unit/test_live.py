"""A training can be watched while it runs: DVCLive's files, TensorBoard, and the time left."""

import json
import logging
import math
import subprocess
import sys
from pathlib import Path

import pytest
from support.training import no_checkpoint, train_toy

from reprise import cli
from reprise.atomic_io import WRITTEN
from reprise.errors import RepriseError
from reprise.training import live
from reprise.training.live import Live, in_words


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A process whose log is that of a job; the folder that it shows its progress in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "log_file", Path("logs/classify/baseline/cnn/0.log"))
    monkeypatch.delenv(live.TENSORBOARD, raising=False)
    return tmp_path / "live/classify/baseline/cnn/0"


def table(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()]


def test_each_epoch_is_a_row_in_the_form_of_dvclive(job):
    progress, _ = train_toy(no_checkpoint())
    losses = [row["train_loss"] for row in progress.rows]
    rows = table(job / "plots/metrics/train_loss.tsv")
    assert rows[0] == ["step", "train_loss"]
    assert [(int(step), float(value)) for step, value in rows[1:]] == [*enumerate(losses, 1)]
    last = json.loads((job / "metrics.json").read_text())
    assert last["step"] == 4 and last["train_loss"] == losses[-1]
    assert sorted(path.name for path in job.rglob("*.*")) == [
        "learning_rate.tsv", "metrics.json", "train_loss.tsv",
    ]  # fmt: skip


def test_the_files_are_there_while_the_training_runs_and_an_older_training_is_gone(job):
    job.mkdir(parents=True)
    (job / "old.tsv").touch()
    with pytest.raises(KeyboardInterrupt):
        train_toy(no_checkpoint(), stop=7)  # in the third epoch
    assert len(table(job / "plots/metrics/train_loss.tsv")) == 3
    assert not (job / "old.tsv").exists()


def test_dvc_draws_the_files(job, tmp_path):
    train_toy(no_checkpoint())
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=tmp_path, check=True)
    (tmp_path / ".gitignore").write_text("/live/\n")
    folder = (job / "plots/metrics").relative_to(tmp_path)
    command = [sys.executable, "-m", "dvc", "plots", "show", str(folder), "-x", "step", "--json"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    drawn = json.loads(ended.stdout)["data"]
    values = drawn[f"{folder}/train_loss.tsv"][0]["content"]["data"]["values"]
    assert [row["step"] for row in values] == ["1", "2", "3", "4"]


def test_nothing_of_it_is_an_output_and_a_training_by_itself_writes_nothing(job, monkeypatch):
    with_files, _ = train_toy(no_checkpoint())
    assert not [path for path in WRITTEN if "live" in path.parts]
    monkeypatch.setattr(cli, "log_file", None)
    without, _ = train_toy(no_checkpoint())
    assert without.rows == with_files.rows
    for log in (None, Path("other/0.log"), Path.cwd() / "logs/0.log"):
        assert live.folder_of(log) is None


def test_the_log_says_how_long_it_will_take(job, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    clock = iter([0.0, 10.0, 20.0, 30.0])
    monkeypatch.setattr(live.time, "monotonic", lambda: next(clock))
    progress = Live("key", epochs=4, steps=40, step=10)  # resumed after the first epoch
    rows = [{"epoch": 1, "step": 10, "val_accuracy": 0.5, "selected": 1}]
    for epoch in (2, 3, 4):
        rows.append({"epoch": epoch, "step": 10 * epoch, "val_accuracy": 0.25, "selected": 0})
        progress.show(rows)
    assert [record.getMessage() for record in caplog.records] == [
        "epoch 2, val_accuracy 0.25 (4 epochs, 20 s left)",
        "epoch 3, val_accuracy 0.25 (4 epochs, 10 s left)",
        "epoch 4, val_accuracy 0.25",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(3.2, "3 s"), (119, "2 min"), (5_900, "98 min"), (9_000, "2.5 h")]
)
def test_a_duration_in_words(seconds, words):
    assert in_words(seconds) == words


def test_values_that_are_no_number_have_no_row(job):
    live.write(job, [{"epoch": 0, "step": 0, "loss": math.nan, "knn": 0.1},
                     {"epoch": 1, "step": 9, "loss": 0.5, "knn": 0.2}])  # fmt: skip
    assert table(job / "plots/metrics/loss.tsv")[1:] == [["1", "0.5"]]
    assert table(job / "plots/metrics/knn.tsv")[1:] == [["0", "0.1"], ["1", "0.2"]]


def test_a_folder_that_cannot_be_written_stops_no_training(job, caplog, tmp_path):
    (tmp_path / "live").touch()
    progress, _ = train_toy(no_checkpoint())
    assert len(progress.rows) == 4
    assert sum("the training goes on" in record.getMessage() for record in caplog.records) == 1


def test_tensorboard_has_the_same_values_on_request(job, monkeypatch):
    monkeypatch.setenv(live.TENSORBOARD, "1")
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    progress, _ = train_toy(no_checkpoint())
    events = EventAccumulator(str(job))
    events.Reload()
    values = [(event.step, event.value) for event in events.Scalars("train_loss")]
    expected = [(row["epoch"], row["train_loss"]) for row in progress.rows]
    assert [step for step, _ in values] == [step for step, _ in expected]
    assert [value for _, value in values] == pytest.approx([value for _, value in expected])


def test_tensorboard_that_is_not_installed_is_named_before_the_training(job, monkeypatch):
    monkeypatch.setenv(live.TENSORBOARD, "1")
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(RepriseError, match="REPRISE_TENSORBOARD=1: needs the package"):
        train_toy(no_checkpoint())
