"""Marks: the places of claims in a document, each with the verdicts to show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from toolkit.checks.details import claim_details
from toolkit.checks.judgement import Judgement, Verdict
from toolkit.documents.document import Document
from toolkit.finding import printable
from toolkit.frozen import frozen

SHAPES = {Verdict.AGREES: "✓", Verdict.DISAGREES: "✗", Verdict.DEPENDS: "◐", Verdict.UNCHECKED: "?"}
"""A sign for each verdict, readable without colour."""

WORST_FIRST = (Verdict.DISAGREES, Verdict.DEPENDS, Verdict.UNCHECKED, Verdict.AGREES)

MARKUP_AT_EDGES = ("**", "__", "~~", "*", "_", "`", " ", "\t", "\r", "\n")


@frozen
class ClaimView:
    """One claim as a page shows it. All texts are plain and still have to be escaped."""

    line: int
    claimed: str
    quantity: str
    scenario: str
    verdict: str
    known: bool
    reason: str
    details: tuple[tuple[str, str], ...]

    @property
    def label(self) -> str:
        """The verdict in words: "disagrees, known" for an acknowledged one."""
        return f"{self.verdict}, known" if self.known else self.verdict

    @property
    def shape(self) -> str:
        """The sign of the verdict."""
        return SHAPES[Verdict(self.verdict)]


@frozen
class Mark:
    """The claims at one piece of the text, from `start` to `end` as offsets of the document."""

    number: int
    start: int
    end: int
    claims: tuple[ClaimView, ...]

    @property
    def worst(self) -> ClaimView:
        """The claim that colours the mark: the worst one, of which unacknowledged errors come first."""
        return min(self.claims, key=lambda claim: (WORST_FIRST.index(Verdict(claim.verdict)), claim.known))


def marks_of(document: Document, judgements: Iterable[Judgement]) -> tuple[Mark, ...]:
    """The marks of a document in its order; claims about the same piece of text share one."""
    at: dict[tuple[int, int], list[ClaimView]] = {}
    for judgement in judgements:
        start, end = _span(document, judgement)
        at.setdefault((start, end), []).append(_view(judgement, document.text[start:end]))
    ordered = sorted(at, key=lambda span: (span[0], -span[1]))
    return tuple(Mark(number, *span, tuple(at[span])) for number, span in enumerate(ordered, 1))


def _view(judgement: Judgement, claimed: str) -> ClaimView:
    outcome = judgement.outcome
    return ClaimView(
        line=judgement.place.line,
        claimed=one_line(claimed.replace("**", "").replace("`", "")),
        quantity=judgement.quantity,
        scenario=one_line(judgement.scenario or ""),
        verdict=judgement.verdict.value,
        known=judgement.verdict is Verdict.DISAGREES and not judgement.gates,
        reason=one_line(outcome.reason),
        details=tuple((label, one_line(text)) for label, text in claim_details(judgement)),
    )


def one_line(text: str) -> str:
    """Untrusted text on one line, without characters that hide or reorder others."""
    return printable(" ".join(text.split()))


def counts(claims: Sequence[ClaimView]) -> Iterator[tuple[str, str, int]]:
    """The sign, the label and the count of every verdict; acknowledged claims are counted apart."""
    for verdict in (Verdict.AGREES, Verdict.DISAGREES):
        count = sum(claim.verdict == verdict and not claim.known for claim in claims)
        yield SHAPES[verdict], verdict.value, count
    yield SHAPES[Verdict.DISAGREES], "disagrees, known", sum(claim.known for claim in claims)
    for verdict in (Verdict.DEPENDS, Verdict.UNCHECKED):
        yield SHAPES[verdict], verdict.value, sum(claim.verdict == verdict for claim in claims)


def _span(document: Document, judgement: Judgement) -> tuple[int, int]:
    """The claimed words without the emphasis around them."""
    place = judgement.place
    start = document.offset(place.line, place.column)
    end = document.offset(place.end_line or place.line, place.end_column or place.column)
    return _inside(document.text, start, end)


def _inside(text: str, start: int, end: int) -> tuple[int, int]:
    while True:
        piece = text[start:end]
        left = next((edge for edge in MARKUP_AT_EDGES if piece.startswith(edge)), "")
        right = next((edge for edge in MARKUP_AT_EDGES if piece.endswith(edge)), "")
        if (not left and not right) or len(piece) <= len(left) + len(right):
            return start, end
        start, end = start + len(left), end - len(right)
