"""What a part of the page shows in pictures: layouts, label maps, outlines, and what went wrong."""

from collections.abc import Callable

from reprise.evaluation.holes import Holes
from reprise.evaluation.prepared import Prepared
from reprise.figures import interactive, page
from reprise.figures.embeddings import METHODS, shown
from reprise.figures.sources import Sources
from reprise.params import Params


def errors(sources: Sources, part: str) -> str:
    """The confusion matrices and the surest mistakes of a part that names the class of an image."""
    return confusion(sources, part) + sources.figure(
        f"mistakes_{part}",
        f"Images of {part} that were taken for another class with the highest confidence.",
        "The mistakes that each run was surest of: above the image what it was taken for, with the "
        "confidence, below it what it is. Look for labels that are themselves in doubt.",
    )


def confusion(sources: Sources, part: str) -> str:
    """The confusion matrices of a part."""
    return sources.figure(
        f"confusion_{part}",
        f"Confusion matrices of {part}; the commonest mistakes stand in a table further down.",
        "Rows are the truth, columns what it was taken for, in per cent of the row, all seeds "
        "together. Look for dark cells off the diagonal, and for rows with few counts.",
    )


def embeddings(sources: Sources, params: Params, source: str, sets: dict[str, Prepared]) -> str:
    """PCA and t-SNE of `source`, classify or finetune: figures, and a chart to hover over."""
    who = shown(params, source)
    options = params.embed
    captions = {
        "pca": f"The two leading principal components of {who}, each epoch on its own axes, whose "
        "share of the variance is given. Look at which classes leave the crowd from epoch to "
        "epoch.",
        "tsne": (
            f"t-SNE of {who}: PCA to at most {options.components} components, perplexity "
            f"{options.perplexity:g}, seed {options.seed}, at most {options.points} images; each "
            "epoch goes on from the layout of the one before. Look at which classes stay mixed. "
            "Distances between groups have no meaning. Trustworthiness says how many neighbours "
            "are true ones, the kNN accuracy how well the layout, and the features it was made "
            "of, tell the classes apart."
        ),
    }
    made = ""
    for method in options.methods:
        alt = f"Scatter plots by epoch, coloured by class: {METHODS[method]} of {who}."
        made += sources.figure(f"{method}_{source}", alt, captions[method])
    about = (
        "The same points: step through the epochs, choose a class, hover over a point to see its "
        "image, scroll or drag to zoom and move, double-click to go back."
    )
    return made + _live(
        sources,
        f"Layouts of {who}",
        about,
        lambda holes: interactive.points(sources.results, params, source, sets[source], holes),
    )


def _live(
    sources: Sources, name: str, about: str, chart: Callable[[Holes], interactive.Spec | None]
) -> str:
    """A chart of what is there, and what is missing in it; "" where there is nothing to draw."""

    def made() -> str:
        holes = Holes()
        spec = chart(holes)
        marks = "".join(map(sources.hole, holes.of()))
        return (page.live(name, spec, about) if spec else "") + marks

    return sources.attempt(made)


def masks(sources: Sources, params: Params, part: str, sets: dict[str, Prepared]) -> str:
    """The table, the label maps and the confusion matrices of a part, segment or street."""
    block = params.segment if part == "segment" else params.street
    prepared = sets[part]
    seed = f", seed {block.seeds[0]}" if block.seeds else ""
    roles = [prepared.index["role"].iloc[prepared.row(image)] for image in block.images]
    named = [f"{image} ({role})" for image, role in zip(block.images, roles, strict=True)]
    figure = sources.figure(
        f"masks_{part}",
        f"Images {', '.join(block.images)} with their truth and the masks of "
        f"{', '.join(block.runs)} at an early, a middle and the final epoch, and the wrong pixels.",
        f"Each row: image, truth, the masks of one run at three epochs{seed}, and the pixels that "
        "are wrong at the end. The mIoU is of that image alone, over the classes in its truth or "
        "its mask. Look at whether what is wrong are the borders or whole regions. The images are "
        f"named in params.yaml; their roles: {', '.join(named)}.",
    )

    about = (
        "The same masks: choose image, run and moment of training, or one class; hover over a "
        "region to name it, scroll or drag to zoom and move all four pictures together."
    )
    explorer = _live(
        sources,
        f"Label maps of {part}",
        about,
        lambda holes: interactive.label_maps(sources.results, params, part, prepared, holes),
    )
    return sources.table(part) + figure + explorer + confusion(sources, part)


def anything(sources: Sources, params: Params) -> list[tuple[str, str, str]]:
    """The section of Segment Anything; none where params.yaml has no run of it."""
    made = ""
    for run in params.anything.runs:
        recipe = params.anything.recipes[run]
        learnt = (
            f"with the published weights {recipe.weights}"
            if recipe.weights != "none"
            else "with RANDOM weights: nothing was learnt, its masks mean nothing, and show only "
            "that the parts of the pipeline fit"
        )
        made += sources.figure(
            f"anything_{run}",
            f"Images {', '.join(params.anything.images)} with the outlines of run {run}'s masks.",
            f"Run {run}: every mask that Segment Anything finds, {recipe.model} {learnt}. It is "
            f"asked at {recipe.points} x {recipe.points} points; masks with a predicted IoU below "
            f"{recipe.least_iou:g} or a stability below {recipe.least_stability:g} are dropped. It "
            "names no class, and no truth says which masks are right. Look at what it takes for "
            "one thing. The masks, and the scores of each, lie in "
            f"results/anything/{run}.",
        )
    return [("anything", "Segment Anything", made)] if made else []
