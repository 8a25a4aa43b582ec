"""A side in a separate process: its memory and torch's switches are as its users have them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

Make = Callable[[], Callable[[], float]]


@contextmanager
def subprocess_sides(makes: dict[str, Make]) -> Iterator[dict[str, "SubprocessSide"]]:
    """The sides by name, each built in its process, in order; they end with the block."""
    sides: dict[str, SubprocessSide] = {}
    try:
        for name, make in makes.items():
            sides[name] = SubprocessSide(make)
        yield sides
    finally:
        for side in sides.values():
            side.end()


class SubprocessSide:
    """A call does one repetition in the process. `make` is pickled; what it returns need not be.

    facts: the side's attribute `facts`, a dict, after the last repetition.
    """

    def __init__(self, make: Make) -> None:
        context = get_context("spawn")
        self.pipe, other_end = context.Pipe()
        self.process = context.Process(target=serve, args=(other_end, make))
        self.process.start()
        other_end.close()
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
    """Build the side, then do a repetition for each message, until the pipe is closed."""
    side: Any = make()
    pipe.send(side.facts)
    while True:
        try:
            pipe.recv()
        except EOFError:
            return
        pipe.send((side(), side.facts))
