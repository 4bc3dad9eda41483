"""Groups, tables and repeated quotes, flattened to one claim for each place of the document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from toolkit.finding import Finding, Place
from toolkit.spec.claim import Acknowledgement, Claim
from toolkit.spec.fields.names import ABOUT_SCENARIO
from toolkit.spec.quote import Cell, Quote, Source, TableRef
from toolkit.spec.stated import Keys
from toolkit.spec.written.claims import CellKeys, ClaimItem
from toolkit.spec.yaml.known import shown
from toolkit.spec.yaml.node import Entries, Items, Node, place_of, place_of_key

MAX_NESTING = 2
MAX_CLAIMS = 100_000


@dataclass(slots=True)
class Flattener:
    """Walks the items of `claims`, and collects claims without ids and findings about the structure."""

    path: str
    findings: list[Finding] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    seen: int = 0

    def items(self, items: list[ClaimItem], raw: Node | None, keys: Keys, depth: int = 0) -> None:
        """Every item of a list of claims."""
        for item, node in zip(items, raw if isinstance(raw, Items) else (), strict=True):
            self._item(item, node, keys.under(item, node, self.path), depth)

    def _refuse(self, code: str, place: Place, message: str, repair: str | None = None) -> None:
        self.findings.append(Finding(place, code, message, repair))

    def _item(self, item: ClaimItem, raw: Node, keys: Keys, depth: int) -> None:
        forms = [name for name in ("quote", "quotes", "cell", "claims", "table") if name in item.model_fields_set]
        stray = [name for name in ("rows", "columns", "cells") if name in item.model_fields_set]
        if len(forms) != 1:
            said = f"has {' and '.join(forms)}" if forms else "does not say where the document states it"
            repair = None if forms else "add quote:, quotes:, cell:, or table: with rows: and columns:"
            self._refuse("S113" if forms else "S105", place_of(raw, self.path), f"a claim {said}", repair)
        elif stray and item.table is None:
            self._refuse("S113", keys.places[stray[0]], f"{stray[0]} stands without table")
        elif item.claims is not None:
            self._group(item, raw, keys, depth)
        elif item.table is not None:
            self._table(item, raw, keys)
        else:
            if item.quotes is not None and item.id is not None:
                self._refuse("S113", keys.places["id"], "an id names one claim, and quotes states several")
            identity = item.id if item.quotes is None else None
            for source in _sources(item):
                self._claim(identity, _located(source, keys), keys)

    def _group(self, item: ClaimItem, raw: Node, keys: Keys, depth: int) -> None:
        place = place_of(raw, self.path)
        if depth >= MAX_NESTING:
            self._refuse("S112", place, f"groups are nested more than {MAX_NESTING} deep")
            return
        if not item.claims:
            self._refuse("S105", place, "a group without claims", "add a claim, or delete the group")
        if item.id is not None:
            self._refuse("S113", keys.places["id"], "an id names one claim, not a group")
        self.items(item.claims or [], _child(raw, "claims"), keys, depth + 1)

    def _table(self, item: ClaimItem, raw: Node, keys: Keys) -> None:
        lacking = [name for name in ("rows", "columns") if not getattr(item, name)]
        if lacking:
            repair = f"add {' and '.join(f'{name}:' for name in lacking)}"
            self._refuse("S105", place_of(raw, self.path), f"a table needs {' and '.join(lacking)}", repair)
            return
        for key in ("id", "occurrence"):
            if key in item.model_fields_set:
                self._refuse("S113", keys.places[key], f"{key} says nothing here; put it into table: or cells:")
        assert item.rows is not None
        assert item.columns is not None
        own = self._cells(item, raw)
        rows, columns = _child(raw, "rows"), _child(raw, "columns")
        for row, row_keys in item.rows.items():
            if self.seen > MAX_CLAIMS:
                return
            of_row = keys.under(row_keys, _child(rows, row), self.path)
            for column, column_keys in item.columns.items():
                merged = of_row.under(column_keys, _child(columns, column), self.path)
                pattern = column_keys.quote or row_keys.quote
                place = _label_place(rows, row, self.path)
                identity = None
                if (cell := own.get((row, column))) is not None:
                    if cell[0].skip:
                        continue
                    merged, pattern = merged.under(cell[0], cell[1], self.path), cell[0].quote or pattern
                    place, identity = place_of(cell[1], self.path), cell[0].id
                self._claim(identity, Cell(_table_of(item, merged), row, column, place, pattern), merged)

    def _cells(self, item: ClaimItem, raw: Node) -> dict[tuple[str, str], tuple[CellKeys, Node]]:
        """The keys of single cells, by row and column."""
        found: dict[tuple[str, str], tuple[CellKeys, Node]] = {}
        nodes = _child(raw, "cells")
        for cell, node in zip(item.cells or (), nodes if isinstance(nodes, Items) else (), strict=True):
            place = place_of(node, self.path)
            for kind, label, known in (("row", cell.row, item.rows), ("column", cell.column, item.columns)):
                if label not in (known or {}):
                    self._refuse("S108", place, f"{kind}s has no {shown(label)}", f"add it to {kind}s:")
            if (cell.row, cell.column) in found:
                self._refuse("S102", place, f"row {shown(cell.row)}, column {shown(cell.column)} is written twice")
            found[cell.row, cell.column] = (cell, node)
        return found

    def _claim(self, identity: str | None, source: Source, keys: Keys) -> None:
        """One claim; one that lacks something is reported and left out."""
        said, place = keys.values, source.place
        quantity, scenario = said.get("quantity"), said.get("scenario")
        self.seen += 1
        if self.seen > MAX_CLAIMS:
            if self.seen == MAX_CLAIMS + 1:
                self._refuse("S112", place, f"more than {MAX_CLAIMS:,} claims: split the file")
        elif quantity is None:
            self._refuse("S105", place, "a claim needs quantity", "add quantity:")
        elif scenario is None and quantity in ABOUT_SCENARIO and said.get("unchecked") is None:
            self._refuse("S105", place, f"a claim of {quantity} needs scenario", "add scenario:")
        else:
            self.claims.append(_claim(identity or "", quantity, source, keys))


def _claim(identity: str, quantity: str, source: Source, keys: Keys) -> Claim:
    said = keys.values
    written = said.get("acknowledged")
    accepted = None
    if written is not None:
        accepted = Acknowledgement(written.reason, keys.places["acknowledged"], written.until)
    return Claim(
        id=identity,
        quantity=quantity,
        source=source,
        place=source.place,
        scenario=said.get("scenario"),
        overrides=keys.overrides,
        metric=said.get("metric"),
        formula=said.get("formula"),
        where=said.get("where") or {},
        terms=tuple(said.get("terms") or ()),
        start=said.get("from"),
        end=said.get("to"),
        of=said.get("of"),
        subject=said.get("subject") or {},
        unchecked=said.get("unchecked"),
        acknowledged=accepted,
        places=keys.places,
    )


def _sources(item: ClaimItem) -> Iterator[Source]:
    if item.cell is not None:
        yield item.cell
    if item.quote is not None:
        yield item.quote
    yield from item.quotes or ()


def _located(source: Source, keys: Keys) -> Source:
    """A source with the heading and occurrence of its claim or group."""
    under, occurrence = keys.values.get("under"), keys.values.get("occurrence")
    if isinstance(source, Quote):
        return Quote(source.text, source.place, source.under or under, source.occurrence or occurrence, source.has_slot)
    if source.table.under is None and under is not None:
        table = TableRef(under, source.table.occurrence, source.table.place)
        return Cell(table, source.row, source.column, source.place, source.pattern)
    return source


def _table_of(item: ClaimItem, keys: Keys) -> TableRef:
    table = item.table
    assert table is not None
    under = table.under if table.under is not None else keys.values.get("under")
    return TableRef(under, table.occurrence, table.place)


def _child(node: Node | None, key: str) -> Node | None:
    return node.get(key) if isinstance(node, Entries) else None


def _label_place(axis: Node | None, label: str, path: str) -> Place:
    """Where a label stands in `rows`, which is a mapping of labels or a list of them."""
    if isinstance(axis, Entries):
        return place_of_key(axis, label, path)
    named = next((item for item in axis or () if item == label), None) if isinstance(axis, Items) else None
    return Place(path) if named is None else place_of(named, path)
