"""What a job depends on: the closure of its script, what it loads by name, and nothing else."""

import re
import shutil
from pathlib import Path

import pytest

from reprise import import_closure
from reprise.engines import code
from reprise.engines.code import job_sources, listed_sources
from reprise.engines.repository import EDIT, stale_stages
from reprise.import_closure import closure
from reprise.params.load import load_params, parse
from reprise.params.models import module_file
from reprise.params.reader import read_yaml

ROOT = Path(__file__).parents[2]
TRAINING = ["pretrain", "finetune", "classify", "segment"]
PARAMS = ["checksums", "evaluate", "model_summary", "plot_*", "report"]  # they read all recipes
LITE0 = "classify (baseline lite0, transfer features, transfer finetune, transfer scratch)"
FCN = "segment (baseline fcn32s, skips fcn8s, skips fcn8s_noskip, skips fcn8s_noskip_3)"
MAPS = "prepare (climate, igbp, landcover, newworld, oldworld)"

# An edit of a file of src/reprise makes exactly these stages of the preset earth stale, besides
# what reads their outputs.
STALE = {
    "params/base": ["prepare", *TRAINING, "embed", *PARAMS],
    "params/byol": ["pretrain (earth byol)", *PARAMS],
    "params/classify": ["classify", *PARAMS],
    "params/datasets": ["prepare", *PARAMS],
    "params/embed": ["embed", *PARAMS],
    "params/finetune": ["finetune", *PARAMS],
    "params/load": PARAMS,
    "params/migrate": [],
    "params/pretrain": ["pretrain", "finetune", *PARAMS],  # finetune: the names of stems
    "params/reader": ["prepare", *TRAINING, "embed", *PARAMS],
    "params/segment": ["segment", *PARAMS],
    "params/segment_anything": PARAMS,
    "params/supervised": ["pretrain (earth supervised)", *PARAMS],
    "params/simclr": [],
    "params/training": [*TRAINING, *PARAMS],
    "training/checkpoint": [*TRAINING, "model_summary", "checksums"],
    "training/classification": [
        "pretrain (earth supervised)", "finetune", "classify", "model_summary", "checksums",
    ],
    "training/classify": ["classify", "checksums"],
    "training/ensemble": ["classify", "checksums"],
    "training/finetune": ["finetune", "checksums"],
    "training/loop": [*TRAINING, "model_summary", "checksums"],
    "training/networks": ["model_summary"],
    "training/pretrain": ["pretrain", "checksums"],
    "training/segment": ["segment", "checksums"],
    "training/segmentation": ["segment", "checksums"],
    "training/ssl/byol": ["pretrain (earth byol)", "model_summary", "checksums"],
    "training/ssl/collapse": ["pretrain (earth byol)", "model_summary", "checksums"],
    "training/ssl/layers": ["pretrain (earth byol)", "model_summary", "checksums"],
    "training/ssl/simclr": [],
    "training/ssl/supervised": ["pretrain (earth supervised)", "model_summary", "checksums"],
    "training/ssl/two_views": ["pretrain (earth byol)", "model_summary", "checksums"],
    "models/alexnet": [],
    "models/build": [*TRAINING, "model_summary", "checksums"],
    "models/cnn": ["classify (baseline cnn)", "model_summary", "checksums"],
    "models/deeplabv3": ["segment (baseline deeplabv3)", "model_summary", "checksums"],
    "models/efficientnet": [LITE0, "model_summary", "checksums"],
    "models/fcn": [FCN, "model_summary", "checksums"],
    "models/resnet": [
        "pretrain", "finetune", "segment (baseline deeplabv3)", "model_summary", "checksums",
    ],
    "models/sam": ["model_summary"],
    "models/unet": [],
    "datasets/course": [],
    "datasets/image_files": [],
    "datasets/images": [],
    "datasets/legends": [],
    "datasets/earth": [MAPS],
    "datasets/orl": ["prepare (glasses)"],
    "datasets/writer": ["prepare"],
    "datasets/splits": ["prepare"],
    "datasets/transforms": [*TRAINING, "model_summary", "checksums"],
    "metrics/confusion": [
        "segment", "evaluate", "plot_tables", "plot_masks", "checksums", "report",
    ],  # fmt: skip
    "evaluation/checksums": ["checksums"],
    "evaluation/comparisons": ["evaluate"],
    "evaluation/embedding": ["embed"],
    "evaluation/statistics": ["evaluate", "plot_tables"],
    "evaluation/tables": ["evaluate", "plot_tables"],
    "evaluation/training_tables": ["model_summary", "evaluate", "plot_tables"],
    "figures/confusion": ["plot_confusion"],
    "figures/curves": ["plot_curves"],
    "figures/embeddings": ["plot_embeddings"],
    "figures/masks": ["plot_masks"],
    "figures/misclassified": ["plot_misclassified"],
    "figures/networks": ["plot_tables"],
    "figures/segment_anything": ["plot_segment_anything"],
    "figures/style": ["plot_*", "report"],
    "figures/tables": ["plot_tables"],
    "report/sections": ["report"],
    "predict/predict": [],
    "engines/sync": [],
}  # fmt: skip


