"""Which memory figures of a document a claim speaks of, and which nobody does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from toolkit.checks.result import CheckResult, Figure
from toolkit.documents.bind import Binding, BoundClaim, BoundValue
from toolkit.documents.directives.comment import addressed
from toolkit.documents.document import Document
from toolkit.documents.scan.mend import origin
from toolkit.documents.scan.scan import scan
from toolkit.documents.spans import Spans
from toolkit.finding import Finding, Place
from toolkit.frozen import frozen

if TYPE_CHECKING:
    from toolkit.documents.directives.ignore import Ignore

UNCOVERED = "D210"

MEMORY = frozenset(
    {
        "peak_memory",
        "weights",
        "gradients",
        "optimizer_states",
        "master_weights",
        "activations",
        "kv_cache",
        "overhead",
        "adapters",
        "fits",
        "gpu_memory",
        "host_memory",
        "change",
    }
)
"""Quantities of a scan that are memory; parameters and space on disk are not."""


@frozen
class Coverage:
    """The memory figures of one document."""

    document: str
    figures: tuple[Figure, ...]

    @property
    def open(self) -> tuple[Figure, ...]:
        """Those that nobody answers for."""
        return tuple(figure for figure in self.figures if not figure.covered and not figure.ignored)

    @property
    def counted(self) -> int:
        """How many there are without those that the document asks to ignore."""
        return sum(figure.covered or not figure.ignored for figure in self.figures)

    @property
    def ignored(self) -> int:
        """How many the document asks to ignore."""
        return len(self.figures) - self.counted

    @property
    def share(self) -> float:
        """The share that claims are bound to, in percent; a document without figures lacks none."""
        return 100 * (1 - len(self.open) / self.counted) if self.counted else 100.0


def figures_of(document: Document, binding: Binding) -> tuple[Figure, ...]:
    """The memory figures of a document in order, each with whether a claim of the binding is bound to it."""
    spans = Spans(
        (document.offset(place.line, place.column), document.offset(place.end_line, place.end_column))
        for claim in binding.claims
        for place in _places(claim)
        if place.end_line is not None and place.end_column is not None
    )
    ignores: list[Ignore] = []
    if addressed(document):
        from toolkit.documents.directives.ignore import read_ignores  # noqa: PLC0415 - few documents ignore anything

        ignores, _ = read_ignores(document)
    scanned = scan(document)
    figures = []
    for claim in scanned.claims:
        if claim.quantity in MEMORY:
            place = scanned.place(claim.start, claim.end)
            start, end = (origin(scanned.steps, offset) for offset in (claim.start, claim.end))
            ignored = any(ignore.holds(place, UNCOVERED) for ignore in ignores)
            text = scanned.written(claim.start, claim.end)
            figures.append(Figure(place, text, claim.quantity, spans.meet(start, end), ignored))
    return tuple(figures)


def coverages(result: CheckResult) -> tuple[Coverage, ...]:
    """The figures of each document, covered where any spec of it covers them; none where nobody looked."""
    by_document: dict[str, dict[Place, Figure]] = {}
    names: dict[str, str] = {}
    for report in result.reports:
        known = by_document.setdefault(str(report.spec.document_path), {})
        for figure in report.figures or ():
            names[str(report.spec.document_path)] = figure.place.path
            earlier = known.get(figure.place)
            known[figure.place] = figure if earlier is None or figure.covered else earlier
    return tuple(
        Coverage(names[document], tuple(figures.values())) for document, figures in by_document.items() if figures
    )


def gated(result: CheckResult, minimum: float) -> CheckResult:
    """The result with a finding for each document of whose memory figures too few are bound to claims."""
    found = []
    for one in coverages(result):
        if one.share < minimum:
            bound = one.counted - len(one.open)
            said = f"{bound} of {one.counted} memory figures are bound to claims, {one.share:.1f} %"
            said += f"; {minimum:g} % are asked for"
            first = one.open[0].place
            found.append(Finding(first, UNCOVERED, said, "bind the others; toolkit check --coverage lists them"))
    return replace(result, findings=(*result.findings, *found))


def _places(claim: BoundClaim) -> Iterator[Place]:
    """Where the figures of a claim stand: the claimed one, and those that it is worked out from.

    Whether something fits is said of all of its sentence: "fits on a 16 GB GPU" claims nothing else of the 16 GB.
    """
    whole = claim.claim.quantity == "fits" or claim.slot_place is None
    yield claim.place if whole or claim.slot_place is None else claim.slot_place
    values = (*claim.where.values(), *claim.terms, claim.start, claim.end)
    yield from (value.place for value in values if isinstance(value, BoundValue))
