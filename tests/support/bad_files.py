"""Files that a user or a stranger may have: images, csv and JSON with every kind of fault."""

import copy
import io
import json
import os
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Spoil = Callable[[Path], None]  # puts something else at the path of a file
DEEP = 100_000


def saved(format: str, mode: str = "RGB", size: tuple[int, int] = (16, 16), **more: Any) -> bytes:
    """An image in a format of Pillow."""
    stream = io.BytesIO()
    Image.new(mode, size).save(stream, format, **more)
    return stream.getvalue()


def png(width: int, height: int, bits: int = 1, body: bytes = b"", more: bytes = b"") -> bytes:
    """A PNG of one color by its header alone; more: chunks after the header."""
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")]
    parts = [_chunk(*chunk) for chunk in chunks]
    return b"\x89PNG\r\n\x1a\n" + parts[0] + more + parts[1] + parts[2]


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


def zeros(count: int) -> bytes:
    """What zlib makes of this many zeros."""
    packer = zlib.compressobj(1)
    packed = [packer.compress(bytes(min(10**6, count - n))) for n in range(0, count, 10**6)]
    return b"".join([*packed, packer.flush()])


def content(data: bytes) -> Spoil:
    """Write these bytes."""

    def spoil(path: Path) -> None:
        delete(path)
        path.write_bytes(data)

    return spoil


def delete(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)


def folder(path: Path) -> None:
    delete(path)
    path.mkdir()


def pipe(path: Path) -> None:
    delete(path)
    os.mkfifo(path)


def listener(path: Path) -> None:
    delete(path)
    here = os.open(path.parent, os.O_RDONLY)
    with closing(socket.socket(socket.AF_UNIX)) as server:  # the name of one is short
        server.bind(f"/proc/self/fd/{here}/{path.name}")
    os.close(here)


def link(target: str) -> Spoil:
    def spoil(path: Path) -> None:
        delete(path)
        path.symlink_to(target)

    return spoil


def cut(share: float) -> Spoil:
    """Keep the first bytes alone."""

    def spoil(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])

    return spoil


def flipped(seed: int) -> Spoil:
    """Change three bytes."""

    def spoil(path: Path) -> None:
        rng, data = np.random.default_rng(seed), bytearray(path.read_bytes())
        for place in rng.integers(0, len(data), 3):
            data[place] = rng.integers(256)
        path.write_bytes(bytes(data))

    return spoil


PLACES: dict[str, Spoil] = {
    "gone": delete, "folder": folder, "pipe": pipe, "socket": listener,
    "loop": lambda path: link(path.name)(path), "dangling": link("/nowhere"),
    "zero": link("/dev/zero"), "null": link("/dev/null"), "passwd": link("/etc/passwd"),
}  # fmt: skip
TEXTS: dict[str, Spoil] = {
    "empty": content(b""), "text": content(b"text"), "NUL": content(b"\0" * 100),
    "UTF-16": content("id,filename,label\n".encode("utf-16")), "latin-1": content(b"\xe9,\xe9\n"),
    "half": cut(0.5), "tenth": cut(0.1), "all but one": cut(0.99),
}  # fmt: skip
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
OTHERS = ("GIF", "BMP", "TIFF", "WEBP", "ICO", "PPM", "TGA", "PCX", "SGI")
IMAGES: dict[str, Spoil] = {
    **PLACES, **TEXTS,
    **{name: content(saved(name)) for name in OTHERS},
    "EPS": content(EPS),
    "16 bits": content(saved("PNG", "I;16")), "CMYK": content(saved("JPEG", "CMYK")),
    "palette": content(saved("PNG", "P", transparency=0)), "1 bit": content(saved("PNG", "1")),
    "alpha": content(saved("PNG", "RGBA")), "gray alpha": content(saved("PNG", "LA")),
    "one pixel": content(saved("PNG", size=(1, 1))), "strip": content(saved("PNG", size=(900, 1))),
    "60 million": content(saved("PNG", "1", (10_000, 6_000))),
    "256 million": content(png(16_000, 16_000, body=zeros(10**6))),
    "2500 million": content(png(50_000, 50_000)), "most": content(png(2**31 - 1, 2**31 - 1)),
    "no width": content(png(0, 10)), "no pixels": content(png(10, 10)),
    "text bomb": content(png(16, 16, more=_chunk(b"zTXt", b"a\0\0" + zeros(10**7)))),
    "profile bomb": content(png(16, 16, more=_chunk(b"iCCP", b"a\0\0" + zeros(10**7)))),
}  # fmt: skip

