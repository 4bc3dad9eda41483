"""Renders the pages of a folder with one spec, and reads what a page shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("jinja2", reason="pages need jinja2: pip install 'vram-toolkit[pages]'")

from toolkit.checks.run import check_paths
from toolkit.pages.site import site

GOLDEN = Path(__file__).parent / "golden"
REPOSITORY = Path(__file__).parents[2]
TODAY = date(2026, 11, 21)


def pages_of(folder: Path, hand_written: Path | None = None) -> Mapping[str, bytes]:
    return site(check_paths([folder], folder, TODAY), folder, hand_written)


def write_spec(folder: Path, document: str, claims: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "document.md").write_text(document, encoding="utf-8")
    (folder / "claims.yaml").write_text(f"document: document.md\nclaims:\n{claims}", encoding="utf-8")
    return folder


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """A page's elements, each with the text inside it, as a browser would find them."""

    elements: list[Element] = field(default_factory=list)
    text: str = ""
    _open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attributes})
        self.elements.append(element)
        if tag not in ("br", "hr", "img", "input", "meta", "link"):
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        for position in reversed(range(len(self._open))):
            if self._open[position].tag == tag:
                del self._open[position:]
                return

    def handle_data(self, data: str) -> None:
        self.text += data
        for element in self._open:
            element.text += data

    def all(self, name: str) -> list[Element]:
        """The elements of a class."""
        return [one for one in self.elements if name in one.attributes.get("class", "").split()]


def page(html: str) -> Page:
    parsed = Page()
    parsed.feed(html)
    parsed.close()
    return parsed
