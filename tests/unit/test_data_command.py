"""`make data`: what is registered decides which tasks params.yaml has."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from support.course_folders import Folders
from support.data_command import enter_project, run_data
from support.own_folders import class_folders
from test_selection import TEXT

from reprise.engines import data
from reprise.engines.data import LEFT_OUT, MISSING
from reprise.engines.preset import changed_by_hand
from reprise.engines.selection import without_data
from reprise.errors import RepriseError
from reprise.params.base import PARAMS
from reprise.params.load import load_params


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return Folders(tmp_path_factory.mktemp("folders"))


@pytest.fixture(autouse=True)
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder with params.yaml; dvc.yaml is not derived, because that needs the rules."""
    enter_project(tmp_path, monkeypatch, caplog, TEXT)


def register(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    run_data(monkeypatch, str(folder), "--accept-counts")


def test_a_registered_folder_gives_params_yaml_its_tasks(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    register(monkeypatch, folders("office_home"))
    params = load_params()
    assert list(params.datasets) == ["office"] and list(params.finetune) == ["abc"]
    office = params.datasets["office"]
    assert office.registered_as == "dlcv_hw4" and office.sha256  # type: ignore[union-attr]
    assert Path("dvc.yaml").read_text() == PARAMS.read_text()
    assert "params.yaml: pretrain.ssl (byol); finetune.abc (A, C)" in caplog.messages
    missing = pd.read_csv(MISSING)
    assert missing["name"].tolist() == ["tiles", "sl", "vgg16"]
    assert missing.columns.tolist() == ["kind", "name", "what", "where", "tables"]
    # weights arrive, then the other folder; then nothing is missing
    Path("data/weights").mkdir()
    for name in ("sl.pt", "vgg16.pth"):
        Path("data/weights", name).write_bytes(b"x")
    run_data(monkeypatch)
    assert load_params().finetune["abc"].runs == ["A", "B", "C"]
    register(monkeypatch, folders("deepglobe"))
    assert list(load_params().segment) == ["maps"]
    assert not MISSING.exists() and not LEFT_OUT.exists()
    names = {d.registered_as for d in load_params().datasets.values()}  # type: ignore[union-attr]
    assert names == {"dlcv_hw1", "dlcv_hw4"}
    text = PARAMS.read_text()
    run_data(monkeypatch)
    assert PARAMS.read_text() == text
    assert without_data(text) == without_data(TEXT)


def test_weights_that_a_course_hands_out_are_linked(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders("office_home"), tmp_path / "hw1"))
    (folder / "sl.pt").write_bytes(b"weights")
    (folder / "vgg16.pth").write_bytes(b"published elsewhere, so it is fetched and verified")
    register(monkeypatch, folder)
    assert Path("data/weights/sl.pt").read_bytes() == b"weights"
    assert [path.name for path in Path("data/weights").iterdir()] == ["sl.pt"]
    assert load_params().finetune["abc"].runs == ["A", "B", "C"]


def test_a_task_that_lacks_weights_can_be_kept_and_changed(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, folders("office_home"))
    register(monkeypatch, folders("deepglobe"))
    assert "maps" not in load_params().segment
    run_data(monkeypatch, "--all")
    MISSING.unlink()
    Path("dvc.yaml").unlink()
    run_data(monkeypatch, "--all")  # another input of the report, though params.yaml is the same
    assert Path("dvc.yaml").exists()
    text = PARAMS.read_text()
    assert "maps" in load_params().segment and MISSING.exists()
    PARAMS.write_text(text.replace("weights: vgg16,", "weights: none,"))
    run_data(monkeypatch)
    assert load_params().segment["maps"].recipes["fcn"].weights == "none"


def test_where_no_run_has_its_weights_the_tasks_with_images_are_kept(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    register(monkeypatch, folders("deepglobe"))
    assert list(load_params().segment) == ["maps"] and MISSING.exists()
    assert load_params().finetune == {} and list(load_params().datasets) == ["tiles"]
    assert "no run has its weights: get them, or set `weights: none`" in caplog.text


def test_a_folder_that_no_task_uses_leaves_params_yaml_alone(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    register(monkeypatch, folders("camvid"))
    assert PARAMS.read_text() == TEXT and not MISSING.exists()
    assert "params.yaml has no dataset of the layouts camvid" in caplog.text
    PARAMS.unlink()
    register(monkeypatch, folders("camvid"))
    assert not PARAMS.exists()


def test_a_pinned_list_of_files_stays_pinned(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, folders("office_home"))
    pinned = load_params().datasets["office"].sha256  # type: ignore[union-attr]
    with Path("data/raw/dlcv_hw4.csv").open("a") as stream:
        stream.write("x,1,0\n")
    run_data(monkeypatch)
    assert load_params().datasets["office"].sha256 == pinned  # type: ignore[union-attr]


def test_images_of_several_sizes_need_a_size(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    register(monkeypatch, folders("office_home"))
    assert "differ in size" not in caplog.text
    PARAMS.write_text(TEXT.replace("size: 32", "size: null", 1))
    register(monkeypatch, folders("office_home"))
    line = "params.yaml: datasets.office.size: null, but the images of office_home differ in size"
    assert line in caplog.text


@pytest.mark.parametrize("text", ["", "[]", "{", '{"order": {"": []}}', '{"runs": {"a.b": ["x"]}}'])
def test_a_damaged_list_of_what_was_cut_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    LEFT_OUT.parent.mkdir()
    LEFT_OUT.write_text(text)
    with pytest.raises(
        RepriseError, match=r"data/left_out.json: not (valid JSON|what `make data`)"
    ):
        run_data(monkeypatch)
    assert PARAMS.read_text() == TEXT


def test_another_preset_in_the_first_lines_does_not_lose_what_was_cut(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, folders("office_home"))
    cut, text = LEFT_OUT.read_bytes(), PARAMS.read_text()
    PARAMS.write_text(text.replace("PRESET=mine", "my own"))
    with pytest.raises(RepriseError, match=r"left_out.json has what was cut from 'mine'; restore"):
        run_data(monkeypatch)
    assert LEFT_OUT.read_bytes() == cut
    PARAMS.write_text(text)
    run_data(monkeypatch, "--all")
    assert without_data(PARAMS.read_text()) == without_data(TEXT)


def test_a_kill_between_the_two_files_loses_no_task(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, folders("office_home"))
    text = PARAMS.read_text()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(data, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            run_data(patch, "--all")
    assert PARAMS.read_text() == text
    run_data(monkeypatch, "--all")
    assert without_data(PARAMS.read_text()) == without_data(TEXT)


def test_a_link_to_weights_of_a_folder_that_has_moved_is_replaced(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders("office_home"), tmp_path / "hw1"))
    (folder / "sl.pt").write_bytes(b"weights")
    register(monkeypatch, folder)
    moved = folder.rename(tmp_path / "moved")
    register(monkeypatch, moved)
    assert Path("data/weights/sl.pt").read_bytes() == b"weights"


@pytest.mark.parametrize("arguments", [[], ["--name", "mine"]])
def test_a_params_yaml_in_another_encoding_ends_in_one_line(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    PARAMS.write_bytes(TEXT.encode() + b"# caf\xe9\n")
    folder = [str(class_folders(tmp_path / "mine", 2))] if arguments else []
    with pytest.raises(RepriseError, match=r"params.yaml: is not UTF-8 \(byte \d+\); save it as"):
        run_data(monkeypatch, *folder, *arguments)
    with pytest.raises(RepriseError, match=r"params.yaml: is not UTF-8"):
        changed_by_hand(PARAMS, Path(__file__).parents[2] / "presets")
