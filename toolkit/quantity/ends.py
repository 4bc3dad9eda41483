"""The one number of a value or the two ends of its range, brought to one unit."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final, NamedTuple

from toolkit.quantity.markup import GAP, SPACE, crosses_paragraph
from toolkit.quantity.number import CHUNK, Number
from toolkit.quantity.term import MONEY, Term, read_term
from toolkit.quantity.units import PLAIN
from toolkit.quantity.value import Dimension, Unit

_SECOND: Final = re.compile(
    rf"(?:(?P<open>{SPACE}{{0,2}})(?P<dash>[-–—−‐‑~～∼])(?P<close>{SPACE}{{0,2}})|{GAP}(?P<word>(?i:to|and)){GAP})"
    rf"(?P<hedge>[~≈]{SPACE}?)?(?P<sign>[+\-−])?(?P<money>{MONEY})?(?P<chunk>{CHUNK})"
)
_MORE: Final = re.compile(rf"{SPACE}?[-–—−‐‑~]{SPACE}?\.?[0-9]")
_CHAIN: Final = re.compile(r"(?:[-–—−‐‑~]\.?[0-9][0-9.,:]*+)++")
_FROM: Final = re.compile(rf"(?<![A-Za-z])[Ff]rom{GAP}\Z")
_FROM_LOOK: Final = 16
_MINUS: Final = re.compile(rf"[0-9]{SPACE}{{1,2}}[-–—−]{SPACE}{{1,2}}\Z")
_MINUS_LOOK: Final = 6


class Ends(NamedTuple):
    """The number or two of a value in its unit, and where it ends in the text; no number: it is no value."""

    numbers: tuple[Number, ...]
    unit: Unit
    end: int
    plus: bool = False
    hedge: str | None = None


def read_ends(text: str, first: Term, begin: int, dimension: Dimension | None, *, between: bool) -> Ends:
    """The value whose first number was read: a range if a second number follows, else that number alone.

    A range has a dash ("8-16", "8 – 16", "8~16"), "to", or "between … and". One unit at its end applies to
    both numbers. What rises from one amount with a unit to another ("from 40 GB to 80 GB") is a change: two
    values. A hyphenated pair that falls ("30-5") or goes on ("2025-11-05") is nothing.
    """
    single = Ends((first.number,), first.unit, first.end, first.plus)
    found = None if first.plus else _SECOND.match(text, first.end)
    if found is None or not _joins(text, found, first, begin, between=between):
        return single
    second, after = read_term(text, found, dimension, money=first.money or bool(found["money"]))
    tight = bool(found["dash"]) and not found["open"]
    if tight and (chain := _CHAIN.match(text, after)):
        return Ends((), PLAIN, chain.end())
    if not tight and _MORE.match(text, after):
        return single
    if second is not None and found["dash"] and first.number.value < 0:
        second = second._replace(number=second.number.negated())
    ends = _joined(first, second, "~" if found["hedge"] else None) if second else None
    return ends or (Ends((), PLAIN, after) if tight else single)


def _joins(text: str, found: re.Match[str], first: Term, begin: int, *, between: bool) -> bool:
    if crosses_paragraph(found.group()):
        return False
    if found["dash"]:
        subtracts = _MINUS.search(text, max(0, begin - _MINUS_LOOK), begin) and found["open"]
        return bool(found["open"]) == bool(found["close"]) and not found["sign"] and not subtracts
    if found["word"].lower() == "and":
        return between
    changes = first.unit is not PLAIN and _FROM.search(text, max(0, begin - _FROM_LOOK), begin)
    return not between and not changes


def _joined(first: Term, second: Term, hedge: str | None) -> Ends | None:
    """The range, in the unit of its second end; None if the two do not go together or fall."""
    scales = _scales(first.unit, second.unit)
    if not scales:
        return None
    numbers = (first.number.scaled(scales), second.number)
    low, high = numbers[0].value, numbers[1].value
    if (low < high) if low < 0 and high < 0 else (low > high):
        return None
    return Ends(numbers, second.unit, second.end, second.plus, hedge)


def _scales(first: Unit, second: Unit) -> tuple[Fraction, ...]:
    """What brings a number of the first unit to the second, by reading ("500 MB-1 GB"); empty: nothing."""
    if first is PLAIN or first.symbol == second.symbol or (first.symbol == "$" and second.dimension is Dimension.MONEY):
        return (Fraction(1),)
    if first.dimension is not second.dimension or first.dimension is Dimension.MONEY:
        return ()
    sizes = dict(second.readings)
    if len(first.readings) == len(sizes) and all(name in sizes for name, _ in first.readings):
        return tuple(dict.fromkeys(size / sizes[name] for name, size in first.readings))
    return tuple(dict.fromkeys(size / other for _, size in first.readings for other in sizes.values()))
