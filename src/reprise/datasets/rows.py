"""Arrays that are read row by row, so that a large dataset never has to be in memory."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


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


def write_rows(
    stream: BinaryIO, array: Bytes | LazyRows, use: Callable[[int, Bytes], None]
) -> None:
    """Write an array as `np.save` does, row by row; each row is also passed to `use`."""
    header = {"descr": "|u1", "fortran_order": False, "shape": tuple(array.shape)}
    np.lib.format.write_array_header_1_0(stream, header)
    for row, values in enumerate(array):
        use(row, values)
        stream.write(values.tobytes())