CELLS = (
    "", "None", "NaN", "-1", "256", "99999999999", "9" * 5000, "1e3", "a" * 300, "é", "\u0663",
    "../a.png", "/etc/passwd", "C:\\a.png", "a\\b", "a\0b", "a" * 300 + ".png", "a/" * 3000, ".",
    "=1+1", '"', '"a\nb"', "<b>", "\u202e", "0.5", "inf", " ",
)  # fmt: skip


def csv_faults(text: str) -> Iterator[tuple[str, bytes]]:
    """The content of a csv file with one fault each, by name."""
    lines = text.splitlines()
    first, *rows = lines
    changed = {
        "no row": [first], "no header": rows, "row twice": [*lines, rows[0]],
        "all twice": [*lines, *rows], "header twice": [first, first, *rows],
        "columns twice": [f"{line},{line}" for line in lines], "blank": ["", *lines, "", ""],
        "cell more": [first, *(f"{row},x" for row in rows)],
        "cell less": [first, *(row.rpartition(",")[0] for row in rows)],
        "semicolons": [line.replace(",", ";") for line in lines],
        "quote": [*lines, '"never closed'], "long cell": [*lines, "a" * 200_000],
        "many": [*lines, *rows * (10_000 // len(rows))], "backwards": [first, *rows[::-1]],
        "other header": [first.upper() + "x", *rows],
    }  # fmt: skip
    for name, new in changed.items():
        yield name, "\n".join(new).encode()
    yield "CR", "\r".join(lines).encode()
    yield "BOM", text.encode("utf-8-sig")
    for column in range(len(first.split(","))):
        for cell in CELLS:
            cells = rows[0].split(",")
            cells[column] = cell
            new = "\n".join([first, ",".join(cells), *rows[1:]])
            yield f"column {column}: {cell[:20]!r}", new.encode()


JSON_VALUES = (
    None, True, 0, 1, -1, -5, 300, 10**30, 0.5, float("nan"), float("inf"), "", "a", "../../a",
    "a" * 100_000, [], [[]], [0.5], [1, 1, 1], {}, {"a": 1},
)  # fmt: skip


def json_faults(value: Any) -> Iterator[tuple[str, bytes]]:
    """JSON texts that differ from a value in one place, by name."""
    for name, text in {
        "deep": "[" * DEEP, "deep and closed": "[" * DEEP + "]" * DEEP, "empty": "", "half": "{",
        "deep mapping": '{"a":' * DEEP, "digits": "9" * 5000, "twice": '{"name": 1, "name": 2}',
        "text": "text", "latin-1": "\xe9", "nested": '{"a":' * 800 + "1" + "}" * 800,
    }.items():  # fmt: skip
        yield name, text.encode("latin-1")
    for new in JSON_VALUES:
        yield f"all: {new!r:.20}", json.dumps(new).encode()
    for path in _paths(value):
        for new in (..., *JSON_VALUES):
            changed = copy.deepcopy(value)
            holder = changed
            for key in path[:-1]:
                holder = holder[key]
            if new is ...:
                del holder[path[-1]]
            else:
                holder[path[-1]] = new
            yield f"{'.'.join(map(str, path))}: {new!r:.20}", json.dumps(changed).encode()


def _paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every member of a value, only the first of a list."""
    members = value.items() if isinstance(value, dict) else enumerate(value[:1])
    for key, member in members:
        yield (*above, key)
        if isinstance(member, dict | list):
            yield from _paths(member, (*above, key))
