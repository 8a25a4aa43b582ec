"""The tables of pairs: what each difference is, how far it can be trusted, what would settle it."""

from collections.abc import Callable, Iterator

import pandas as pd

from reprise.evaluation.compare import method
from reprise.evaluation.markdown import Column, Table, document, markdown, number, text

NO_PAIR = "Fewer than two runs of each part in params.yaml: nothing to compare.\n"


def pairs_table(frame: pd.DataFrame) -> Table:
    """A block for each family of pairs, with the sentences and the method below."""
    columns = [
        Column("Pair", pair),
        Column("Difference, points", points("difference")),
        Column("sd over seeds", points("sd_seeds")),
        Column("95 % interval, images", interval("images")),
        Column("95 % interval, images and seeds", interval("both")),
        Column("p", probability("p")),
        Column("p, Holm", probability("p_holm")),
        Column("Shown", lambda row: "yes" if row["shown"] else "no"),
        Column("Images needed", number("images_needed")),
        Column("Seeds needed", number("seeds_needed")),
        Column("Times both", number("times_needed")),
    ]
    blocks = []
    for heading, rows in families(frame):
        blocks += [heading, markdown(rows, columns), *rows["said"], method(rows)]
    return Table(frame, document(*blocks) if blocks else NO_PAIR)


def exact_table(frame: pd.DataFrame) -> Table:
    """A block for each family: McNemar's exact test of each pair and seed."""
    columns = [
        Column("Pair", pair),
        Column("Seed", text("seed")),
        Column("First alone right", text("second_only")),
        Column("Second alone right", text("first_only")),
        Column("p, exact", probability("p")),
    ]
    blocks = []
    for heading, rows in families(frame):
        blocks += [heading, markdown(rows, columns)]
    note = (
        "McNemar's exact test of two trained networks on the same images; first and second are as "
        "the pair is named. Not corrected for the number of pairs. The seeds are not pooled, for "
        "they answer the same images; a p here says nothing of other seeds."
    )
    return Table(frame, document(*blocks, note) if blocks else NO_PAIR)


def families(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """A heading and the pairs that are corrected together."""
    for (part, run), rows in frame.groupby(["part", "run"], sort=False) if len(frame) else ():
        yield f"### {part}, run {run}" if run else f"### {part}", rows


def pair(row: pd.Series) -> str:
    """The names of a pair, as a difference."""
    return f"{row['second']} - {row['first']}"


def points(name: str) -> Callable[[pd.Series], str]:
    """A share as points with a decimal and its sign; a dash for none."""
    form = "+.1f" if name == "difference" else ".1f"
    return lambda row: "-" if pd.isna(row[name]) else format(100 * row[name], form)


def interval(kind: str) -> Callable[[pd.Series], str]:
    """An interval in points."""
    low, high = f"low_{kind}", f"high_{kind}"
    return lambda r: "-" if pd.isna(r[low]) else f"{100 * r[low]:.1f} to {100 * r[high]:.1f}"


def probability(name: str) -> Callable[[pd.Series], str]:
    """A p-value."""
    return lambda row: "< 0.001" if row[name] < 0.001 else f"{row[name]:.3f}"