def write(params):
    """As a new process would: what was read of the source files is forgotten."""
    import_closure._imports.cache_clear()
    import_closure._files.cache_clear()
    code.write(params)


@pytest.fixture
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def earth():
    return load_params(ROOT / "presets" / "earth.yaml")


@pytest.mark.parametrize("name", STALE)
def test_an_edit_makes_exactly_these_stages_stale(name, earth, in_root):
    file = f"src/reprise/{name}.py"
    assert Path(file).is_file()
    assert sorted(stale_stages(job_sources(earth), file)) == sorted(STALE[name])


def test_the_table_of_the_docs_is_tested():
    files = EDIT.findall((ROOT / "docs" / "engines.md").read_text())
    assert files
    assert {file.removeprefix("src/reprise/").removesuffix(".py") for file in files} <= set(STALE)


def test_a_new_model_and_a_new_method_make_nothing_stale(tmp_path, monkeypatch, earth):
    for name in ("src", "workflow/scripts"):
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    monkeypatch.chdir(tmp_path)
    write(earth)
    before = {path: path.stat().st_mtime_ns for path in Path("workflow/code").rglob("*.sha256")}
    for name in ("models/densenet", "training/ssl/swav", "params/swav", "figures/roc"):
        Path("src/reprise", f"{name}.py").write_text("import reprise\n")
    write(earth)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert set(before) == set(Path("workflow/code").rglob("*.sha256"))


def test_a_new_recipe_has_its_own_code_and_changes_no_other(tmp_path, monkeypatch, earth):
    for name in ("src", "workflow/scripts"):
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    monkeypatch.chdir(tmp_path)
    write(earth)
    before = {path: path.read_text() for path in Path("workflow/code").rglob("*.sha256")}
    values = read_yaml(ROOT / "presets" / "earth.yaml")
    baseline = values["classify"]["baseline"]
    baseline["runs"].append("alex")
    alexnet = {"model": "alexnet", "image_size": 64}
    baseline["recipes"]["alex"] = baseline["recipes"]["cnn"] | alexnet
    write(parse(values))
    own = Path("workflow/code/classify/baseline/alex.sha256")
    assert "src/reprise/models/alexnet.py" in listed_sources(own)
    changed = [path for path, text in before.items() if path.read_text() != text]
    assert {path.stem for path in changed} == {"checksums", "model_summary"}
    write(earth)  # the file of a run that is gone goes too
    assert not own.exists()


