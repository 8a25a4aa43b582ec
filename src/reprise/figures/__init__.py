"""Names of the figures in results/figures (PNG) and results/vector (SVG), and who draws them.

Nothing here imports a module that draws: `style.draw` loads the one that a figure needs.
"""

import os
from collections.abc import Iterator
from typing import NamedTuple

from reprise.jobs import CLASSIFYING, tasks
from reprise.params.load import Params

# a notebook names a backend of its own to every process that it starts
os.environ["MPLBACKEND"] = "agg"

METHODS = {"pca": "PCA", "tsne": "t-SNE"}  # of embedding
# The figures of a family are drawn by one process, because starting one takes as long as drawing
# two figures: family -> kind of figure -> module of this package with a function of that name.
FAMILIES = {
    "tables": {
        "networks": "networks",
        "convergence": "tables",
        "finetune": "tables",
        "iou": "tables",
        "comparisons": "comparisons",
        "published_numbers": "published",
        "labels": "labels",
        "calibration": "calibration",
        "cost": "cost",
    },
    "curves": {
        "curves": "curves",
        "gap": "homework_curves",
        "published_curve": "homework_curves",
    },
    "confusion": {"confusion": "confusion"},
    "misclassified": {"misclassified": "misclassified"},
    "masks": {"masks": "masks", "overlays": "masks"},
    "embeddings": dict.fromkeys(METHODS, "embeddings"),
    "segment_anything": {"segment_anything": "segment_anything"},
}


class Spec(NamedTuple):
    """A figure: its kind, and the task, run or name that it shows, such as ("masks", "skips")."""

    kind: str
    subject: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of its files, without a suffix."""
        return "_".join((self.kind, *self.subject))

    @property
    def family(self) -> str:
        """The key of FAMILIES."""
        return next(family for family, kinds in FAMILIES.items() if self.kind in kinds)

    @property
    def module(self) -> str:
        """Dotted name of the module that draws it."""
        return f"{__name__}.{FAMILIES[self.family][self.kind]}"


def specs(params: Params) -> Iterator[Spec]:
    """Every figure of the stages and tasks in `params`."""
    yield from (Spec("networks"), Spec("convergence"), Spec("curves"))
    yield from (Spec("gap", (task,)) for task, block in params.finetune.items() if block.gap)
    for task, segment in params.segment.items():
        if segment.published_curve:
            yield Spec("published_curve", (task,))
    for task, finetune in params.finetune.items():
        yield Spec("finetune", (task,))
        if any(recipe.labels < 1 for recipe in finetune.recipes.values()):
            yield Spec("labels", (task,))
    if params.segment:
        yield Spec("iou")
    if params.classify or params.finetune:
        yield Spec("calibration")
    yield from (Spec("comparisons"), Spec("published_numbers"), Spec("cost"))
    for stage, task, _ in tasks(params, *CLASSIFYING, "segment"):
        yield Spec("confusion", (stage, task))
    for stage, task, _ in tasks(params, *CLASSIFYING):
        yield Spec("misclassified", (stage, task))
    for task, segment in params.segment.items():
        yield Spec("masks", (task,))
        if segment.overlays:
            yield Spec("overlays", (task,))
    for name, embed in params.embed.items():
        yield from (Spec(method, (name,)) for method in embed.methods)
    for task, block in params.segment_anything.items():
        yield from (Spec("segment_anything", (task, run)) for run in block.runs)


def figures(params: Params, family: str | None = None) -> list[str]:
    """Names of the figures, of all families or of one."""
    return [spec.name for spec in specs(params) if family in (None, spec.family)]


def modules(family: str) -> list[str]:
    """Dotted names of the modules that draw a family."""
    return sorted({f"{__name__}.{module}" for module in FAMILIES[family].values()})
