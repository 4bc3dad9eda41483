"""Arithmetic written out in a text: where it begins and ends."""

from __future__ import annotations

import re
from typing import Final

from toolkit.frozen import frozen
from toolkit.quantity import Dimension, Value
from toolkit.quantity.markup import BROKEN

_OPERATOR: Final = re.compile(r"[+\-−–*×·/÷^]|\*\*|(?<=[\s\d)])[xX](?=[\s\d(])")
_EQUALS: Final = re.compile(r"[=≈≃≅]|~=")
_MAY_EQUATE: Final = re.compile("[=≈≃≅]|approx|asymp|" + "|".join(one for one, sign in BROKEN.items() if sign == "≈"))
_FORMULA: Final = re.compile(r"[\\{}]|==|:=|!=|<=|>=|->|=>")
_BULLET: Final = re.compile(r"(?:\n|\A)\s*[-*+]\Z")
_OPERATES: Final = re.compile(r"(?:[+−–×·/÷^*<>\\$]|(?<=\S)\s*-)\Z")
_CLOSES: Final = re.compile(r"[\s*_`A-Za-z]{0,24}\)")
_PROSE: Final = re.compile(
    r"[,;]|(?:[-–—]|\.)\s+[A-Za-z]|\b(?:so|because|then|or|if|and|but|for|while|with|over|from|to|that|there|have|has|is|are|at|in|on"
    r"|as|by|when|where|which|we|you|it)\b",
    re.IGNORECASE,
)
"""What shows that two figures stand in one sentence, not in one equation."""

_WORD_SLASH: Final = re.compile(r"(?<=[A-Za-z])/(?=[A-Za-z])")
_ALGEBRA: Final = re.compile(r"[0-9][xy]\s?[-+=)]|[0-9]\*\*[0-9]+\*\*|[0-9)]\s?[*×·/]\s?[A-Za-z](?![A-Za-z0-9])")
"""An unknown, or emphasis of a digit, which reads as a power."""

_CALLED: Final = re.compile(r"[A-Za-z_)]\Z|[0-9A-Za-z)]\s?[*/]\Z")
_ASSIGNED: Final = re.compile(r"[A-Za-z_]=\Z")
_ABOUT: Final = re.compile(r"\W*(?:(?:about|around|roughly|approx\w*|ca|circa|only|just|total)\W*){0,2}", re.IGNORECASE)
_VARIABLE: Final = re.compile(r"\)[a-z]")
_PER_WORD: Final = re.compile(r"[/÷]\s?[A-Za-z]")
_ADDED: Final = re.compile(r"[+−×]\s(?:[A-Za-z-]{1,16}\s){1,4}\Z")
_BEFORE: Final = 60
_LONGEST: Final = 400
_MOST: Final = 200


@frozen
class Equation:
    """A written equation: its place in a text, and where its last side begins."""

    start: int
    end: int
    result: int


@frozen
class _Joint:
    """What stands between two values: whether it calculates or equates, and whether words stand before that sign."""

    operates: bool
    equates: bool
    worded: bool = False


def may_equate(text: str) -> bool:
    """Whether a sign stands in a text that says that two figures are one."""
    return _MAY_EQUATE.search(text) is not None


def equations(text: str, values: list[Value]) -> list[Equation]:
    """Runs of values joined by operators and at least one "=" or "≈", in order; none where a symbol stands in one."""
    found: list[Equation] = []
    first = 0
    while first < len(values):
        last, operates, result, reckoned = first, False, 0, False
        while last + 1 < len(values) and last - first < _MOST:
            joint = _joint(text, values[last], values[last + 1])
            # "480 sequences = 0.5M tokens" says what one is in terms of the other.
            if joint is None or (joint.equates and joint.worded and not reckoned):
                break
            operates |= joint.operates
            reckoned = joint.operates
            result = values[last + 1].start if joint.equates else result
            last += 1
        if result and operates and (whole := _bounded(text, values[first], values[last], result)):
            found.append(whole)
        first = last + 1
    return found


