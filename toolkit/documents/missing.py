"""What to say when a quote is not found, or found more than once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from toolkit.documents.document import Document
from toolkit.documents.match import find_matches
from toolkit.documents.matching import TooCommonError
from toolkit.documents.nearest import nearest_line
from toolkit.documents.pattern import Pattern, make_pattern
from toolkit.documents.wording import shown
from toolkit.finding import Finding
from toolkit.spec.pattern import PatternError
from toolkit.spec.quote import Quote

_LISTED = 5


def malformed(quote: Quote, error: PatternError) -> Finding:
    """The finding for a quote that cannot be taken apart, the same that loading a spec gives."""
    return Finding(quote.place, "S104", f"quote {shown(quote.text)} {error.message}")


def too_common(document: Document, quote: Quote) -> Finding:
    """The finding for a quote whose words stand too often to look at each place."""
    message = f"the words of quote {shown(quote.text)} stand too often in {_where(document, quote)} to tell which"
    return Finding(quote.place, "D202", message, "Quote more of the sentence, or name its heading with `under`.")


def several_places(document: Document, quote: Quote, starts: Sequence[int]) -> Finding:
    """The finding for a quote that stands in several places."""
    places = ", ".join(_position(document, start) for start in starts[:_LISTED])
    places += " and more" if len(starts) > _LISTED else ""
    return Finding(
        quote.place,
        "D202",
        f"quote {shown(quote.text)} stands more than once in {_where(document, quote)}: at {places}",
        "Quote more of the sentence, name its heading with `under`, or say which with `occurrence`.",
    )


def lost_quote(document: Document, quote: Quote, section: tuple[int, int], count: int, *, hint: bool) -> Finding:
    """The finding for a quote that does not stand where the spec says; `count` is how often it does."""
    message = f"quote {shown(quote.text)} is not in {_where(document, quote)}"
    repair = "Quote the sentence as it stands now, or delete the claim if it is no longer made."
    if count:
        times = "once" if count == 1 else f"{count} times"
        message = f"quote {shown(quote.text)} stands only {times} in {_where(document, quote)}"
        repair = f"Write an `occurrence` up to {count}."
    elif hint:
        message += _hint(document, quote, section)
    return Finding(quote.place, "D201", message, repair)


def _hint(document: Document, quote: Quote, section: tuple[int, int]) -> str:
    pattern = make_pattern(quote.text)
    if isinstance(pattern, PatternError):
        return ""
    text = (document.body, len(document.text))
    elsewhere = _first(document, pattern, text) if section != text else None
    if elsewhere is not None:
        return f"; it stands at {_position(document, elsewhere)}, under another heading"
    if section[0] and document.body and (start := _first(document, pattern, (0, document.body))) is not None:
        return f'; it stands in the front matter at {_position(document, start)}: write `under: "---"`'
    part = _first(document, replace(pattern, whole_words=False), section)
    if part is not None:
        return f"; it stands only as part of a longer word or number, at {_position(document, part)}"
    near = nearest_line(document, pattern, section) or nearest_line(document, pattern, text)
    return f"; nearest text, line {near[0]}: {shown(near[1])}" if near else ""


def _first(document: Document, pattern: Pattern, section: tuple[int, int]) -> int | None:
    try:
        found = find_matches(document, pattern, section, 1)
    except TooCommonError:
        return None
    return found[0].start if found else None


def _position(document: Document, offset: int) -> str:
    line, column = document.position(offset)
    return f"{line}:{column}"


def _where(document: Document, quote: Quote) -> str:
    return document.shown_path + (f" under {shown(quote.under)}" if quote.under else "")
