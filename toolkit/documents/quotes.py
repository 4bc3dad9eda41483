"""Find a quote in a document: the one place where it stands, or why there is none."""

from __future__ import annotations

from toolkit.documents.document import Document
from toolkit.documents.match import Match, find_matches
from toolkit.documents.matching import TooCommonError
from toolkit.documents.missing import lost_quote, malformed, several_places, too_common
from toolkit.documents.pattern import Pattern, make_pattern, without_quote_markers
from toolkit.documents.sections import find_section
from toolkit.finding import Finding
from toolkit.spec.pattern import PatternError
from toolkit.spec.quote import Quote

_LISTED = 6  # five are shown, the sixth tells that there are more


def find_quote(document: Document, quote: Quote, *, hint: bool = True) -> Match | Finding:
    """The one place of a quote. A finding lies at the quote's place in the spec and names the document.

    `hint` looks for what the sentence may have become, at a cost that a caller with many lost quotes saves.
    """
    section = (document.body, len(document.text))
    if quote.under is not None:
        named = find_section(document, quote.under, hint=hint)
        if isinstance(named, Finding):
            return Finding(quote.place, named.code, named.message, named.repair)
        section = named
    return find_within(document, quote, section, hint=hint)


def find_within(document: Document, quote: Quote, section: tuple[int, int], *, hint: bool = True) -> Match | Finding:
    """The one place of a quote between two offsets."""
    pattern = make_pattern(quote.text)
    if isinstance(pattern, PatternError):
        return malformed(quote, pattern)
    wanted = quote.occurrence or _LISTED
    try:
        found = find_matches(document, pattern, section, wanted)
        if not found:
            found = _without_markers(document, quote, section, wanted)
    except TooCommonError:
        return too_common(document, quote)
    if not found or (quote.occurrence or 1) > len(found):
        return lost_quote(document, quote, section, len(found), hint=hint)
    if quote.occurrence is None and len(found) > 1:
        return several_places(document, quote, [match.start for match in found])
    return found[(quote.occurrence or 1) - 1]


def _without_markers(document: Document, quote: Quote, section: tuple[int, int], wanted: int) -> list[Match]:
    """Places of a quote that was copied with the block quote markers at its line starts."""
    bare = without_quote_markers(quote.text)
    pattern = None if bare == quote.text else make_pattern(bare)
    if not isinstance(pattern, Pattern):
        return []
    found = find_matches(document, pattern, section, wanted)
    return [match for match in found if document.structure.quote_depth[document.lines.at(match.start)]]
