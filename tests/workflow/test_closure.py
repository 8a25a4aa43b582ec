"""The import closure: what a script depends on, and what it does not."""

from pathlib import Path

import pytest

from reprise.closure import closure

ROOT = Path(__file__).parents[2]
TRAINING = ["pretrain", "finetune", "classify", "segment"]


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


def test_closure_holds_what_is_imported_and_nothing_else(script):
    assert closure(script) == [
        "src/pack/__init__.py",
        "src/pack/cycle.py",
        "src/pack/direct.py",
        "src/pack/late.py",
        "src/pack/member.py",
        "src/pack/sub/__init__.py",
        "src/pack/sub/deep.py",
    ]


@pytest.mark.parametrize("stage", TRAINING)
def test_training_depends_on_no_figure_and_on_no_table(stage, monkeypatch):
    monkeypatch.chdir(ROOT)
    files = closure(Path("workflow/scripts") / f"{stage}.py")
    assert "src/reprise/training/__init__.py" in files
    assert not [file for file in files if "/figures/" in file]
    # the epoch is chosen by the mIoU that the table reports, so its definition is shared
    shared = {"src/reprise/evaluation/__init__.py", "src/reprise/evaluation/confusion.py"}
    assert {file for file in files if "/evaluation/" in file} <= shared


@pytest.mark.parametrize("stage", ["evaluate", "plot", "report", "embed"])
def test_what_stands_right_of_the_predictions_does_not_depend_on_training(stage, monkeypatch):
    monkeypatch.chdir(ROOT)
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


def test_an_import_counts_in_whatever_block_it_stands(tmp_path, monkeypatch):
    names = [f"in_{block}" for block in ("case", "elif", "else", "except", "try", "with")]
    (tmp_path / "src" / "blocks").mkdir(parents=True)
    for name in names:
        (tmp_path / "src" / "blocks" / f"{name}.py").write_text("")
    (tmp_path / "uses_blocks.py").write_text(NESTED)
    monkeypatch.chdir(tmp_path)
    assert closure(Path("uses_blocks.py")) == [f"src/blocks/{name}.py" for name in names]