def _joint(text: str, one: Value, other: Value) -> _Joint | None:
    """How two neighbouring values are joined; None where they are not."""
    between = text[one.end : other.start]
    if len(between) > _LONGEST // 4 or "\n\n" in between or _FORMULA.search(between) or _PROSE.search(between):
        return None
    hedged = other.hedge in {"≈", "~="} and not between.strip(" *_`()")
    equates = _EQUALS.search(between)
    if equates and ":" in between[: equates.start()]:
        return None  # "Step 1/100: loss = 3.2"
    if equates or hedged:
        clean = _plain(between.replace(equates.group(), " ", 1) if equates else between)
        worded = equates is not None and _named(between[: equates.start()], between[equates.end() :])
        return _Joint(operates=False, equates=True, worded=worded) if clean else None
    if _worded_shares(between, one, other) or _PER_WORD.search(between):
        return None  # "phase 6 / tier 2" divides nothing, "checkpointing 60% + flash attention 50%" are not added
    bare = _strip_words(_WORD_SLASH.sub("", between))
    bare = bare.strip(" \t\r\n*_`()") if "*" not in bare or bare.strip(" \t\r\n_`()") != "*" else "*"
    return _Joint(operates=True, equates=False) if bare and _OPERATOR.fullmatch(bare) else None


def _named(before: str, after: str) -> bool:
    """Whether words stand beside a sign of equality that say what is equal, more than how nearly it is."""
    return any(map(str.isalpha, before)) or _ABOUT.fullmatch(after) is None


def _worded_shares(between: str, one: Value, other: Value) -> bool:
    shares = one.unit.dimension is other.unit.dimension is Dimension.SHARE
    spaced = "·" in between
    return (shares or spaced) and any(map(str.isalpha, between))


def _strip_words(between: str) -> str:
    """The text between two values without the nouns on either side of its operator, and their parentheses."""
    without = re.sub(r"[A-Za-z][A-Za-z0-9_]{1,24}(?:-[A-Za-z0-9_]{1,24})?\b:?", " ", between)
    return without.strip()


def _plain(between: str) -> bool:
    return not _strip_words(between).strip(" \t\r\n*_`():,")


def _bounded(text: str, first: Value, last: Value, result: int) -> Equation | None:
    """The equation from its first value to its last, parentheses included; None where more belongs to it."""
    start, end = first.start, last.end
    start, end = _balanced(text, start, end)
    if end - start > _LONGEST:
        return None
    raw = text[max(0, start - _BEFORE) : start]
    before, after = raw.rstrip(" \t*_`"), text[end : end + 24].lstrip(" \t*_`")
    if text[start] == "(" and _CALLED.search(raw):
        return None  # the argument of a function, or the second factor of a product
    if _ADDED.search(raw) or _open(before) or _goes_on(after) or _FORMULA.search(text, start, end):
        return None
    if _ALGEBRA.search(text, start, end) or _ASSIGNED.search(raw) or _VARIABLE.match(text, end - 1):
        return None  # an unknown, or a setting in a log: "chunk=7/50 success=699"
    return Equation(start, end, result)


def _balanced(text: str, start: int, end: int) -> tuple[int, int]:
    """The span widened over parentheses that are opened or closed within it."""
    depth = low = 0
    for character in text[start:end]:
        depth += (character == "(") - (character == ")")
        low = min(low, depth)
    for _ in range(-low):
        opened = text.rfind("(", max(0, start - 40), start)
        if opened < 0 or re.fullmatch(r"\(+[\s*_`A-Za-z:]*", text[opened:start]) is None:
            break
        start = opened
    for _ in range(depth - low):
        closed = _CLOSES.match(text, end)
        if closed is None:
            break
        end = closed.end()
    return start, end


def _open(before: str) -> bool:
    """Whether an operator or a function stands before, so that the equation begins earlier."""
    if not before or before[-1] == "\n":
        return False
    if _BULLET.search(before):
        return False
    return _OPERATES.search(before) is not None


def _goes_on(after: str) -> bool:
    """Whether what follows belongs to the last side: another operator, a unit by a slash."""
    return bool(re.match(r"[+−×·/÷^\\]|[;,]\s?[+−×*/]\s?\d|[-–*](?=\s?[\dA-Za-z(])|\s?[xX]\s?\d|%", after))


def operands(values: list[Value], found: list[Equation]) -> set[int]:
    """Places of values that are terms of an equation, before its last side."""
    terms: set[int] = set()
    at = 0
    for equation in found:
        while at < len(values) and values[at].start < equation.result:
            if values[at].start >= equation.start:
                terms.add(values[at].start)
            at += 1
    return terms


def is_bytes(value: Value) -> bool:
    """Whether a value is an amount of memory."""
    return value.unit.dimension is Dimension.BYTES
