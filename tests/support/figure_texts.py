"""What is written in a Matplotlib figure."""

from matplotlib.figure import Figure

from reprise.figures.style import figure_style


def texts(figure: Figure) -> list[str]:
    """Everything that is written in a figure."""
    with figure_style():
        figure.canvas.draw()
    artists = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return [artist.get_text() for artist in artists if artist.get_text()]  # type: ignore[attr-defined]
