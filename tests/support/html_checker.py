"""Reads a page and checks that its tags are closed in order."""

from html.parser import HTMLParser

VOID = {"meta", "img"}


class Checker(HTMLParser):
    """Collects tags and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every tag of this name."""
        return [attributes for name, attributes in self.tags if name == tag]


def read_html(html: str) -> Checker:
    """A page, read to its end; fails where a tag is not closed."""
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []
    return checker
