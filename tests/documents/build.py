"""Quotes and documents for the tests of this folder."""

from toolkit.documents.document import Document
from toolkit.documents.match import Match
from toolkit.documents.quotes import find_quote
from toolkit.finding import Finding, Place
from toolkit.spec.quote import Quote

SPEC = Place("claims.yaml", 7, 12)


def look(text: str, quote: str, under: str | None = None, occurrence: int | None = None) -> Match | Finding:
    """What a quote finds in a text."""
    return find_quote(Document("guide.md", text), Quote(quote, SPEC, under, occurrence))


def found(text: str, quote: str, under: str | None = None, occurrence: int | None = None) -> Match:
    """The match of a quote that must be there."""
    match = look(text, quote, under, occurrence)
    assert isinstance(match, Match), match
    return match


def slot(text: str, quote: str, under: str | None = None, occurrence: int | None = None) -> str:
    """What the one slot of a quote holds."""
    match = found(text, quote, under, occurrence)
    assert len(match.slots) == 1
    raw = text[match.slots[0].start : match.slots[0].end]
    assert "".join(match.slots[0].text.split()) == "".join(raw.replace("\n>", "").split())
    return match.slots[0].text


def refused(text: str, quote: str, under: str | None = None, occurrence: int | None = None) -> Finding:
    """The finding for a quote that must not be found."""
    finding = look(text, quote, under, occurrence)
    assert isinstance(finding, Finding), finding
    assert finding.place == SPEC
    return finding
