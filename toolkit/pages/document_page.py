"""A document as a page: its own text with every claim marked in place, and a list of all claims below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from markdown_it.token import Token

from toolkit.documents.document import Document
from toolkit.pages.anchors import anchored
from toolkit.pages.markdown import blocks, parser
from toolkit.pages.marks import Mark, counts
from toolkit.pages.subject import Subject
from toolkit.pages.templates import html, rendered
from toolkit.pages.weave import button, heading_line, woven


def document_page(subject: Subject) -> str:
    """The page of one spec's document."""
    placed: set[int] = set()
    body = "\n\n".join(_body(subject.document, subject.marks, placed))
    return rendered(
        "document.md.j2",
        subject=subject,
        counts=list(counts(subject.claims)),
        marks=[(mark, html(button(mark, f"list-{mark.number}")), mark.number in placed) for mark in subject.marks],
        body=html(body),
    )


def _body(document: Document, marks: Sequence[Mark], placed: set[int]) -> Iterator[str]:
    """Pieces of the page: headings as Markdown, so that the site's table of contents has them, the rest as HTML."""
    by_number = {mark.number: mark for mark in marks}
    for block in blocks(_tokens(document, marks)):
        marked = woven(block.html, by_number, placed)
        if block.level:
            yield heading_line(marked, block.level, block.id, block.text)
        else:
            yield f'<div class="vt-document">\n{marked}</div>'


def _tokens(document: Document, marks: Sequence[Mark]) -> list[Token]:
    """The tokens of what follows the front matter, with anchors."""
    shift = document.body
    inside = [replace(mark, start=mark.start - shift, end=mark.end - shift) for mark in marks if mark.start >= shift]
    return anchored(document.text[shift:], inside, parser())
