"""The words and signs around a number that make it approximate, or a bound."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from toolkit.quantity.markup import GAP, crosses_paragraph
from toolkit.quantity.value import Bound

HEDGES: Final = frozenset(
    {"about", "around", "roughly", "approximately", "approx", "approx.", "circa", "ca."}
    | {"nearly", "almost", "close to", "~", "~=", "∼", "～", "≈", "≃", "≅"}
)
BOUNDS: Final[Mapping[str, Bound]] = MappingProxyType(
    {
        **dict.fromkeys(("up to", "at most", "under", "below", "less than", "fewer than"), Bound.AT_MOST),
        **dict.fromkeys(("no more than", "not more than", "smaller than", "lower than"), Bound.AT_MOST),
        **dict.fromkeys(("max", "max.", "maximum", "maximum of", "<", "<=", "≤", "⩽", "≲"), Bound.AT_MOST),
        **dict.fromkeys(("at least", "over", "above", "more than", "greater than"), Bound.AT_LEAST),
        **dict.fromkeys(("no less than", "not less than", "no fewer than", "larger than"), Bound.AT_LEAST),
        **dict.fromkeys(("higher than", "upwards of", "in excess of", "exceeds"), Bound.AT_LEAST),
        **dict.fromkeys(("min.", "minimum", "minimum of", ">", ">=", "≥", "⩾", "≳"), Bound.AT_LEAST),
    }
)
"""What stands before a number and makes it a bound. Strictness is not kept: "<" reads as "≤"."""

BETWEEN: Final = "between"
"""Opens the range "between 8 and 16 GB"; before anything else it is no part of a value."""

DURING: Final = "over"
"""Before a bare number it is as likely "during" ("over 3 epochs"): a bound only where there is a unit."""

_LEADS: Final = HEDGES | BOUNDS.keys() | {BETWEEN}
_LAST_OF_LEADS: Final = tuple({lead.split()[-1] for lead in _LEADS})
"""What the text before a number ends with where any lead stands there: most numbers have none."""

_LOOK: Final = 36
"""How far before a number its words are looked for, which keeps reading linear."""

_MOST_LEADS: Final = 3
_TOKEN: Final = re.compile(r"[A-Za-z]+\.?|[0-9_-]+|[~<>]=|\S")
_TRAIL: Final = re.compile(
    rf"(?P<sign>\+(?![0-9A-Za-z_+]))|{GAP}(?P<words>(?:or|and){GAP}[a-z]+|at{GAP}(?:least|most)|m(?:in|ax)(?:imum)?)"
    r"(?![0-9A-Za-z_-])",
    re.IGNORECASE,
)
_TRAILS: Final[Mapping[str, Bound]] = MappingProxyType(
    {
        **dict.fromkeys(("or more", "or higher", "or above", "or greater", "or larger"), Bound.AT_LEAST),
        **dict.fromkeys(("and more", "and higher", "and above", "and up", "or better"), Bound.AT_LEAST),
        **dict.fromkeys(("or newer", "or later", "and newer", "at least", "min", "minimum"), Bound.AT_LEAST),
        **dict.fromkeys(("or less", "or lower", "or below", "or fewer", "or under"), Bound.AT_MOST),
        **dict.fromkeys(("or smaller", "and less", "and lower", "and below"), Bound.AT_MOST),
        **dict.fromkeys(("at most", "max", "maximum"), Bound.AT_MOST),
    }
)
_OR_SO: Final = "or so"


class Wording(NamedTuple):
    """How a number is qualified: the hedge as written, the bounds (two that differ contradict each other)."""

    hedge: str | None = None
    bounds: frozenset[Bound] = frozenset()
    between: bool = False
    during: bool = False


_UNQUALIFIED: Final = Wording()


def read_leads(text: str, resume: int, end: int) -> tuple[Wording, int]:
    """The hedges and bounds that end where a number begins, and where they begin, not before `resume`."""
    first = max(resume, end - _LOOK)
    if not text[first:end].rstrip().lower().endswith(_LAST_OF_LEADS):
        return _UNQUALIFIED, end
    tokens = list(_TOKEN.finditer(text, first, end))
    start, leads = end, list[str]()
    while tokens and len(leads) < _MOST_LEADS:
        count = next((n for n in (3, 2, 1) if _is_lead(text, tokens[-n:], n, start)), 0)
        if not count:
            break
        leads.append(_phrase(tokens[-count:]))
        start = tokens[-count].start()
        del tokens[-count:]
    hedge = next((lead for lead in leads if lead in HEDGES), None)
    bounds = frozenset(BOUNDS[lead] for lead in leads if lead in BOUNDS)
    return Wording(hedge, bounds, BETWEEN in leads, DURING in leads), start


def _phrase(tokens: list[re.Match[str]]) -> str:
    return " ".join(token.group().lower() for token in tokens)


def _is_lead(text: str, tokens: list[re.Match[str]], count: int, end: int) -> bool:
    """Whether the last tokens before `end` are one hedge or bound that belongs to the number there."""
    if len(tokens) < count or _phrase(tokens) not in _LEADS:
        return False
    begin = tokens[0].start()
    gap, before = text[tokens[-1].end() : end], text[max(0, begin - 1) : begin]
    if crosses_paragraph(text[tokens[0].start() : end]):
        return False
    if tokens[0].group()[0].isalpha():
        return bool(gap) and not (before.isalnum() or before in {"-", "_"})
    return _is_sign(tokens[0].group(), before, gap)


def _is_sign(sign: str, before: str, gap: str) -> bool:
    """Whether a sign is what it seems: no arrow ("->"), block quote, strike-through ("~~") or name part."""
    if sign[0] == ">":
        return before not in {"-", "=", "<", ">"} and not (before == "\n" and gap != "")
    return before != sign[0] and not (sign[0] == "~" and before.isalnum())


def read_trail(text: str, at: int) -> tuple[Wording, int]:
    """What follows a number at `at` ("+", "or more", "max", "or so"), and where it ends."""
    found = _TRAIL.match(text, at)
    if found is None or crosses_paragraph(found.group()):
        return _UNQUALIFIED, at
    if found["sign"]:
        return Wording(bounds=frozenset({Bound.AT_LEAST})), found.end()
    words = " ".join(found["words"].lower().split())
    if words == _OR_SO:
        return Wording(hedge=words), found.end()
    return (Wording(bounds=frozenset({_TRAILS[words]})), found.end()) if words in _TRAILS else (Wording(), at)
