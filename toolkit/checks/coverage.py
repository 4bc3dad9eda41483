"""Coverage: which memory figures of a document have a claim bound to them, and which have none."""

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
"""The quantities that count as memory figures; parameters and disk space do not."""


@frozen
class Coverage:
    """The memory figures of one document."""

    document: str
    figures: tuple[Figure, ...]

    @property
    def open(self) -> tuple[Figure, ...]:
        """Figures with neither a claim nor a comment."""
        return tuple(figure for figure in self.figures if not figure.covered and not figure.ignored)

    @property
    def counted(self) -> int:
        """The number of figures, without those that the document asks to ignore."""
        return sum(figure.covered or not figure.ignored for figure in self.figures)

    @property
    def ignored(self) -> int:
        """The number of figures that the document asks to ignore."""
        return len(self.figures) - self.counted

    @property
    def share(self) -> float:
        """The share of figures with a claim, in percent; 100 for a document without figures."""
        return 100 * (1 - len(self.open) / self.counted) if self.counted else 100.0


def figures_of(document: Document, binding: Binding) -> tuple[Figure, ...]:
    """The memory figures of a document in order, each marked if a claim of the binding covers it."""
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
    """The coverage of each document by all of its specs; empty where the run did not look for figures."""
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
    """The result with a finding for each document whose coverage is below `minimum` percent."""
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
    """The places of a claim's figures: of the claimed one, and of those that it is worked out from.

    A claim of quantity `fits` covers its whole quote: "fits on a 16 GB GPU" makes no other claim about the 16 GB.
    """
    whole = claim.claim.quantity == "fits" or claim.slot_place is None
    yield claim.place if whole or claim.slot_place is None else claim.slot_place
    values = (*claim.where.values(), *claim.terms, claim.start, claim.end)
    yield from (value.place for value in values if isinstance(value, BoundValue))
