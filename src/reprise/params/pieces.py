"""Whether the batches of a recipe can be cut into its `micro_batches`, and these be shared."""

from reprise.params.training import Runtime, Training


def processes_of(runtime: Runtime, recipe: Training) -> int:
    """The processes that train a recipe: one if its batches are not cut into pieces."""
    return runtime.processes if recipe.micro_batches > 1 else 1


def pieces_problem(recipe: Training, runtime: Runtime | None = None) -> str | None:
    """Why a batch cannot be cut into the pieces of a recipe, or these be shared; None if it can."""
    count, size = recipe.micro_batches, recipe.batch_size
    if count == 1:
        return None
    if size % count or size < 2 * count:
        return (
            f"batches of {size} images have no {count} equal pieces of two images or more; change "
            "micro_batches or batch_size"
        )
    if runtime and count % runtime.processes:
        return (
            f"{count} pieces cannot be shared by {runtime.processes} processes; make it a multiple "
            "of runtime.processes, or 1"
        )
    return None
