"""A number with its unit: one end of a value."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from toolkit.quantity.markup import GAP, SPACE, crosses_paragraph
from toolkit.quantity.number import Number, read_number
from toolkit.quantity.units import AMBIGUOUS, PLAIN, RATES, REFUSED, SIGNS_OF_OPERATION, UNITS, unit_named
from toolkit.quantity.value import Dimension, Unit

MONEY: Final = rf"(?<![A-Za-z$])(?:(?:US)?\$|USD){SPACE}?"
WORD_CHARACTER: Final = re.compile(r"[0-9A-Za-z_\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f]")
"""What a number or a unit cannot touch. Latin letters only: other scripts write "需要16GB" for a value."""

_UNIT: Final = re.compile(
    rf"(?P<plus>\+?)(?P<gap>[-‐‑]|{GAP}|)"
    r"(?P<word>(?i:percentage points?|per cent)|[A-Za-zµμ]{1,24}+(?![0-9A-Za-z_µμ])|[%×](?![0-9]))"
)
_MONEY_SCALE: Final = re.compile(
    rf"(?P<plus>\+?)(?:(?P<letter>[KMB])|{GAP}(?P<word>thousand|million|billion))(?![0-9A-Za-z_])",
    re.IGNORECASE,
)
_MONEY_RATE: Final = re.compile(
    rf"{SPACE}?(?:/{SPACE}?|(?:per|an?){SPACE})(?P<per>{'|'.join(RATES)})(?![0-9A-Za-z_-])",
    re.IGNORECASE,
)
_SCALE_LETTERS: Final = {"thousand": "K", "million": "M", "billion": "B"}
_PER_SECOND: Final = re.compile(
    rf"{SPACE}?(?:/{SPACE}?|per{SPACE})(?:s|sec|second|min|minute|h|hr|hour)(?![0-9A-Za-z_])"
)
_OPERAND: Final = re.compile(rf"{SPACE}{{1,4}}(?:\(|\$?\.?[0-9])")
_NAME_TAIL: Final = re.compile(r"[-‐‑](?!param)[A-Za-z]")
_TOLERANCE: Final = re.compile(rf"{SPACE}{{0,4}}(?:±|\+/-)")
_PLURAL_AT: Final = 4


class Term(NamedTuple):
    """A number and the unit written after it (`PLAIN` where there is none). `plus` as in "16+ GB"."""

    number: Number
    unit: Unit
    end: int
    money: bool = False
    plus: bool = False


def read_term(text: str, found: re.Match[str], dimension: Dimension | None, *, money: bool) -> tuple[Term | None, int]:
    """The term whose sign and `CHUNK` are the groups "sign" and "chunk" of a match, and where to go on.

    `money` says that the term is an amount of money, by a sign of its own or of the other end of its range.
    """
    number, end = read_number(text, *found.span("chunk"))
    if number is None:
        return None, end
    if found["sign"] in {"-", "−"}:
        number = number.negated()
    term = _amount(text, end, number) if money else _measured(text, end, number, found["chunk"], dimension)
    return term, term.end if term else end


def _amount(text: str, at: int, number: Number) -> Term | None:
    """An amount of money: "$25K", "$1.50/hour". A second dollar sign ("$10^9$") marks a formula."""
    symbol, end, plus = "$", at, False
    if scale := _MONEY_SCALE.match(text, at):
        symbol += (scale["letter"] or _SCALE_LETTERS[scale["word"].lower()]).upper()
        end, plus = scale.end(), bool(scale["plus"])
    elif WORD_CHARACTER.match(text, at):
        return None
    if rate := _MONEY_RATE.match(text, end):
        symbol += f"/{RATES[rate['per'].lower()]}"
        end = rate.end()
    return None if text.startswith("$", end) else Term(number, UNITS[symbol], end, money=True, plus=plus)


def _measured(text: str, at: int, number: Number, digits: str, dimension: Dimension | None) -> Term | None:
    found = _UNIT.match(text, at)
    if found is None:
        bare = WORD_CHARACTER.match(text, at) is None and _TOLERANCE.match(text, at) is None
        return Term(number, PLAIN, at) if bare else None
    word, gap = found["word"], found["gap"]
    unit = unit_named(word, spaced=bool(gap), dimension=dimension)
    if unit is None:
        return Term(number, PLAIN, at) if _is_noun(word, gap) else None
    if unit.dimension is Dimension.RATIO and _OPERAND.match(text, found.end()):
        return Term(number, PLAIN, at)
    if crosses_paragraph(gap) or ("\n" in gap and len(word) == 1):
        return Term(number, PLAIN, at)
    if _misleads(text, found, unit, digits, dimension):
        return None
    return Term(number, unit, found.end(), plus=bool(found["plus"]))


def _is_noun(word: str, gap: str) -> bool:
    """Whether a word after a number that is no unit leaves the number a plain one: "320 examples", "2 × 4".

    No noun is a word on the number ("350W", "8x22B"), a compound ("4-bit"), or a unit that is ambiguous or
    not read.
    """
    if word in SIGNS_OF_OPERATION:
        return bool(gap) and gap not in "-‐‑"
    return bool(gap) and gap not in "-‐‑" and word not in REFUSED and word not in AMBIGUOUS


def _misleads(text: str, found: re.Match[str], unit: Unit, digits: str, dimension: Dimension | None) -> bool:
    """Whether what looks like a unit says something else."""
    word, hyphened = found["word"], found["gap"] in {"-", "‐", "‑"}
    if hyphened and (unit.dimension not in {Dimension.BYTES, Dimension.SECONDS} or len(word) == 1):
        return True  # "8-x"; but "80-GB card", "5-minute run" are values
    if unit.dimension in {Dimension.COUNT, Dimension.RATIO} and _NAME_TAIL.match(text, found.end()):
        return True  # "13b-chat"; but "7B-parameter model" is a value
    if unit.dimension is Dimension.BYTES and _PER_SECOND.match(text, found.end()):
        return True  # a bandwidth
    # "RTX 4090s", "the 1990s": a plural. Asked for seconds, it is seconds.
    plural = word == "s" and not found["gap"] and len(digits) == _PLURAL_AT and digits.isdigit()
    return plural and dimension is not Dimension.SECONDS
