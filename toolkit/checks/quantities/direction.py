"""In which direction a change goes, by the words of the document or of the claim's subject."""

from __future__ import annotations

import re
from enum import StrEnum

from toolkit.checks.case import Case

_LESS = re.compile(
    r"\b(?:less|smaller|lower|fewer|reduc\w+|saves?|saving|savings|cheaper|faster|speed-?ups?|shorter|cuts?|drops?)\b|↓",
    re.IGNORECASE,
)
_MORE = re.compile(r"\b(?:more|larger|bigger|higher|greater|longer|slower|increas\w+|gr[eo]w\w*)\b|↑", re.IGNORECASE)


class Direction(StrEnum):
    """Whether what a change leads to is less or more than what it starts from."""

    LESS = "less"
    MORE = "more"


def worded(text: str) -> Direction | None:
    """The direction that a text names; None where it names none, or both."""
    less, more = _LESS.search(text) is not None, _MORE.search(text) is not None
    if less is more:
        return None
    return Direction.LESS if less else Direction.MORE


def stated(case: Case) -> Direction | None:
    """The direction that the claim's subject states (`says: less`), where the quote names the better one, say."""
    said = case.claim.subject.get("says")
    return Direction(said) if said in tuple(Direction) else None


def direction_of(case: Case) -> Direction | None:
    """The direction of a claim: what its subject states, else what the words of its quote name."""
    return stated(case) or worded(case.bound.quote_text)
