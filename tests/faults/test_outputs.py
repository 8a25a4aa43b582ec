"""Promise: no command overwrites what it reads, replaces a device, or writes half of its output.

And whatever is wrong with the files of a trained run, predict and evaluate say so in one line.
"""

import json
import os
import runpy
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file
from support import bad_files, faults
from support.faults import Ending, ending_of_main, files_of
from support.small_project import CLASSES, MASKS, write_project

import reprise.predict.predict  # noqa: F401 (a forked case need not import it)
from reprise import __main__
from reprise.atomic_io import atomic_file, move_into_folder, write_text
from reprise.compare import read_results
from reprise.datasets.prepared import read_prepared
from reprise.errors import RepriseError
from reprise.evaluation.job_outputs import read_history, read_mask, read_predictions
from reprise.jobs import STAGES

ROOT = Path(__file__).parents[2]
exhaustive = pytest.mark.exhaustive
IMAGES = ["--images", "images"]
DATASET, INDEX = "results/prepare/zones/dataset.json", "results/prepare/zones/index.csv"
RECORD, MODEL = f"logs/{CLASSES}.json", f"results/{CLASSES}/model.safetensors"
Case = tuple[str, str, bad_files.Spoil]  # what is tried, on which file of the project


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "project"
    write_project(folder)
    return folder


@pytest.fixture
def project(untouched: Path, tmp_path: Path) -> Path:
    """A project that a test may change."""
    return Path(shutil.copytree(untouched, tmp_path / "project", symlinks=True))


def main() -> None:
    torch.set_num_threads(1)  # the threads of this process are not in the forked one
    __main__.main()


def predict(project: Path, *words: str, run: str = CLASSES) -> Ending:
    ending = ending_of_main(main, ["predict", run, *IMAGES, *words], project)
    faults.count("predict", ending)
    return ending


INPUTS = ("params.yaml", "list.csv", "images/0.png", DATASET, INDEX, RECORD, MODEL)


@pytest.mark.parametrize("name", INPUTS)
def test_no_input_is_overwritten_under_any_name(project: Path, name: str) -> None:
    (project / "list.csv").write_text("filename\n0.png\n1.png\n")
    os.link(project / name, project / "hard")
    (project / "soft").symlink_to(name)
    (project / "chain").symlink_to("soft")
    before = files_of(project)
    others = (f"./images/../{name}", "hard", "chain", str(project / name))
    for out in (name, others[INPUTS.index(name) % len(others)]):
        ending = predict(project, "--csv", "list.csv", "--out", out)
        assert ending.outcome == "refused" and "is an input" in ending.stderr, ending
    assert files_of(project) == before


def test_no_image_is_replaced_by_a_mask(project: Path) -> None:
    (project / "images" / "sub").mkdir()
    (project / "images" / "0.png").rename(project / "images" / "sub" / "0.png")
    (project / "list.csv").write_text("filename\nsub/0.png\n")
    words = ["--csv", "list.csv", "--out", "images/sub", "--mask", "{}.png"]
    ending = predict(project, *words, run=MASKS)
    assert ending.outcome == "refused" and "images/sub/0.png: is an input" in ending.stderr


def test_a_folder_where_one_mask_belongs_leaves_no_other_mask(project: Path) -> None:
    (project / "masks" / "1_mask.png").mkdir(parents=True)
    ending = predict(project, "--out", "masks", run=MASKS)
    assert ending.outcome == "refused" and "1_mask.png: is a folder" in ending.stderr
    with pytest.raises(RepriseError, match="b: is a folder"), move_into_folder(project) as folder:
        (project / "b").mkdir()
        for name in "abc":
            (folder / name).write_text(name)
    assert not (project / "a").exists() and not list(project.glob(".*"))


def test_a_log_replaces_no_other_file(project: Path) -> None:
    (project / "list.log").write_text("filename\n0.png\n")
    shutil.copy(project / DATASET, project / "data.json")
    before = files_of(project), (project / "list.log").read_bytes()
    for log in (
        "images/0.png",
        "params.yaml",
        "list.log",
        "data.log",
        "images",
        "params.yaml/x.log",
    ):
        ending = predict(project, "--csv", "list.log", "--out", "o.csv", "--log", log)
        assert ending.outcome == "refused", (log, ending)
        assert (files_of(project), (project / "list.log").read_bytes()) == before
    assert predict(project, "--out", "o.csv", "--log", "new.log").status == 0
    assert predict(project, "--out", "o.csv", "--log", "new.log").status == 0


