"""All that a spec points at in its document."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.finding import Place
from toolkit.frozen import frozen
from toolkit.spec.document_spec import Spec
from toolkit.spec.quote import Cell, Quote, TableRef


@frozen
class NamedTable:
    """A table of the document as a spec names it, with the labels that it must have."""

    ref: TableRef
    rows: tuple[str, ...]
    columns: tuple[str, ...]


def quotes_of(spec: Spec) -> Iterator[Quote]:
    """Every quote of a spec that stands by itself, each once; the pattern of a cell belongs to the cell."""
    yield from dict.fromkeys(source for source in _sources(spec) if isinstance(source, Quote))


def tables_of(spec: Spec) -> Iterator[NamedTable]:
    """Every table that a spec names, each once."""
    cells: dict[Place, list[Cell]] = {}
    for source in _sources(spec):
        if isinstance(source, Cell):
            cells.setdefault(source.table.place, []).append(source)
    for same in cells.values():
        rows, columns = dict.fromkeys(one.row for one in same), dict.fromkeys(one.column for one in same)
        yield NamedTable(same[0].table, tuple(rows), tuple(columns))


def _sources(spec: Spec) -> Iterator[object]:
    yield from spec.values.values()
    if spec.units is not None:
        yield spec.units.quote
    for scenario in spec.scenarios.values():
        yield from (said.quote for said in scenario.fields.values() if said.quote is not None)
    for claim in spec.claims:
        yield claim.source
        yield from claim.where.values()
        yield from claim.terms
        yield from (claim.start, claim.end)
        yield from (said.quote for said in claim.overrides.values() if said is not None)
