"""Arrays that are read row by row, so that a large dataset never has to be in memory."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
S = TypeVar("S")
T = TypeVar("T")
THREADS = min(4, len(os.sched_getaffinity(0)))


class LazyRows:
    """Looks like an array of uint8 of `shape`; row i is decoded by `read(i)` when it is used."""

    def __init__(self, shape: tuple[int, ...], read: Callable[[int], Bytes]) -> None:
        self.shape = shape
        self.read = read

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, row: int) -> Bytes:
        return self.read(row)

    def __iter__(self) -> Iterator[Bytes]:
        return map(self.read, range(len(self)))

    def __array__(self, dtype: None = None, copy: bool | None = None) -> Bytes:
        return np.stack(list(self))


def threaded(work: Callable[[S], T], items: Iterable[S], chunk: int) -> Iterator[T]:
    """The results of `work` in the order of the items; at most `chunk` of them are in memory.

    Threads suffice: Pillow, zlib and hashlib let others run while they work.
    """
    rest = iter(items)
    with ThreadPoolExecutor(THREADS) as pool:
        while taken := list(islice(rest, chunk)):
            yield from pool.map(work, taken)


def write_rows(
    stream: BinaryIO, array: NDArray[Any] | LazyRows, use: Callable[[int, NDArray[Any]], None]
) -> None:
    """Write an array as `np.save` does, row by row; each row is also passed to `use`."""
    header = {
        "descr": getattr(array, "dtype", np.dtype(np.uint8)).str,
        "fortran_order": False,
        "shape": tuple(array.shape),
    }
    np.lib.format.write_array_header_1_0(stream, header)
    for row, values in enumerate(array):
        use(row, values)
        stream.write(values.tobytes())
