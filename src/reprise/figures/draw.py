"""A figure by its name."""

from pathlib import Path

from reprise.errors import RepriseError
from reprise.figures.curves import curves
from reprise.figures.embeddings import embeddings
from reprise.figures.finetune import finetune
from reprise.figures.iou import iou
from reprise.figures.masks import masks
from reprise.figures.style import house_style, png
from reprise.params import Params

FIGURES = (
    "curves",
    "pca_classify",
    "tsne_classify",
    "pca_finetune",
    "tsne_finetune",
    "finetune",
    "masks_segment",
    "masks_street",
    "iou",
)


def draw(name: str, results: Path, params: Params) -> bytes:
    """Draw one of FIGURES from what lies in `results`; PNG bytes, the same each time.

    Raises:
        RepriseError: there is no such figure, or a file it is made of is missing or wrong.
    """
    with house_style():
        match name.partition("_"):
            case ("curves", _, ""):
                figure = curves(results, params)
            case ("finetune", _, ""):
                figure = finetune(results)
            case ("iou", _, ""):
                figure = iou(results)
            case ("pca" | "tsne" as method, _, "classify" | "finetune" as source):
                figure = embeddings(results, params, method, source)
            case ("masks", _, "segment" | "street" as part):
                figure = masks(results, params, part)
            case _:
                raise RepriseError(f"figure '{name}': unknown; use one of {', '.join(FIGURES)}")
        return png(figure, params.plot.dpi)
