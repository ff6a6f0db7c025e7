"""A page as its reader's browser takes it apart."""

from __future__ import annotations

from html.parser import HTMLParser


class Page(HTMLParser):
    """Elements with their attributes, and the texts that follow each; places where lines may break are part of none."""

    def __init__(self, page: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.goes_on = False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag == "wbr":
            self.goes_on = True
            return
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        if self.goes_on:
            tag, before = self.texts.pop()
            self.texts.append((tag, before + data))
            self.goes_on = False
        elif self.elements and data.strip():
            self.texts.append((self.elements[-1][0], data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def inside(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]