def test_code_files_are_checked_by_sha256sum(tmp_path, monkeypatch, earth):
    """And are not touched while they are right."""
    for name in ("src", "workflow/scripts"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    write(earth)
    path = Path("workflow/code/segment/skips/fcn8s.sha256")
    assert path.read_text().splitlines()[0].endswith("  workflow/scripts/segment.py")
    assert all(re.fullmatch(r"[0-9a-f]{64}  \S+", line) for line in path.read_text().splitlines())
    time = path.stat().st_mtime_ns
    write(earth)
    assert path.stat().st_mtime_ns == time
    path.write_text("")
    write(earth)
    assert "src/reprise/models/fcn.py" in listed_sources(path)


@pytest.mark.parametrize(
    ("network", "module"),
    [
        ("cnn", "cnn"),
        ("fcn8s_noskip", "fcn"),
        ("resnet101", "resnet"),
        ("resnext101_64x4d", "resnet"),
        ("deeplabv3", "deeplabv3"),
        ("lite0", "efficientnet"),
        ("transformer", None),
    ],
)
def test_a_network_belongs_to_the_file_that_declares_its_name(network, module):
    path = module_file(network, ROOT / "src/reprise/models")
    assert (path.stem if path else None) == module


BY_NAME = r'import_module\(|__import__\(|(?<!\.)\bload\(("|kind)|plugins\.load\('


def test_nothing_else_is_imported_by_name():
    """Who adds such an import extends reprise.import_closure or engines/code.py."""
    files = [*ROOT.glob("src/**/*.py"), *ROOT.glob("workflow/scripts/*.py")]
    dynamic = {
        path.relative_to(ROOT).as_posix() for path in files if re.search(BY_NAME, path.read_text())
    }
    assert dynamic == {
        "src/reprise/__init__.py",  # as a library, which no job uses
        "src/reprise/__main__.py",  # no job runs it
        "src/reprise/evaluation/package_metrics.py",  # metrics of packages, which code.py lists
        "src/reprise/figures/style.py",
        "src/reprise/models/build.py",
        "src/reprise/params/datasets.py",  # of other packages
        "src/reprise/params/pretrain.py",
        "src/reprise/plugins.py",
        "src/reprise/torch_compiler.py",  # a module of torch
        "src/reprise/training/networks.py",
        "src/reprise/training/pretrain.py",
        "workflow/scripts/prepare.py",
    }


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A small package and a script that imports it in every way."""
    files = {
        "src/pack/__init__.py": "",
        "src/pack/direct.py": "import pack.sub.deep\n",
        "src/pack/member.py": "value = 1\n",
        "src/pack/unused.py": "",
        "src/pack/late.py": "",
        "src/pack/sub/__init__.py": "from pack.cycle import x\n",
        "src/pack/sub/deep.py": "import numpy\n",
        "src/pack/cycle.py": "from pack import direct\nx = 1\n",
        "src/pack/named/__init__.py": "",
        "src/pack/named/one.py": "import pack.only_one\n",
        "src/pack/named/two.py": "",
        "src/pack/only_one.py": "",
        "script.py": (
            "import json\nfrom pack.direct import anything\nfrom pack import member\n"
            "def f():\n    from pack.late import g\n"
        ),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return Path("script.py")


IMPORTED = [
    "src/pack/__init__.py",
    "src/pack/cycle.py",
    "src/pack/direct.py",
    "src/pack/late.py",
    "src/pack/member.py",
    "src/pack/sub/__init__.py",
    "src/pack/sub/deep.py",
]


def test_closure_holds_what_is_imported_and_nothing_else(script):
    assert closure(script) == IMPORTED


def test_a_module_loaded_by_name_counts_with_its_package_and_imports(script):
    named = ["src/pack/named/__init__.py", "src/pack/named/one.py", "src/pack/only_one.py"]
    assert closure(script, [Path("src/pack/named/one.py")]) == sorted([*IMPORTED, *named])


@pytest.mark.parametrize("stage", TRAINING)
def test_training_depends_on_no_figure_and_on_no_table(stage, in_root):
    files = closure(Path("workflow/scripts") / f"{stage}.py")
    assert "src/reprise/training/__init__.py" in files
    assert not [file for file in files if "/figures/" in file or "/evaluation/" in file]


@pytest.mark.parametrize("stage", ["evaluate", "plot", "report", "embed"])
def test_what_reads_predictions_does_not_depend_on_training(stage, in_root):
    files = closure(Path("workflow/scripts") / f"{stage}.py")
    assert not [file for file in files if "/training/" in file or "/models/" in file]


NESTED = """
class A:
    async def f(self):
        with open("x") as stream:
            import blocks.in_with
        for _ in ():
            pass
        else:
            import blocks.in_else
try:
    import blocks.in_try
except ImportError:
    import blocks.in_except
finally:
    if True:
        pass
    elif False:
        import blocks.in_elif
match 1:
    case 1:
        import blocks.in_case
"""


def test_an_import_counts_in_any_block(tmp_path, monkeypatch):
    names = [f"in_{block}" for block in ("case", "elif", "else", "except", "try", "with")]
    (tmp_path / "src" / "blocks").mkdir(parents=True)
    for name in names:
        (tmp_path / "src" / "blocks" / f"{name}.py").write_text("")
    (tmp_path / "uses_blocks.py").write_text(NESTED)
    monkeypatch.chdir(tmp_path)
    assert closure(Path("uses_blocks.py")) == [f"src/blocks/{name}.py" for name in names]
