"""A params.yaml as text in blocks, so that some can be cut and put together with their comments.

A section is a key at the left edge, such as `classify`; its blocks are the keys below it, such as
`dlcv2022`. The comment lines above a block belong to it, and so does everything down to the next.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reprise.errors import RepriseError

SECTION = re.compile(r"[A-Za-z_]\w*:")
BLOCK = re.compile(r"  ([A-Za-z0-9]\w*):")
LONELY = re.compile(r"[A-Za-z_]\w*: *(#.*)?")  # a section's line without a value
HEAD = ""  # the name of the text above the first section


@dataclass
class Section:
    """The line that begins a section, and the texts of its blocks by name.

    A section without blocks, such as `plot` with its values, is all in `title`.
    """

    title: str
    blocks: dict[str, str] = field(default_factory=dict)


def read_sections(text: str, plain: Sequence[str] = ("runtime", "plot")) -> dict[str, Section]:
    """The sections of a text by name, in its order; `plain` sections are not cut into blocks."""
    sections = {HEAD: Section("")}
    name, block, comments = HEAD, "", ""
    for line in text.splitlines(keepends=True):
        if SECTION.match(line):
            name, block = line.partition(":")[0], ""
            sections[name] = Section(comments + line)
        elif name not in (HEAD, *plain) and (match := BLOCK.match(line)):
            block = match[1]
            sections[name].blocks[block] = comments + line
        elif name != HEAD and (line.startswith("  #") and line[2:3] == "#" or not line.strip()):
            comments += line
            continue
        elif block:
            sections[name].blocks[block] += comments + line
        else:
            sections[name].title += comments + line
        comments = ""
    if block:
        sections[name].blocks[block] += comments
    else:
        sections[name].title += comments
    return sections


def write_sections(sections: Mapping[str, Section]) -> str:
    """The text of sections, with a blank line between two; one without its blocks is left out.

    The inverse of `read_sections`, apart from blank lines.
    """
    texts = []
    for section in sections.values():
        body = "".join(block.lstrip("\n") for block in section.blocks.values())
        lines = [line.strip() for line in section.title.splitlines()]
        values = [line for line in lines if line and line[0] != "#"]
        lost = not body and len(values) == 1 and LONELY.fullmatch(values[0])
        if section.title.strip() and not lost:
            texts.append((section.title.strip("\n") + "\n" + body).rstrip("\n"))
    return "\n\n".join(texts) + "\n"


def union(head: str, texts: Mapping[str, str], order: Sequence[str]) -> str:
    """The sections of several files in one text below `head`, in the given order.

    texts: by name of the file. A block that two files have under one name must be the same in both.
    Raises RepriseError: it is not; it names the block and both files.
    """
    sections: dict[str, Section] = {}
    source: dict[tuple[str, str], str] = {}
    for file, text in texts.items():
        for name, section in read_sections(text).items():
            together = sections.setdefault(name, Section(section.title))
            for block, content in section.blocks.items():
                content = content.strip("\n") + "\n"
                other = together.blocks.setdefault(block, content)
                if other != content:
                    raise RepriseError(
                        f"{file}: {name}.{block} differs from that of {source[name, block]}; "
                        "rename one of them"
                    )
                source.setdefault((name, block), file)
    sections[HEAD] = Section(head)
    for name in {"weights", "datasets"} & sections.keys():
        sections[name].blocks = dict(sorted(sections[name].blocks.items()))
    return write_sections({name: sections[name] for name in [HEAD, *order] if name in sections})
