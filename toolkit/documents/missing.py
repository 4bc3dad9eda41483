"""Findings for quotes that are not found, or found more than once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from toolkit.documents.document import Document
from toolkit.documents.match import find_matches
from toolkit.documents.matching import TooCommonError
from toolkit.documents.nearest import nearest_line
from toolkit.documents.pattern import Pattern, make_pattern
from toolkit.documents.sections import section_name
from toolkit.documents.wording import shown
from toolkit.finding import Finding, Related, Suggestion
from toolkit.spec.pattern import PatternError
from toolkit.spec.quote import Quote

_LISTED = 5
_LONGEST = 400  # characters of a repair's quote, and of a line that is shown
_BEFORE = 30  # characters of a long line that are shown before a place


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
    candidates = [Related(document.place(start), _line_near(document, start)) for start in starts[:_LISTED]]
    return Finding(
        quote.place,
        "D202",
        f"quote {shown(quote.text)} stands more than once in {_where(document, quote)}: at {places}",
        "Quote more of the sentence, name its heading with `under`, or say which with `occurrence`.",
        related=tuple(candidates),
    )


def lost_quote(document: Document, quote: Quote, section: tuple[int, int], count: int, *, hint: bool) -> Finding:
    """The finding for a quote that does not stand where the spec says; `count` is how often it does."""
    message = f"quote {shown(quote.text)} is not in {_where(document, quote)}"
    repair = "Quote the sentence as it stands now, or delete the claim if it is no longer made."
    if count:
        times = "once" if count == 1 else f"{count} times"
        message = f"quote {shown(quote.text)} stands only {times} in {_where(document, quote)}"
        repair = f"Write an `occurrence` up to {count}."
    finding = Finding(quote.place, "D201", message, repair)
    return _with_hint(finding, document, quote, section) if hint and not count else finding


def _with_hint(finding: Finding, document: Document, quote: Quote, section: tuple[int, int]) -> Finding:
    """The finding with where the quote, or something like it, stands instead."""
    pattern = make_pattern(quote.text)
    if isinstance(pattern, PatternError):
        return finding
    text = (document.body, len(document.text))
    elsewhere = _first(document, pattern, text) if section != text else None
    if elsewhere is not None:
        said = f"; it stands at {_position(document, elsewhere)}, under another heading"
        return _related(_to_other_heading(finding, document, quote, elsewhere), document, said, elsewhere)
    if section[0] and document.body and (start := _first(document, pattern, (0, document.body))) is not None:
        said = f'; it stands in the front matter at {_position(document, start)}: write `under: "---"`'
        return _related(finding, document, said, start)
    part = _first(document, replace(pattern, whole_words=False), section)
    if part is not None:
        said = f"; it stands only as part of a longer word or number, at {_position(document, part)}"
        return _related(finding, document, said, part)
    return _near(finding, document, quote, section) or _near(finding, document, quote, text) or finding


def _to_other_heading(finding: Finding, document: Document, quote: Quote, start: int) -> Finding:
    """The finding with the heading to write, where the quote stands under one alone."""
    from toolkit.documents.reworded import stands_once  # noqa: PLC0415 - only a lost quote needs it

    name = section_name(document, start, start)
    if name is None or not stands_once(document, quote.text, (0, len(document.text))):
        return finding
    return replace(finding, repair=f"Write `under: {shown(name)}`, as `toolkit fix` does.")


def _near(finding: Finding, document: Document, quote: Quote, section: tuple[int, int]) -> Finding | None:
    """The finding with the text most like the quote, and how the quote would read there."""
    from toolkit.documents.near_miss import near_miss  # noqa: PLC0415 - only a lost quote needs it
    from toolkit.documents.reworded import other_typography  # noqa: PLC0415
    from toolkit.documents.word_diff import word_diff  # noqa: PLC0415

    pattern = make_pattern(quote.text)
    assert not isinstance(pattern, PatternError)
    reworded = same = other_typography(document, quote.text, section)
    near = nearest_line(document, pattern, section)
    if same is not None:
        said = f"; line {document.position(same.start)[0]} says the same in other typography"
        finding = _related(finding, document, said, same.start, same.end)
    elif near is not None:
        reworded = near_miss(document, pattern, quote.text, near.shared, section)
        span = (reworded.start, reworded.end) if reworded else (near.shared,)
        finding = _related(finding, document, f"; nearest text, line {near.number}: {shown(near.text)}", *span)
    else:
        return None
    if reworded is None or (quote.occurrence or 1) > 1:
        return finding
    suggestion = Suggestion(reworded.text, word_diff(quote.text, reworded.text), safe=same is not None)
    repair = f"Quote {shown(reworded.text, _LONGEST)} if that makes the claim, or delete the claim."
    if suggestion.safe:
        repair = "Run `toolkit fix`, which quotes the sentence as it stands now."
    return replace(finding, repair=repair, suggestion=suggestion)


def _related(finding: Finding, document: Document, said: str, start: int, end: int | None = None) -> Finding:
    """The finding with more said, and the place that this speaks of."""
    related = Related(document.place(start, end), document.text[start:end] if end else _line_near(document, start))
    return replace(finding, message=finding.message + said, related=(related,))


def _line_near(document: Document, offset: int) -> str:
    """The line around an offset; of a long one, the part that begins shortly before."""
    start, end = document.lines.span(document.lines.at(offset))
    begin = start if offset - start < _LONGEST // 2 else offset - _BEFORE
    return document.text[begin : min(end, begin + _LONGEST)].strip()


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
