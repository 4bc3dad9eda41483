"""Yes, no or barely, as a table cell or a short sentence says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from itertools import zip_longest
from types import MappingProxyType
from typing import Final

from toolkit.quantity.markup import plain_text


class Mark(StrEnum):
    """An answer as written. BARELY is a yes that says of itself that it is a tight or a partial one."""

    YES = "yes"
    NO = "no"
    BARELY = "barely"


# Each sign is followed by what its UTF-8 bytes become in Windows-1252 and in Mac Roman: real documents hold
# them.
_SIGNS: Final[Mapping[str, Mark]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("✔", "âœ”", "‚úî", "✅", "âœ…", "‚úÖ", "✓", "âœ“", "‚úì", "☑", "â˜‘", "‚òë", "👍", "🟢"),
            Mark.YES,
        ),
        **dict.fromkeys(
            ("❌", "âŒ", "â\x9dŒ", "‚ùå", "✗", "âœ—", "‚úó", "✘", "âœ˜", "‚úò", "✖", "âœ–", "‚úñ"), Mark.NO
        ),
        **dict.fromkeys(("🚫", "⛔", "â›”", "‚õî", "👎", "🔴"), Mark.NO),
        **dict.fromkeys(("⚠", "âš\xa0", "‚ö†", "🟡", "🟠"), Mark.BARELY),
    }
)
_WORDS: Final[Mapping[str, Mark]] = MappingProxyType(
    {
        **dict.fromkeys(("yes", "fit", "fits", "fitting", "work", "works", "feasible", "possible", "viable"), Mark.YES),
        **dict.fromkeys(("ok", "okay", "fine", "good", "best", "fast", "safe", "safely", "supported"), Mark.YES),
        **dict.fromkeys(("comfortable", "comfortably", "easy", "easily", "manageable", "suitable"), Mark.YES),
        **dict.fromkeys(("enough", "sufficient", "suffices", "runs", "runnable", "can", "could"), Mark.YES),
        **dict.fromkeys(("enable", "enables", "enabling", "allows", "allowing"), Mark.YES),
        **dict.fromkeys(
            ("impossible", "infeasible", "unfeasible", "insufficient", "unsupported", "unsuitable"), Mark.NO
        ),
        **dict.fromkeys(("fail", "fails", "failed", "oom", "exceed", "exceeds", "exceeded", "exceeding"), Mark.NO),
        **dict.fromkeys(("barely", "tight", "tightly", "marginal", "marginally", "borderline"), Mark.BARELY),
        **dict.fromkeys(("partial", "partially", "partly"), Mark.BARELY),
    }
)
_ALONE: Final[Mapping[str, Mark]] = MappingProxyType(
    {"yes": Mark.YES, "y": Mark.YES, "true": Mark.YES, "no": Mark.NO, "n": Mark.NO, "false": Mark.NO}
)
"""Words that decide where they stand alone at the beginning: "No, too large"; but not "No further steps"."""

_OPENINGS: Final[Mapping[str, Mark]] = MappingProxyType(
    {"out": Mark.NO, "too": Mark.NO, "no": Mark.YES, "just": Mark.BARELY}
)
"""What the phrases of `_TOKEN` mean, by their first word: "out of memory", "no problem", "just fits"."""

_NEGATIONS: Final = frozenset({"not", "no", "never", "without", "nor", "neither"})
_REFUSALS: Final = frozenset({"cannot", "can't", "can’t", "couldn't", "couldn’t", "won't", "won’t", "unable"})
_REACH: Final = 3
"""How many words a negation reaches: "not at all feasible"."""

_LONGEST: Final = 1_000
_TOKEN: Final = re.compile(
    r"(?P<phrase>(?<![A-Za-z])(?i:out of memory|too (?:large|big|small|little|much)|no (?:problem|issue)s?"
    r"|just (?:fits?|enough))(?![A-Za-z]))|(?P<word>[A-Za-z]++(?:['’-][A-Za-z]++)*+)"
    rf"|(?P<sign>{'|'.join(_SIGNS)})|(?P<stop>[.;:,!()\n–—]|\s-\s)"
)


def parse_mark(text: str) -> Mark | None:
    """The answer that a cell ("✅✅", "❌ Impossible") or a phrase ("is *not* feasible") gives, or None.

    A sign or a "Yes" or "No" by itself at the beginning decides; else all words must agree. A "tight" beside
    a yes makes it BARELY. None too for what contradicts itself ("✅ → ❌", "fits, but fails"), for more than
    1,000 characters.
    """
    if len(text) > _LONGEST:
        return None
    # A question is no answer: "Fits? No".
    tokens = list(_TOKEN.finditer(plain_text(text).text.rpartition("?")[2]))
    signs = {_SIGNS[token.group()] for token in tokens if token.lastgroup == "sign"}
    if signs >= {Mark.YES, Mark.NO}:
        return None
    words = _answers(tokens)
    answer = _decided(tokens, signs) or _agreed(words)
    return Mark.BARELY if answer is Mark.YES and Mark.BARELY in words | signs else answer


def _decided(tokens: list[re.Match[str]], signs: set[Mark]) -> Mark | None:
    if signs:
        return _agreed(signs)
    if not tokens or tokens[0].lastgroup != "word":
        return None
    alone = len(tokens) == 1 or tokens[1].lastgroup == "stop"
    return _ALONE.get(tokens[0].group().lower()) if alone else None


def _agreed(answers: set[Mark]) -> Mark | None:
    if answers >= {Mark.YES, Mark.NO}:
        return None
    return next((mark for mark in (Mark.NO, Mark.YES, Mark.BARELY) if mark in answers), None)


def _answers(tokens: list[re.Match[str]]) -> set[Mark]:
    """What each word says, turned round within reach of a negation. A negated "tight" says nothing."""
    answers: set[Mark] = set()
    negated = 0
    for token, following in zip_longest(tokens, tokens[1:]):
        word = token.group().lower()
        mark = _OPENINGS[word.split()[0]] if token.lastgroup == "phrase" else _WORDS.get(word)
        if token.lastgroup == "stop":
            negated = 0
        elif mark is not None:
            answers |= _turned(mark) if negated else {mark}
        elif word in _REFUSALS or word in _NEGATIONS or word.endswith(("n't", "n’t")):
            alone = word == "no" and (following is None or following.lastgroup == "stop")
            answers |= {Mark.NO} if alone or word in _REFUSALS else set()
            negated = _REACH + 1
        negated = max(0, negated - 1)
    return answers


def _turned(mark: Mark) -> set[Mark]:
    return {Mark.YES: {Mark.NO}, Mark.NO: {Mark.YES}, Mark.BARELY: set[Mark]()}[mark]
