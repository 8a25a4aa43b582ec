"""A figure by its name."""

from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from reprise.errors import RepriseError
from reprise.evaluation.holes import Holes
from reprise.figures.anything import anything
from reprise.figures.architecture import architecture
from reprise.figures.confusion import confusions
from reprise.figures.curves import curves
from reprise.figures.embeddings import METHODS, embeddings
from reprise.figures.epochs import epochs
from reprise.figures.finetune import finetune
from reprise.figures.iou import iou
from reprise.figures.masks import masks
from reprise.figures.mistakes import mistakes
from reprise.figures.pairs import pairs
from reprise.figures.reported import reported
from reprise.figures.style import house_style, lay_out, png, svg
from reprise.params import Params

FIGURES = (
    "architecture",
    "curves",
    "epochs",
    "pca_classify",
    "tsne_classify",
    "pca_finetune",
    "tsne_finetune",
    "finetune",
    "pairs",
    "reported",
    "masks_segment",
    "masks_street",
    "iou",
    "confusion_classify",
    "confusion_faces",
    "confusion_finetune",
    "confusion_segment",
    "confusion_street",
    "mistakes_classify",
    "mistakes_faces",
    "mistakes_finetune",
)


class Drawn(NamedTuple):
    """A figure in both forms."""

    png: bytes
    svg: bytes


def figures(params: Params) -> tuple[str, ...]:
    """Every figure: FIGURES by the methods of `embed`, and one of each run of Segment Anything."""
    others = tuple(f"{method}_" for method in METHODS if method not in params.embed.methods)
    named = [name for name in FIGURES if not name.startswith(others)]
    return (*named, *(f"anything_{run}" for run in params.anything.runs))


def draw(name: str, results: Path, params: Params, holes: Holes | None = None) -> Drawn:
    """Draw one of `figures` from what lies in `results`; the same bytes each time.

    Raises:
        RepriseError: there is no such figure, or a file it is made of is missing or wrong. With
            `holes`, a figure of histories, predictions or masks shows the rest; they learn why.
    """
    with house_style():
        left_out = Holes(strict=True) if holes is None else holes
        figure = _figure(name, results, params, left_out)
        lay_out(figure)
        return Drawn(png(figure, params.plot.dpi), svg(figure))


def _figure(name: str, results: Path, params: Params, holes: Holes) -> Figure:
    if name not in figures(params):
        raise RepriseError(f"figure '{name}': unknown; use one of {', '.join(figures(params))}")
    match name.split("_"):
        case ["anything", *run]:
            return anything(results, params, "_".join(run), holes)
        case ["curves"]:
            return curves(results, params, holes)
        case ["pca" | "tsne" as method, source]:
            return embeddings(results, params, method, source)
        case ["masks", part]:
            return masks(results, params, part, holes)
        case ["confusion", part]:
            return confusions(results, part)
        case ["mistakes", part]:
            return mistakes(results, params, part, holes)
        case _:
            tables = {
                "architecture": architecture,
                "epochs": epochs,
                "finetune": finetune,
                "iou": iou,
                "pairs": pairs,
                "reported": reported,
            }
            return tables[name](results)
