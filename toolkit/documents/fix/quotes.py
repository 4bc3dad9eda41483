"""Safe repairs of lost quotes: one that has moved, or whose typography has changed, bound to where it stands now.

A repair is one only where the document leaves no choice: the words stand there, stand there once, and no other
quote of the spec is bound to their value. A sentence that was deleted is not taken for one like it elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from toolkit.documents.cells import find_table
from toolkit.documents.document import Document
from toolkit.documents.fix.quoted import NamedTable, quotes_of, tables_of
from toolkit.documents.match import Match, find_matches
from toolkit.documents.matching import TooCommonError
from toolkit.documents.pattern import Pattern, make_pattern
from toolkit.documents.plain import plain
from toolkit.documents.quotes import find_quote
from toolkit.documents.reworded import Reworded, other_typography
from toolkit.documents.sections import find_section, section_name
from toolkit.documents.spans import Spans
from toolkit.documents.tables import Table
from toolkit.finding import Finding, Place
from toolkit.frozen import frozen
from toolkit.spec.document_spec import Spec
from toolkit.spec.quote import Quote
from toolkit.spec.yaml.node import Entries, Scalar, place_of
from toolkit.spec.yaml.rewrite import NodePath, YamlText

Span = tuple[int, int]
NO_CHOICE = frozenset({"D201", "D203", "D206"})
"""Codes of quotes and tables that are lost and may be found elsewhere."""


@frozen
class Fix:
    """A change of one text: its place, the code that asked for it, the old text and the new."""

    place: Place
    code: str
    old: str
    new: str


@dataclass(slots=True)
class Repair:
    """Changes that stand or fall together, by the path of the scalar that each is of."""

    fixes: dict[NodePath, Fix] = field(default_factory=dict)

    def texts(self) -> Mapping[NodePath, str]:
        """The new text of each scalar."""
        return {path: fix.new for path, fix in self.fixes.items()}


@dataclass(slots=True)
class _Heading:
    """A scalar that names a heading, the present headings of all that is under it, and the code of what was lost."""

    scalar: Scalar | None = None
    spans: list[Span] = field(default_factory=list)
    repair: Repair = field(default_factory=Repair)
    code: str | None = None


def quote_repairs(spec: Spec, yaml: YamlText, document: Document) -> list[Repair]:
    """What would bind the lost quotes and tables of a spec again, as far as the document leaves no choice."""
    return _Repairer(yaml, document, spec.shown_path).run(spec)


def together(repairs: Iterable[Repair]) -> dict[NodePath, str]:
    """The new texts of several repairs; of two for one scalar, the first."""
    texts: dict[NodePath, str] = {}
    for repair in repairs:
        for path, text in repair.texts().items():
            texts.setdefault(path, text)
    return texts


@dataclass(slots=True)
class _Repairer:
    """Collects repairs: of quotes by themselves, and of headings with all that is under them."""

    yaml: YamlText
    document: Document
    shown: str
    alone: list[Repair] = field(default_factory=list)
    headings: dict[NodePath, _Heading] = field(default_factory=dict)
    values: list[Span] = field(default_factory=list)
    taken: Spans = field(default_factory=lambda: Spans(()))
    tables: set[int] = field(default_factory=set)

    def run(self, spec: Spec) -> list[Repair]:
        lost = [(quote, code) for quote in quotes_of(spec) if (code := self._bound(quote)) is not None]
        self.taken = Spans(self.values)
        for quote, code in lost:
            self._lost(quote, code)
        gone = [(table, code) for table in tables_of(spec) if (code := self._found(table)) is not None]
        for table, code in gone:
            self._table(table, code)
        return [*self.alone, *self._moves()]

    @property
    def _whole(self) -> Span:
        return self.document.body, len(self.document.text)

    def _bound(self, quote: Quote) -> str | None:
        """Notes where a quote stands; the code of what is wrong where it is lost."""
        found = find_quote(self.document, quote, hint=False)
        written = self.yaml.at(quote.place)
        if isinstance(found, Match):
            self.values.append(_value_of(found))
            if written is not None:
                self._heading(written[0], quote.under).spans.append((found.start, found.end))
            return None
        return found.code if found.code in NO_CHOICE and (quote.occurrence or 1) == 1 else None

    def _lost(self, quote: Quote, code: str) -> None:
        """Adds the repair of one lost quote, if it has one, to those of its heading or to those that stand alone."""
        written = self.yaml.at(quote.place)
        if written is None:
            return
        path, scalar = written
        heading = self._heading(path, quote.under)
        where = self._whole if quote.under is None else find_section(self.document, quote.under, hint=False)
        same = None if isinstance(where, Finding) else self._other_typography(quote, where)
        if same is not None:
            self.alone.append(Repair({path: Fix(quote.place, code, str(scalar), same.text)}))
            heading.spans.append((same.start, same.end))
        elif quote.under is not None and (exact := self._only_match(quote.text)):
            heading.spans.append((exact.start, exact.end))
            heading.code = code
        elif quote.under is not None and (same := self._other_typography(quote, self._whole)):
            heading.spans.append((same.start, same.end))
            heading.code = code
            heading.repair.fixes[path] = Fix(quote.place, code, str(scalar), same.text)

    def _other_typography(self, quote: Quote, section: Span) -> Reworded | None:
        same = other_typography(self.document, quote.text, section)
        return same if same is not None and self._only_match(same.text, section) is not None else None

    def _only_match(self, text: str, section: Span | None = None) -> Match | None:
        """The one place of a quote, if no other quote is bound to its value."""
        pattern = make_pattern(text)
        if not isinstance(pattern, Pattern):
            return None
        try:
            found = find_matches(self.document, pattern, section or (0, len(self.document.text)), 2)
        except TooCommonError:
            return None
        if len(found) != 1:
            return None
        return None if self.taken.meet(*_value_of(found[0])) else found[0]

    def _found(self, named: NamedTable) -> str | None:
        """Notes where a table stands; the code of what is wrong where it is not under its heading."""
        found = find_table(self.document, named.ref, hint=False)
        if isinstance(found, Table) and _has_labels(found, named):
            self.tables.add(found.start)
            path = self.yaml.path_at(named.ref.place)
            if path is not None:
                self._heading(path, named.ref.under).spans.append((found.start, found.end))
            return None
        return found.code if isinstance(found, Finding) else "D203"

    def _table(self, named: NamedTable, code: str) -> None:
        path = self.yaml.path_at(named.ref.place)
        having = [table for table in self.document.tables if _has_labels(table, named)]
        if path is None or named.ref.under is None or len(having) != 1 or having[0].start in self.tables:
            return
        if (named.ref.occurrence or 1) == 1:
            heading = self._heading(path, named.ref.under)
            heading.spans.append((having[0].start, having[0].end))
            heading.code = code

    def _heading(self, path: NodePath, under: str | None) -> _Heading:
        """The scalar that names the heading of a quote or table: its own, or that of a group around it."""
        node = self.yaml.node(path)
        if isinstance(node, Scalar) and path[-1:] == ("table",):
            return self.headings.setdefault(path, _Heading(node))
        for length in range(len(path), -1, -1) if under is not None else ():
            around = self.yaml.node(path[:length])
            written = around.get("under") if isinstance(around, Entries) else None
            if isinstance(written, Scalar) and written == under:
                return self.headings.setdefault((*path[:length], "under"), _Heading(written))
        return _Heading()

    def _moves(self) -> Iterator[Repair]:
        """For each heading of which something stands elsewhere now: the one that all of it stands under."""
        for path, heading in self.headings.items():
            if heading.code is None or heading.scalar is None:
                continue
            name = section_name(self.document, min(heading.spans)[0], max(end for _, end in heading.spans))
            if name is not None:
                place = place_of(heading.scalar, self.shown)
                heading.repair.fixes[path] = Fix(place, heading.code, str(heading.scalar), name)
                yield heading.repair


def _value_of(match: Match) -> Span:
    """Where the claimed value of a quote stands; all of the quote where it has no slot."""
    return (match.slots[0].start, match.slots[0].end) if match.slots else (match.start, match.end)


def _has_labels(table: Table, named: NamedTable) -> bool:
    """Whether a table has every row and column that the spec names, each once."""
    rows = (table.rows_by_label.get(plain(row)) or table.rows_by_text.get(plain(row)) or [] for row in named.rows)
    columns = (table.columns_by_text.get(plain(column), []) for column in named.columns)
    return all(len(found) == 1 for found in (*rows, *columns))
