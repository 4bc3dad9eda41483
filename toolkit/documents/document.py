"""A Markdown document as it stands in its file: text, places, headings and tables."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.documents.encoding import decoded
from toolkit.documents.index import TextIndex, blanked
from toolkit.documents.lines import Lines
from toolkit.documents.structure import Heading, Structure, front_matter, read_structure
from toolkit.documents.tables import Table, make_table
from toolkit.finding import Finding, Place, printable

if TYPE_CHECKING:
    from toolkit.documents.scan.mend import Mended

LARGEST_DOCUMENT = 2**20  # bytes
LARGEST_SCANNED = 2**26
"""The most bytes of a document that is only scanned for figures, which takes time linear in its size."""


@dataclass(frozen=True, eq=False)
class Document:
    """A document. Offsets are characters of `text`, which keeps the line ends of the file."""

    path: str
    text: str

    @cached_property
    def lines(self) -> Lines:
        """Where lines begin and end."""
        return Lines(self.text)

    @cached_property
    def body(self) -> int:
        """The offset at which the text after the front matter begins."""
        return self.lines.start(front_matter(self.text, self.lines))

    @cached_property
    def structure(self) -> Structure:
        """Headings, tables and the beginnings of blocks; front matter has none."""
        return read_structure(self.text, self.lines, self.lines.at(self.body) if self.body else 0)

    @property
    def headings(self) -> tuple[Heading, ...]:
        """Headings that open sections, in order."""
        return self.structure.headings

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """Tables, in order."""
        return tuple(make_table(self.unquoted, self.lines, found) for found in self.structure.tables)

    @cached_property
    def unquoted(self) -> str:
        """The text with block quote markers replaced by spaces; offsets are those of `text`."""
        return blanked(self.text, self.lines, self.structure)

    @cached_property
    def index(self) -> TextIndex:
        """The text as quotes are looked up in it."""
        return TextIndex(self.unquoted, self.lines, self.structure, self.tables)

    @cached_property
    def folded_from(self) -> Mended:
        """The text without what only typography tells apart, and where each of its characters came from."""
        from toolkit.documents.folded import folded  # noqa: PLC0415 - only a lost quote asks for it

        return folded(self.text)

    @cached_property
    def folded(self) -> Document:
        """The document as a reader sees it, for quotes whose typography has changed."""
        return Document(self.path, self.folded_from.text)

    @cached_property
    def headings_by_text(self) -> dict[str, list[Heading]]:
        """Headings by their text as a reader sees it."""
        found: dict[str, list[Heading]] = {}
        for heading in self.headings:
            found.setdefault(heading.text, []).append(heading)
        return found

    @property
    def shown_path(self) -> str:
        """The path, safe to stand in a message."""
        return printable(self.path)

    def place(self, start: int, end: int | None = None) -> Place:
        """The place of a piece of the text."""
        line, column = self.position(start)
        if end is None:
            return Place(self.path, line, column)
        return Place(self.path, line, column, *self.position(end))

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, from 1."""
        line = self.lines.at(offset)
        return line + 1, offset - self.lines.starts[line] + 1

    def offset(self, line: int, column: int) -> int:
        """The offset of a line and column, from 1."""
        return self.lines.starts[line - 1] + column - 1

    def line_text(self, line: int) -> str:
        """A line of the text, counted from 1, without what ends it."""
        return self.text[slice(*self.lines.span(line - 1))]


def read_document(path: Path, root: Path, *, scanned: bool = False) -> Document | Finding:
    """Read a Markdown file inside a folder, links followed; a finding says why it cannot be read.

    One that is only `scanned` for figures may be larger, and in another encoding than UTF-8.
    """
    shown, largest = _shown_path(path, root), LARGEST_SCANNED if scanned else LARGEST_DOCUMENT
    try:
        resolved, home = path.resolve(), root.resolve()
        if not resolved.is_relative_to(home):
            return _unreadable(shown, "it lies outside the folder that is checked")
        status = resolved.stat()
        if not stat.S_ISREG(status.st_mode):
            return _unreadable(shown, "it is not a file")
        if status.st_size > largest:
            return _too_large(shown, largest)
        with resolved.open("rb") as file:
            data = file.read(largest + 1)
    except FileNotFoundError:
        return _unreadable(shown, "there is no such file")
    except (
        OSError,
        RuntimeError,
        ValueError,
    ) as error:  # RuntimeError: links in a circle, before Python 3.13
        return _unreadable(shown, getattr(error, "strerror", None) or str(error))
    if len(data) > largest:
        return _too_large(shown, largest)
    try:
        return Document(shown, decoded(data)) if scanned else Document(shown, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return _unreadable(shown, f"it is not UTF-8: byte 0x{data[error.start]:02x}", line)


def _shown_path(path: Path, root: Path) -> str:
    if ".." in path.parts and path.resolve().is_relative_to(root.resolve()):
        return path.resolve().relative_to(root.resolve()).as_posix()  # a workflow's runner finds files by no other
    for start in (root, root.absolute()):
        if path.is_relative_to(start):
            return path.relative_to(start).as_posix()
    return path.as_posix()


def _too_large(shown: str, largest: int) -> Finding:
    return _unreadable(shown, f"it is larger than {largest // 2**20} MiB")


def _unreadable(shown: str, reason: str, line: int = 1) -> Finding:
    message = f"cannot read {printable(shown)}: {printable(reason)}"
    return Finding(Place(shown, line), "D205", message, "Name a UTF-8 Markdown file inside the checked folder.")
