"""How figures look."""

from reprise.params.base import Block, Positive


class Plot(Block):
    """dpi: of PNG files."""

    dpi: Positive
