"""What Markdown's block rules make of a text: headings, tables, and where blocks begin."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from toolkit.documents.plain import plain
from toolkit.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

    from toolkit.documents.lines import Lines

_FRONT_MATTER_LINES = 2000
_FRONT_MATTER_KEY = re.compile(r"[\"']?[A-Za-z_][\w .-]*[\"']?[ \t]*:(?:\s|$)")
_BLOCKS = frozenset(
    {
        "heading_open",
        "paragraph_open",
        "list_item_open",
        "blockquote_open",
        "fence",
        "code_block",
        "html_block",
        "hr",
        "table_open",
        "tr_open",
    }
)
_VERBATIM = frozenset({"fence", "code_block", "html_block"})


@frozen
class Heading:
    """A heading: its text as a reader sees it and as written; offsets of its lines and of its section's end.

    `path` holds the texts of the headings whose sections it lies in, the outermost first.
    """

    level: int
    text: str
    raw: str
    path: tuple[str, ...]
    start: int
    end: int
    section_end: int


@frozen
class TableLines:
    """The lines of a table, and how many list or quote markers stand on the first before its cells."""

    header: int
    rows: range
    columns: int
    markers: int


@dataclass(slots=True)
class Structure:
    """Blocks of a text by line, counted from 0."""

    headings: tuple[Heading, ...] = ()
    tables: list[TableLines] = field(default_factory=list)
    block_starts: set[int] = field(default_factory=set)
    quote_depth: Counter[int] = field(default_factory=Counter)
    verbatim: set[int] = field(default_factory=set)
    html: set[int] = field(default_factory=set)


def front_matter(text: str, lines: Lines) -> int:
    """The line after a YAML header between "---" lines at the top of the text; 0 when there is none."""
    if len(lines) < 3 or text[slice(*lines.span(0))].rstrip() != "---":
        return 0
    if not _FRONT_MATTER_KEY.match(text, lines.starts[1]):
        return 0
    for line in range(1, min(len(lines), _FRONT_MATTER_LINES)):
        if text[slice(*lines.span(line))].rstrip() in {"---", "..."}:
            return line + 1
    return 0


def read_structure(text: str, lines: Lines, first_line: int) -> Structure:
    """Parse a text, from a line on, by the block rules of CommonMark and of GFM tables."""
    tokens = parser().parse(text[lines.start(first_line) :])
    found = Structure()
    _note_blocks(found, tokens, first_line)
    found.headings = _headings(tokens, lines, first_line)
    return found


@cache
def parser() -> MarkdownIt:
    """The parser of documents, made when the first is read."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 - 30 ms that only those pay who read a document

    return MarkdownIt("commonmark").enable(["table"]).disable(["inline", "reference"])


def _note_blocks(found: Structure, tokens: Sequence[Token], shift: int) -> None:
    items: Counter[int] = Counter()
    for position, token in enumerate(tokens):
        if token.map is None or token.type not in _BLOCKS:
            continue
        start, end = token.map[0] + shift, token.map[1] + shift
        found.block_starts.update((start, end))
        if token.type == "blockquote_open":
            found.quote_depth.update(range(start, end))
            items[start] += 1
        elif token.type == "list_item_open":
            items[start] += 1
        elif token.type in _VERBATIM:
            found.verbatim.update(range(start, end))
            if token.type == "html_block":
                found.html.update(range(start, end))
        elif token.type == "table_open":
            columns = _header_width(tokens, position)
            found.tables.append(TableLines(start, range(start + 2, end), columns, items[start]))


def _header_width(tokens: Sequence[Token], table: int) -> int:
    width = 0
    for position in range(table, len(tokens)):
        if tokens[position].type == "thead_close":
            break
        width += tokens[position].type == "th_open"
    return width


def _headings(tokens: Sequence[Token], lines: Lines, shift: int) -> tuple[Heading, ...]:
    """Headings at the top level of the text: one in a list item or a block quote opens no section."""
    marks: list[tuple[int, str, int, int]] = []
    for token, content in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map is not None:
            start, end = (lines.start(line + shift) for line in token.map)
            marks.append((int(token.tag[1:]), content.content, start, end))
    section_end = {level: lines.start(len(lines)) for level in range(1, 7)}
    ends: list[int] = []
    for level, _, start, _ in reversed(marks):
        ends.append(section_end[level])
        section_end.update(dict.fromkeys(range(level, 7), start))  # deeper ones end here too
    headings: list[Heading] = []
    around: list[Heading] = []
    for (level, raw, start, end), section in zip(marks, reversed(ends), strict=True):
        while around and around[-1].level >= level:
            around.pop()
        path = tuple(heading.text for heading in around)
        headings.append(Heading(level, plain(raw), raw, path, start, end, section))
        around.append(headings[-1])
    return tuple(headings)
