"""`make data` with a user's own images: the blocks that params.yaml gets, and what it keeps."""

import shutil
from pathlib import Path

import pytest
from support.course_folders import Folders
from support.data_command import enter_project, run_data
from support.own_folders import class_folders, mask_folders

from reprise.engines.own_images import with_block
from reprise.engines.preset import render
from reprise.errors import RepriseError
from reprise.params.base import PARAMS
from reprise.params.datasets import ImagesDataset
from reprise.params.load import load_params

OWN = render("own", Path(__file__).parents[2] / "presets")


@pytest.fixture(autouse=True)
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder with an empty params.yaml; dvc.yaml is not derived, because that needs the rules."""
    enter_project(tmp_path, monkeypatch, caplog, OWN)


def own(name: str) -> ImagesDataset:
    recipe = load_params().datasets[name]
    assert isinstance(recipe, ImagesDataset)
    return recipe


def test_each_kind_gets_its_dataset_and_a_first_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said = ("--origin", "drawn by hand", "--licence", 'CC0: "free"')
    run_data(monkeypatch, class_folders(tmp_path / "a", 8), "--name", "shapes", *said)
    run_data(monkeypatch, mask_folders(tmp_path / "b", 12), "--name", "scenes", "--size", 32)
    run_data(
        monkeypatch, class_folders(tmp_path / "c", 8), "--name", "photos", "--task", "pretrain"
    )
    run_data(monkeypatch, tmp_path / "a", "--name", "shapes", "--start", "photos")
    run_data(monkeypatch, tmp_path / "c", "--name", "alone", "--kind", "unlabelled")
    params = load_params()
    assert [*params.datasets] == ["shapes", "scenes", "photos", "alone"]
    assert (own("shapes").origin, own("shapes").licence) == ("drawn by hand", 'CC0: "free"')
    assert [*own("scenes").legend] == ["ground", "disc", "square"] and own("scenes").size == 32
    assert params.classify["shapes"].runs == ["finetune", "features", "scratch"]
    assert len(params.segment["scenes"].images) == 2 and own("alone").test == 0
    assert params.pretrain["photos"].runs == ["byol", "supervised"]
    assert params.pretrain["alone"].runs == ["byol"]
    assert params.finetune["shapes"].runs == ["A", "B", "C", "D", "E"]
    assert params.finetune["shapes"].recipes["D"].start == "supervised"
    assert "shapes: train: 15 images: disc 5, square 5, stripe 5" in caplog.messages
    assert Path("dvc.yaml").read_text() == PARAMS.read_text()
    run_data(monkeypatch, tmp_path / "a", "--name", "more", "--start", "alone")
    assert load_params().finetune["more"].runs == ["A", "C", "E"]


def test_comments_and_edits_stay_when_images_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = mask_folders(tmp_path / "b", 12)
    run_data(monkeypatch, folder, "--name", "scenes")
    text = PARAMS.read_text().replace('"ground":', '"floor": # mine\n       ')
    text = text.replace("epochs: 12", "epochs: 3 # enough").replace("seed: 0", "seed: 4")
    PARAMS.write_text(text)
    digest = own("scenes").sha256
    shutil.copy(folder / "images" / "001.jpg", folder / "images" / "new.jpg")
    shutil.copy(folder / "masks" / "001.png", folder / "masks" / "new.png")
    run_data(monkeypatch, folder, "--name", "scenes")
    assert own("scenes").sha256 != digest
    assert PARAMS.read_text() == text.replace(str(digest), str(own("scenes").sha256))
    run_data(monkeypatch, folder, "--name", "scenes")
    assert [*own("scenes").legend][0] == "floor" and "# enough" in PARAMS.read_text()


def test_own_tasks_are_added_to_a_preset_and_leave_it_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earth = render("earth", Path(__file__).parents[2] / "presets")
    PARAMS.write_text(earth)
    run_data(monkeypatch, class_folders(tmp_path / "a", 8), "--name", "shapes")
    lines = PARAMS.read_text().splitlines()
    assert [line for line in earth.splitlines() if line not in lines] == []
    assert [*load_params().classify] == ["baseline", "transfer", "shapes"]
    with pytest.raises(RepriseError, match="datasets.climate: is not of your own images; choose"):
        run_data(monkeypatch, tmp_path / "a", "--name", "climate")
    with pytest.raises(RepriseError, match="classify.baseline: is a task on climate; choose"):
        run_data(monkeypatch, tmp_path / "a", "--name", "baseline")


def test_what_does_not_fit_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = class_folders(tmp_path / "a", 8)
    for arguments, message in (
        (["--kind", "classification"], "your own images need a name, such as NAME=mine"),
        (["--name", "x", "--task", "segment"], "TASK=segment: needs images for segmentation"),
        (["--name", "x", "--start", "none"], "START=none: not a task of pretrain"),
        (["--name", "x", "--task", "finetune"], "TASK=finetune: needs START"),
        (["--name", "x", "--resize", "crop"], "RESIZE=crop: needs SIZE"),
        (["--name", "x", "--size", "-3"], "make data: size: Input should be greater than 0"),
        (["--name", "a-b"], "NAME=a-b: use letters"),
        (["--name", "1e3"], "NAME=1e3: is not text to some readers of YAML; choose another name"),
        (["--name", "2024"], "NAME=2024: is not text"),
        (["--name", "null"], "NAME=null: is not text"),
        (["--name", "No"], "NAME=No: is not text"),
        (["--name", "x", "--legend", "gone.csv"], "gone.csv: not found; restore it, or pass"),
        (["--name", "x", "--kind", "segmentation"], "problems"),
    ):
        with pytest.raises(RepriseError, match=message):
            run_data(monkeypatch, folder, *arguments)
        assert PARAMS.read_text() == OWN
        assert not Path("data/raw").exists() or not any(Path("data/raw").iterdir())
    run_data(monkeypatch, folder, "--name", "x")
    with pytest.raises(RepriseError, match="datasets.x.kind: is classification; remove KIND"):
        run_data(monkeypatch, folder, "--name", "x", "--kind", "unlabelled")


@pytest.mark.parametrize(
    ("each", "kind", "lacking"),
    [
        (1, "classification", "val and test"),
        (2, "classification", "val and test"),
        (0, "unlabelled", "val"),
    ],
)
def test_images_too_few_for_the_splits_are_refused_and_nothing_is_written(
    each: int, kind: str, lacking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = class_folders(tmp_path / "a", each or 1)
    for name in ("square", "stripe") if not each else ():
        shutil.rmtree(folder / name)
    with pytest.raises(RepriseError, match=f"a: no image is left for {lacking} \\("):
        run_data(monkeypatch, folder, "--name", "x", "--kind", kind)
    assert PARAMS.read_text() == OWN and not any(Path("data/raw").glob("*"))


def test_a_course_folder_is_still_one_and_own_lists_are_not_taken_for_its(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folders(tmp_path / "folders")
    folder.root.mkdir()
    run_data(monkeypatch, folder("dlcv_50"), "--name", "hw1", "--accept-counts")
    assert Path("data/raw/hw1.csv").read_text().startswith("file,bytes,sha256\n")
    run_data(monkeypatch, folder("deepglobe"), "--name", "own", "--kind", "unlabelled")
    PARAMS.write_text(render("dlcv2022", Path(__file__).parents[2] / "presets"))
    run_data(monkeypatch)
    assert [*load_params().datasets] == ["dlcv_50"]


def test_a_block_is_put_into_a_section_that_is_empty_or_not_there() -> None:
    text = "# head\n\ndatasets: {} # mine\n\nplot:\n  dpi: 110\n"
    block = "  a:\n    x: 1\n"
    written = with_block(text, "datasets", "a", block)
    assert written == "# head\n\ndatasets: # mine\n  a:\n    x: 1\n\nplot:\n  dpi: 110\n"
    assert with_block(text, "embed", "a", block).endswith(
        "mine\n\nembed:\n  a:\n    x: 1\n\nplot:\n  dpi: 110\n"
    )
