"""Places of a scanned document: from offsets of the text as it was meant to sources, lines and named values."""

from __future__ import annotations

from bisect import bisect_right

from toolkit.documents.document import Document
from toolkit.documents.draft.sources import Found, Sources
from toolkit.documents.scan.claim import ReadPiece, Scanned
from toolkit.documents.scan.mend import origin
from toolkit.spec.quote import Source


class Places:
    """Finds and names what a draft points at. All offsets are those of the text as it was meant."""

    def __init__(self, scanned: Scanned) -> None:
        self._scanned = scanned
        self._sources = Sources(scanned.document)
        self._reads = sorted(scanned.pieces, key=lambda read: read.piece.start)
        self._names: dict[tuple[str, Source], str] = {}
        self.values: dict[str, Source] = {}

    @property
    def meant(self) -> Document:
        """The document as it is read."""
        return self._scanned.meant

    def source(self, start: int, end: int) -> Found | None:
        """The source of a piece of the text; None where nothing tells it from others."""
        low, high = self._origin(start), self._origin(end)
        text = self._scanned.document.text
        while low < high and text[low].isspace():
            low += 1
        while low < high and text[high - 1].isspace():
            high -= 1
        if low >= high:
            return None
        read = self.read(start)
        begin, stop = (read.piece.start, read.piece.end) if read else (start, end)
        return self._sources.find(low, high, (min(self._origin(begin), low), max(self._origin(stop), high)))

    def value(self, kind: str, line: int, source: Source) -> str:
        """The name of a value of the document; one source has one name."""
        if (kind, source) not in self._names:
            name, number = f"{kind}_line_{line}", 1
            while name in self.values:
                number += 1
                name = f"{kind}_line_{line}_{number}"
            self._names[kind, source] = name
            self.values[name] = source
        return self._names[kind, source]

    def read(self, start: int) -> ReadPiece | None:
        """The piece in which an offset lies."""
        at = bisect_right(self._reads, start, key=lambda read: read.piece.start) - 1
        return self._reads[at] if at >= 0 and start < self._reads[at].piece.end else None

    def equation(self, start: int) -> str | None:
        """The equation in which an offset lies."""
        read = self.read(start)
        for equation in read.equations if read else ():
            if read and equation.start <= start - read.piece.start < equation.end:
                return read.text[equation.start : equation.end]
        return None

    def line(self, offset: int) -> int:
        """The line of the file, from 1."""
        return self._scanned.place(offset, offset).line

    def _origin(self, offset: int) -> int:
        return origin(self._scanned.steps, offset)
