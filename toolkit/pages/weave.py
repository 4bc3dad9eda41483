"""Weaves marks into HTML: the text between two anchors is marked, and a button after it opens the verdicts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape, unescape

from toolkit.pages.anchors import ANCHOR, number_of
from toolkit.pages.marks import Mark

_PIECE = re.compile(r"<[^>]*>|[^<]+")
_IN_HEADING = re.compile(r"</?(?:span|button|em|strong|code|s)\b")
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
_NOT_IN_LABEL = re.compile(r"[^\w .,:()/+=%~≈×–—✓✔❌-]|_")


def woven(html: str, marks: Mapping[int, Mark], placed: set[int]) -> str:
    """The HTML with its anchors replaced; the numbers of the marks that are seen in it are added to `placed`."""
    weaver = _Weaver(marks, placed)
    for piece in _PIECE.findall(html):
        if piece.startswith("<"):
            weaver.tag(piece)
        else:
            weaver.text(piece)
    return weaver.finished()


def heading_line(html: str, level: int, anchor: str, text: str) -> str:
    """A heading as one line of Markdown, below the title of its page.

    All punctuation of its text is written as character references, so that it means nothing in any dialect; tags
    are those of marks and of plain emphasis.
    """
    pieces = [
        (piece if _IN_HEADING.match(piece) else "") if piece.startswith("<") else _inert(piece)
        for piece in _PIECE.findall(html.replace("\n", " "))
    ]
    label = " ".join(_NOT_IN_LABEL.sub(" ", ANCHOR.sub("", text)).split()) or "section"
    inner = "".join(pieces).strip()
    return f'{"#" * min(level + 1, 6)} {inner} {{#{anchor} data-toc-label="{label}"}}'


def _inert(text: str) -> str:
    return _PUNCTUATION.sub(lambda found: f"&#{ord(found.group())};", unescape(text))


class _Weaver:
    """Builds the HTML. Spans are closed before every tag and opened again after it, so that all tags nest."""

    def __init__(self, marks: Mapping[int, Mark], placed: set[int]) -> None:
        self.marks = marks
        self.placed = placed
        self.pieces: list[str] = []
        self.active: list[Mark] = []
        self.opened: list[Mark] = []
        self.waiting: list[Mark] = []
        self.links = 0

    def tag(self, tag: str) -> None:
        """A tag of the document's structure."""
        self._close()
        self.pieces.append(ANCHOR.sub("", tag))
        if re.match(r"<a\b", tag):
            self.links += 1
        elif tag == "</a>":
            self.links -= 1
            self._buttons()

    def text(self, text: str) -> None:
        """Text with anchors in it."""
        last = 0
        for anchor in ANCHOR.finditer(text):
            self._words(text[last : anchor.start()])
            last = anchor.end()
            number, opens = number_of(anchor.group())
            mark = self.marks.get(number)
            if mark is None:
                continue
            if opens:
                self.active.append(mark)
            elif mark in self.active:
                self._end(mark)
        self._words(text[last:])

    def finished(self) -> str:
        """The HTML, with nothing left open."""
        self._close()
        return "".join(self.pieces)

    def _words(self, words: str) -> None:
        if not words:
            return
        if self.opened != self.active:
            self._close()
            for mark in self.active:
                attributes = f'class="vt-mark {_classes(mark)}" data-mark="{mark.number}"'
                self.pieces.append(f"<span {attributes}>")
                self.opened.append(mark)
        self.placed.update(mark.number for mark in self.active)
        self.pieces.append(words)

    def _end(self, mark: Mark) -> None:
        self._close()
        self.active.remove(mark)
        if mark.number in self.placed:
            self.waiting.append(mark)
            self._buttons()

    def _close(self) -> None:
        self.pieces.append("</span>" * len(self.opened))
        self.opened = []

    def _buttons(self) -> None:
        """The buttons due here: after the end of every mark that encloses them, and after a link's end."""
        if self.links or self.active:
            return
        self.pieces += [button(mark, f"mark-{mark.number}") for mark in self.waiting]
        self.waiting = []


def button(mark: Mark, anchor: str) -> str:
    """The button that opens the verdicts of a mark: the sign, the worst verdict, and the number of claims."""
    worst = mark.worst
    more = f" ({len(mark.claims)})" if len(mark.claims) > 1 else ""
    said = f'<span aria-hidden="true">{worst.shape}</span> {escape(worst.label)}{more}'
    named = f'id="{anchor}" type="button" popovertarget="claim-{mark.number}" aria-haspopup="dialog"'
    return f'<button class="vt-flag {_classes(mark)}" {named} title="show why">{said}</button>'


def _classes(mark: Mark) -> str:
    return f"vt-{mark.worst.verdict}" + (" vt-known" if mark.worst.known else "")
