"""How far a long loop is: a bar on a terminal, otherwise a line every few seconds."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
SECONDS = 5.0  # between two lines


def progress(items: Iterable[T], total: int | None, what: str) -> Iterator[T]:
    """The items, while it is shown how many, of `total` if it is known, have been taken."""
    if sys.stderr.isatty():
        yield from tqdm(items, desc=what, total=total)
        return
    last = time.monotonic()
    for count, item in enumerate(items):
        if time.monotonic() - last >= SECONDS:
            last = time.monotonic()
            logging.info("%s: %d%s", what, count, f" of {total}" if total else "")
        yield item
