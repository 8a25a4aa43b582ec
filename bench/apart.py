"""A side in a process of its own: its memory and torch's switches are as its users have them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

Make = Callable[[], Callable[[], float]]


@contextmanager
def apart(makes: dict[str, Make]) -> Iterator[dict[str, "Apart"]]:
    """The sides by name, each built where it runs, one after the other; they end with the block."""
    sides: dict[str, Apart] = {}
    try:
        for name, make in makes.items():
            sides[name] = Apart(make)
        yield sides
    finally:
        for side in sides.values():
            side.end()


class Apart:
    """A call does one repetition there. `make` is pickled; what it makes need not be.

    facts: what the side tells of itself (its attribute `facts`, a dict), as of the last repetition.
    """

    def __init__(self, make: Make) -> None:
        context = get_context("spawn")
        self.pipe, there = context.Pipe()
        self.process = context.Process(target=serve, args=(there, make))
        self.process.start()
        there.close()
        self.facts: dict[str, Any] = self.pipe.recv()

    def __call__(self) -> float:
        self.pipe.send("again")
        value, self.facts = self.pipe.recv()
        return float(value)

    def end(self) -> None:
        """End the process."""
        self.pipe.close()
        self.process.join()


def serve(pipe: Connection, make: Make) -> None:
    """Build the side, then do a repetition for each message, until nobody is there to send one."""
    side: Any = make()
    pipe.send(side.facts)
    while True:
        try:
            pipe.recv()
        except EOFError:
            return
        pipe.send((side(), side.facts))
