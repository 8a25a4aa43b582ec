"""The style of figures."""

import numpy as np

from reprise.figures.style import (
    GRID,
    color_and_marker,
    figure_style,
    lay_out,
    new_figure,
    truncate,
)


def test_no_two_of_fifty_classes_look_the_same() -> None:
    assert len({color_and_marker(position) for position in range(50)}) == 50


def test_a_long_name_ends_in_an_ellipsis() -> None:
    assert truncate("grassland", 9) == "grassland"
    assert truncate("grasslands", 9) == "grasslan\u2026"


def test_positions_are_rounded_because_the_solvers_last_bits_differ_from_run_to_run() -> None:
    with figure_style():
        figure = new_figure(9.4, 3.9)
        for part in figure.subfigures(3, 1, height_ratios=[1.96, 0.29, 0.48]):
            part.subplots(1, 3)
        lay_out(figure)
    for part in figure.subfigs:
        edges = part.bbox_relative.get_points()
        assert np.array_equal(edges, np.round(edges, 12)) and not np.signbit(edges).any()
    for axes in figure.axes:
        bounds = np.array(axes.get_position(original=True).bounds) * GRID
        assert np.abs(bounds - np.round(bounds)).max() < 1e-6