def script(name: str) -> Callable[[], None]:
    path = str(ROOT / "workflow" / "scripts" / f"{name}.py")
    return runpy.run_path(path)["main"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["report", "checksums", "embed"])
def test_no_script_overwrites_its_inputs(project: Path, name: str) -> None:
    entry = {"stage": "classify", "task": "baseline", "run": "cnn", "seed": 0, "split": "test"}
    entry |= {"methods": ["pca"], "pca_components": 2, "max_points": 9, "perplexity": 2, "seed": 0}
    features = f"results/{CLASSES}/features.safetensors"
    inputs = ["params.yaml", f"results/{CLASSES}/predictions.csv", INDEX]
    words: list[str] = []
    if name == "embed":
        inputs = ["params.yaml", features]
        words = ["--name", "cnn", "--method", "pca", "--features", features]
        with (project / "params.yaml").open("a") as stream:
            stream.write(f"embed: {json.dumps({'cnn': entry})}\n")
    for out in inputs:
        ending = ending_of_main(script(name), [*words, "--out", out], project)
        faults.count("scripts", ending)
        assert ending.outcome == "refused" and "is an input" in ending.stderr, ending


def test_devices_pipes_and_links_stay_what_they_are(tmp_path: Path) -> None:
    """As root, a rename would replace /dev/null itself."""
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("new")
    for name in ("link", "dangling"):
        write_text(tmp_path / name, name)
        assert (tmp_path / name).is_symlink() and (tmp_path / name).read_text() == name
    assert (tmp_path / "file").read_text() == "link" and not list(tmp_path.glob(".*"))
    (tmp_path / "null").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    for name in ("null", "pipe"):
        write_text(tmp_path / name, "text")
    assert os.read(reader, 99) == b"text"
    os.close(reader)
    assert stat.S_ISFIFO((tmp_path / "pipe").lstat().st_mode)
    assert stat.S_ISCHR(Path("/dev/null").lstat().st_mode)
    if os.geteuid() == 0:
        os.mknod(tmp_path / "device", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        write_text(tmp_path / "device", "text")
        assert stat.S_ISCHR((tmp_path / "device").lstat().st_mode)


def test_a_linked_file_of_a_cache_is_not_written(tmp_path: Path) -> None:
    """DVC can link outputs to its cache, whose files are read-only."""
    (tmp_path / "cached").write_text("old")
    (tmp_path / "cached").chmod(0o444)
    (tmp_path / "link").symlink_to("cached")
    with atomic_file(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").read_text() == "new" and not (tmp_path / "link").is_symlink()
    assert (tmp_path / "cached").read_text() == "old"


def test_predictions_go_to_standard_output(project: Path) -> None:
    ending = predict(project, "--out", "/dev/stdout")
    assert ending.outcome == "right" and ending.stdout.startswith("id,filename,label\n0,0.png,")
    ending = predict(project, "--out", "/dev/null")
    assert ending.outcome == "right" and stat.S_ISCHR(Path("/dev/null").lstat().st_mode)


def tensors(change: Callable[[dict[str, np.ndarray]], Any]) -> bad_files.Spoil:
    def spoil(path: Path) -> None:
        state = load_file(path)
        save_file(change(state) or state, path)

    return spoil


def first(change: Callable[[np.ndarray], np.ndarray]) -> bad_files.Spoil:
    """Change one tensor of a file."""
    return tensors(
        lambda state: {k: np.asarray(change(v)) if n == 0 else v for n, (k, v) in _counted(state)}
    )


def _counted(state: dict[str, np.ndarray]) -> Iterator[tuple[int, tuple[str, np.ndarray]]]:
    return enumerate(sorted(state.items()))


def header(text: bytes) -> bad_files.Spoil:
    return bad_files.content(len(text).to_bytes(8, "little") + text)


SAFETENSORS: dict[str, bad_files.Spoil] = {
    **bad_files.PLACES, **bad_files.TEXTS,
    "NaN": first(lambda a: a * np.float32("nan")), "inf": first(lambda a: a + np.float32("inf")),
    "int8": tensors(lambda s: {k: v.astype(np.int8) for k, v in s.items()}),
    "one int8": first(lambda a: a.astype(np.int8)), "bool": first(lambda a: a > 0),
    "float64": first(lambda a: a.astype(np.float64)), "flat": first(np.ravel),
    "shorter": first(lambda a: a[:1]), "no rank": first(lambda a: np.float32(a.sum()).reshape(())),
    "no tensor": tensors(lambda s: {"other": np.zeros(1)}), "one more": tensors(
        lambda s: s | {"more": np.zeros(1)}
    ), "one less": tensors(lambda s: dict(sorted(s.items())[1:])),
    "header": header(b"{"), "deep header": header(b"[" * bad_files.DEEP),
    "large header": bad_files.content((2**62).to_bytes(8, "little")),
    "no data": header(b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'),
    "many": header(b'{"a":{"dtype":"F32","shape":[1099511627776,1099511627776],'
                   b'"data_offsets":[0,4]}}'),
    "negative": header(b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[4,0]}}'),
}  # fmt: skip
ARRAYS: dict[str, bad_files.Spoil] = {
    **bad_files.PLACES, **bad_files.TEXTS,
    **{
        name: lambda path, array=array: np.save(path, array, allow_pickle=True)
        for name, array in {
            "float64": np.zeros(12), "no rank": np.uint8(1), "int64": np.zeros(12, np.int64),
            "rows": np.zeros(11, np.uint8), "rank": np.zeros((12, 1), np.uint8),
            "class": np.full(12, 3, np.uint8), "object": np.array([{}] * 12, dtype=object),
            "text": np.array(["a"] * 12), "structure": np.zeros(12, [("a", np.uint8)]),
            "bool": np.zeros(12, bool), "maps": np.zeros((12, 32, 32), np.uint8),
        }.items()
    },
    "header": bad_files.content(b"\x93NUMPY\x01\x00\x76\x00{'descr'"),
    "archive": lambda path: np.savez(path.open("wb"), a=np.zeros(12, np.uint8)),
}  # fmt: skip


def predict_cases(project: Path) -> Iterator[Case]:
    """Every fault of a file that predict reads."""
    images = bad_files.IMAGES | {f"flipped {n}": bad_files.flipped(n) for n in range(20)}
    for name, spoil in images.items():
        yield f"image {name}", "images/0.png", spoil
    for file in (DATASET, RECORD):
        for name, spoil in (bad_files.PLACES | bad_files.TEXTS).items():
            yield f"{file} {name}", file, spoil
        for name, data in bad_files.json_faults(json.loads((project / file).read_text())):
            yield f"{file} {name}", file, bad_files.content(data)
    for name, spoil in SAFETENSORS.items():
        yield f"model {name}", MODEL, spoil
    for file in (INDEX, "list.csv"):
        for name, spoil in (bad_files.PLACES | bad_files.TEXTS).items():
            yield f"{file} {name}", file, spoil
        for name, data in bad_files.csv_faults((project / file).read_text()):
            yield f"{file} {name}", file, bad_files.content(data)


ARGUMENTS = [
    *(["--out", out] for out in ("", ".", "images", "a" * 300, "x" + "/x" * 2000, "params.yaml/x")),
    *(["--header", text] for text in ("", ",", "id\n", "id,id", "x" * 5000, "\x00", "label", "é")),
    *(["--csv", path] for path in ("", ".", "none", "a" * 300, "/dev/null", "/dev/zero", "images")),
    *(["--images", path] for path in ("", "none", "a" * 300, "/dev/null", "params.yaml", "/proc")),
    *(["--project", path] for path in ("", "none", "a" * 300, "/dev/null", "images", "/proc")),
    *(["--scale", text] for text in ("", "1", "nan", "cover", "-1", "9" * 5000)),
    *(["--mask", text] for text in ("", "{}", "../{}.png", "{}.png" * 100, "{}\n.png")),
    *(["--log", path] for path in ("", ".", "a" * 300 + ".log", "/dev/null", "images")),
]


def wrong_endings(project: Path, cases: list[Case]) -> list[tuple[str, Ending]]:
    """Predict with one spoiled file after the other; returns those that end otherwise."""
    wrong = []
    for name, file, spoil in cases:
        path = project / file
        keep = path.read_bytes()
        spoil(path)
        ending = predict(project, "--csv", "list.csv", "--out", "o.csv")
        if ending.outcome in faults.FAULTS or set(ending.changed) - {"o.csv"}:
            wrong.append((name, ending))
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else bad_files.delete(path)
        path.write_bytes(keep)
    return wrong


@pytest.mark.parametrize("step", [40, pytest.param(1, marks=exhaustive)])
def test_predict_uses_or_refuses_whatever_it_reads(project: Path, step: int) -> None:
    (project / "list.csv").write_text("id,filename,label\n0,0.png,None\n1,1.png,None\n")
    cases = list(predict_cases(project))[::step]
    assert wrong_endings(project, cases) == []


@exhaustive
@pytest.mark.parametrize("run", [CLASSES, MASKS])
@pytest.mark.parametrize("words", ARGUMENTS, ids=lambda words: f"{words[0]} {words[1][:12]!r}")
def test_predict_takes_or_refuses_whatever_it_is_told(
    project: Path, run: str, words: list[str]
) -> None:
    out = [] if words[0] == "--out" else ["--out", "o"]
    ending = predict(project, *out, *words, run=run)
    if "\0" not in words[1]:
        assert ending.outcome not in faults.FAULTS, ending


def read_all(results: Path) -> None:
    """What evaluate reads of a project, by its readers."""
    zones, cover = (read_prepared(results / "prepare" / name) for name in ("zones", "cover"))
    for dataset in (zones, cover):
        assert dataset.labels.dtype == dataset.images.dtype == np.uint8
        assert np.isfinite(dataset.mean + dataset.std).all()
    assert len(read_predictions(results / CLASSES / "predictions.csv", zones))
    for job in (CLASSES, MASKS):
        history = read_history(
            results / job / "history.csv", STAGES[STAGES.index(job.split("/")[0])]
        )
        assert history["score"].between(0, 1).all() and history["epoch"].is_monotonic_increasing
    for row in [*cover.rows("val"), *cover.rows("test")]:
        name = cover.index["id"][row]
        mask = read_mask(results / MASKS / "predictions" / f"{name}.png", (32, 32), cover.classes)
        assert mask.max() < 3


def evaluate_cases(project: Path) -> Iterator[Case]:
    """Every fault of a file that the readers of evaluate read."""
    places = bad_files.PLACES | bad_files.TEXTS
    tables = [f"results/{CLASSES}/predictions.csv", INDEX]
    tables += [f"results/{job}/history.csv" for job in (CLASSES, MASKS)]
    for file in tables:
        for name, spoil in places.items():
            yield f"{file} {name}", file, spoil
        for name, data in bad_files.csv_faults((project / file).read_text()):
            yield f"{file} {name}", file, bad_files.content(data)
    for name, data in bad_files.json_faults(json.loads((project / DATASET).read_text())):
        yield f"{DATASET} {name}", DATASET, bad_files.content(data)
    for data in ("zones", "cover"):
        for array in ("images", "labels"):
            for name, spoil in ARRAYS.items():
                yield f"{data} {array} {name}", f"results/prepare/{data}/{array}.npy", spoil
    mask = next((project / "results" / MASKS / "predictions").iterdir()).relative_to(project)
    for name, spoil in bad_files.IMAGES.items():
        yield f"mask {name}", str(mask), spoil
    for value in (0, 2, 3, 255):
        image = Image.new("L", (32, 32), value)
        yield f"mask of {value}", str(mask), lambda path, image=image: image.save(path)
    huge = bad_files.content(bad_files.png(25_000, 25_000))
    yield "mask of 625 million pixels", str(mask), huge


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=exhaustive)])
def test_evaluate_uses_or_refuses_whatever_it_reads(
    project: Path, step: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """In this process: a reader returns what it promises, or raises the one error."""
    wrong = []
    for name, file, spoil in list(evaluate_cases(project))[::step]:
        path = project / file
        keep = path.read_bytes()
        spoil(path)
        try:
            read_all(project / "results")
            faults.count("readers of evaluate", "right")
        except RepriseError as error:
            faults.count("readers of evaluate", "refused")
            if not str(error).startswith(str(path.parent.parent)):
                wrong.append((name, str(error)))
        except Exception as error:
            faults.count("readers of evaluate", "traceback")
            wrong.append((name, repr(error)))
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else bad_files.delete(path)
        path.write_bytes(keep)
    assert wrong == []
    assert "Warning" not in capfd.readouterr().err


def test_compare_reads_or_refuses_any_results(tmp_path: Path) -> None:
    numbers = {"classify": {"baseline": {"cnn": {"test_accuracy": 0.5}}}}
    path = tmp_path / "metrics.json"
    cases = dict(bad_files.PLACES | bad_files.TEXTS)
    cases |= {name: bad_files.content(data) for name, data in bad_files.json_faults(numbers)}
    for spoil in cases.values():
        path.write_text(json.dumps(numbers))
        spoil(path)
        try:
            read_results(path)
            faults.count("compare", "right")
        except RepriseError:
            faults.count("compare", "refused")
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else bad_files.delete(path)
