"""Text to expression tree, linear in the text: at most `MAX_TOKENS` tokens and `MAX_DEPTH` parentheses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Literal

from toolkit.frozen import frozen
from toolkit.quantity import find_values
from toolkit.quantity.value import Dimension, Value

MAX_TOKENS = 200
MAX_DEPTH = 16
MAX_TEXT = 1_000
_OPERATORS = {
    "+": "+",
    "-": "-",
    "−": "-",
    "–": "-",
    "*": "*",
    "×": "*",
    "·": "*",
    "x": "*",
    "/": "/",
    "÷": "/",
    "^": "^",
}
_EQUALS_AS_HEDGE = {"≈", "~", "~=", "≃", "≅"}
"""Behind an operand these stand for "is about"; before a lone number they hedge it."""
_EQUALS = {"=", "≈", "≃", "→", "->", "=>"}
_SPACED_MINUS = re.compile(r"(?<=\S)\s{1,4}[-−]\s{1,4}(?=\S)")
_TOKEN = re.compile(r"\s+|\*\*|`|->|=>|[A-Za-z_][\w.-]*|.", re.DOTALL)


class EquationError(ValueError):
    """The text is no arithmetic that this grammar reads; says what it met."""


@frozen
class Number:
    """A value as written. One in a formula is a constant, and exact: "1 - share"."""

    value: Value
    exact: bool = False


@frozen
class Name:
    """A name that stands for a value bound elsewhere."""

    name: str


@frozen
class Binary:
    """Two expressions joined by an operator."""

    operator: str
    left: Expression
    right: Expression


Expression = Number | Name | Binary


@frozen
class _Token:
    kind: Literal["value", "name", "operator", "equals", "open", "close"]
    text: str
    value: Value | None = None


@lru_cache(maxsize=256)
def parse_equation(text: str, *, minus: bool = False) -> tuple[Expression, ...]:
    """The sides of an equation, two or more, as expressions. Raises EquationError.

    "8 - 12 GB" is a range unless `minus` says that a hyphen between spaces subtracts.
    """
    sides: list[Expression] = []
    current: list[_Token] = []
    for token in _tokens(text, names=False, minus=minus):
        if token.kind == "equals":
            sides.append(_Parser(current).whole())
            current = []
        else:
            current.append(token)
    sides.append(_Parser(current).whole())
    if len(sides) < 2:
        raise EquationError("there is no '=' or '≈' in it")
    return tuple(sides)


def parse_expression(text: str) -> Expression:
    """A formula over names and numbers, without '='. Raises EquationError."""
    return _Parser(list(_tokens(text, names=True, minus=True)), exact=True).whole()


def _tokens(text: str, *, names: bool, minus: bool) -> Iterator[_Token]:
    if len(text) > MAX_TEXT:
        raise EquationError(f"it is longer than {MAX_TEXT} characters")
    parts = _SPACED_MINUS.split(text) if minus else [text]
    for count, token in enumerate(_tokens_of_all(parts, names=names), start=1):
        if count > MAX_TOKENS:
            raise EquationError(f"it has more than {MAX_TOKENS} parts")
        yield token


def _tokens_of_all(parts: list[str], *, names: bool) -> Iterator[_Token]:
    """The tokens of texts between which a minus stands."""
    yield from _tokens_between(parts[0], names=names)
    for part in parts[1:]:
        yield _Token("operator", "-")
        # Behind a parenthesis, since "1)" at the start of a text would be the number of a list.
        yield from islice(_tokens_between(f"({part}", names=names), 1, None)


def _tokens_between(text: str, *, names: bool) -> Iterator[_Token]:
    values = iter(find_values(text))
    upcoming = next(values, None)
    position = 0
    after_operand = after_share = False
    while position < len(text):
        if upcoming is not None and position == upcoming.start:
            if after_operand and upcoming.hedge in _EQUALS_AS_HEDGE:
                yield _Token("equals", upcoming.hedge)
            after_operand = True
            after_share = upcoming.unit.dimension is Dimension.SHARE
            yield _Token("value", upcoming.text, upcoming)
            position, upcoming = upcoming.end, next(values, None)
            continue
        match = _TOKEN.match(text, position)
        assert match is not None, "the pattern matches any character"
        position = match.end()
        if after_share and match.group() == "of":
            token: _Token | None = _Token("operator", "*")  # "80 % of 400"
        else:
            token = _token(match.group(), names=names)
        if token:
            after_operand, after_share = token.kind in {"name", "close"}, False
            yield token
        # A value that the scan above stepped into (inside a word) is no number of its own.
        while upcoming is not None and upcoming.start < position:
            upcoming = next(values, None)


def _token(text: str, *, names: bool) -> _Token | None:
    """The token for a piece of text that is no value; None for white space, emphasis and nouns."""
    if text in _EQUALS:
        return _Token("equals", text)
    if text in _OPERATORS:
        return _Token("operator", _OPERATORS[text])
    if text == "(":
        return _Token("open", text)
    if text == ")":
        return _Token("close", text)
    if text[0].isalpha() or text[0] == "_":
        return _Token("name", text) if names else None
    if text.isspace() or text in {"**", "`", "~", ",", ".", ":"}:
        return None
    raise EquationError(f"{text!r} is not part of any arithmetic")


class _Parser:
    """Recursive descent over a list of tokens."""

    def __init__(self, tokens: list[_Token], *, exact: bool = False) -> None:
        self._tokens = tokens
        self._exact = exact
        self._next = 0
        self._depth = 0

    def whole(self) -> Expression:
        expression = self._sum()
        if self._next < len(self._tokens):
            raise EquationError(f"{self._tokens[self._next].text!r} stands where an operator should")
        return expression

    def _peek(self, *operators: str) -> bool:
        if self._next >= len(self._tokens):
            return False
        token = self._tokens[self._next]
        return token.kind == "operator" and token.text in operators

    def _take(self) -> _Token:
        if self._next >= len(self._tokens):
            raise EquationError("a number is missing at the end")
        self._next += 1
        return self._tokens[self._next - 1]

    def _sum(self) -> Expression:
        left = self._product()
        while self._peek("+", "-"):
            left = Binary(self._take().text, left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._power()
        while self._peek("*", "/"):
            left = Binary(self._take().text, left, self._power())
        return left

    def _power(self) -> Expression:
        left = self._atom()
        if self._peek("^"):
            self._take()
            return Binary("^", left, self._atom())
        return left

    def _atom(self) -> Expression:
        token = self._take()
        if token.value is not None:
            return Number(token.value, self._exact)
        if token.kind == "name":
            return Name(token.text)
        if token.kind != "open":
            raise EquationError(f"{token.text!r} stands where a number should")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise EquationError(f"parentheses are nested deeper than {MAX_DEPTH}")
        inner = self._sum()
        if self._take().kind != "close":
            raise EquationError("a parenthesis is not closed")
        self._depth -= 1
        return inner


def exponent_of(expression: Expression) -> int:
    """The whole number that an exponent is, between -30 and 30. Raises EquationError."""
    if isinstance(expression, Number) and len(expression.value.printed) == 1:
        number = expression.value.printed[0]
        if number.denominator == 1 and abs(number) <= 30:  # far beyond any byte count
            return int(number)
    raise EquationError("an exponent is not a whole number up to 30")
