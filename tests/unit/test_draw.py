"""Every figure: found by its name, the same bytes each time, with no import but its own."""

import ast
import io
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from PIL import Image
from support.fake_results import fake_params

from reprise.errors import RepriseError
from reprise.figures import FAMILIES, figures, modules, specs
from reprise.figures.style import draw
from reprise.params.load import Params

PACKAGE = Path(__file__).parents[2] / "src" / "reprise" / "figures"
SHARED = {"__init__", "style"}


@pytest.mark.parametrize("name", figures(fake_params()))
def test_a_figure_is_the_same_bytes_when_drawn_again(
    whole_results: Path, params: Params, name: str
) -> None:
    png = (whole_results / "figures" / f"{name}.png").read_bytes()
    svg = (whole_results / "vector" / f"{name}.svg").read_bytes()
    assert draw(name, whole_results, params) == (png, svg)
    with Image.open(io.BytesIO(png)) as image:
        assert "Software" not in image.info
        assert min(image.size) > 90
    assert mpl.__version__.encode() not in svg and b"<dc:date>" not in svg


def test_a_users_own_matplotlib_settings_change_nothing(
    whole_results: Path, params: Params
) -> None:
    png = (whole_results / "figures" / "finetune_tiny.png").read_bytes()
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "lines.linewidth": 9}):
        assert draw("finetune_tiny", whole_results, params).png == png
        assert mpl.rcParams["font.size"] == 30


def test_an_unknown_figure_is_refused_with_a_known_one(results: Path, params: Params) -> None:
    with pytest.raises(RepriseError, match="figure 'pca_cnm': unknown; did you mean 'pca_cnn'?"):
        draw("pca_cnm", results, params)


def test_the_figures_follow_the_tasks_of_the_configuration(params: Params) -> None:
    names = figures(params)
    assert len(names) == len(set(names))
    assert {"confusion_classify_transfer", "confusion_segment_skips", "misclassified_finetune_tiny",
            "masks_skips", "tsne_byol_finetuned", "segment_anything_baseline_tiny_one",
            "iou", "finetune_tiny"} <= set(names)  # fmt: skip
    alone = params.model_copy(
        update={
            "classify": {"transfer": params.classify["transfer"]},
            **dict.fromkeys(["pretrain", "finetune", "segment", "segment_anything", "embed"], {}),
        }
    )
    assert figures(alone) == [
        "networks", "convergence", "curves", "calibration", "comparisons", "published_numbers",
        "cost", "confusion_classify_transfer", "misclassified_classify_transfer",
    ]  # fmt: skip


def test_a_family_has_its_own_figures_and_modules(params: Params) -> None:
    assert figures(params, "masks") == ["masks_baseline", "overlays_baseline", "masks_skips"]
    assert modules("masks") == ["reprise.figures.masks"]
    assert [name for family in FAMILIES for name in figures(params, family)] != []
    assert sorted(n for f in FAMILIES for n in figures(params, f)) == sorted(figures(params))
    owners = [module for family in FAMILIES for module in modules(family)]
    assert len(owners) == len(set(owners))
    files = {f"reprise.figures.{path.stem}" for path in PACKAGE.glob("*.py")}
    assert set(owners) == files - {f"reprise.figures.{name}" for name in SHARED}
    # the figure of a share of the labels is drawn where a recipe has one
    assert set(owners) - {spec.module for spec in specs(params)} <= {"reprise.figures.labels"}


def test_a_module_imports_no_other_familys_module() -> None:
    """So that an edit of one figure makes the figures of its own family stale, and no other."""
    for path in sorted(PACKAGE.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "reprise.figures"
            ):
                names = {alias.name for alias in node.names}
                module = str(node.module).removeprefix("reprise.figures").strip(".")
                families = {m.rpartition(".")[2] for f in FAMILIES for m in modules(f)}
                assert module not in families and not names & families, path


@pytest.mark.parametrize("package", ["reprise.evaluation.evaluate", "reprise.report.sections"])
def test_evaluation_figures_and_report_do_not_import_torch(package: str) -> None:
    drawn = ", ".join(module for family in FAMILIES for module in modules(family))
    program = (
        f"import sys, {package}, reprise.evaluation.embedding, {drawn}\n"
        "sys.exit('torch' in sys.modules or 'reprise.training' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
