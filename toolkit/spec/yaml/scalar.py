"""Readers of single values; they refuse what YAML parsers disagree about."""

from __future__ import annotations

import re
from datetime import date

from toolkit.spec.yaml.known import shown
from toolkit.spec.yaml.node import Entries, Items, Node, Scalar
from toolkit.spec.yaml.refusal import refusal

MAX_TEXT = 2_000
MAX_DIGITS = 18
MAX_AMBIGUOUS = 40

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?")
_SHORT = re.compile(r"([1-9][0-9]{0,5})([kKmM])")
_POWERS = {"k": 1, "m": 2}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# What a YAML 1.1 reader makes something else of than a YAML 1.2 reader does.
_AMBIGUOUS = re.compile(
    r"[-+]?0[0-9_]+|[-+]?0[xob][0-9a-f_]+"  # octal, hexadecimal
    r"|[-+]?[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?"  # 1_000
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"  # 12:30
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?"  # dates
    r"|y|n|yes|no|on|off|[-+]?\.inf|\.nan|~||null",
    re.IGNORECASE,
)
_PLAINLY = ("write plain decimal digits; text goes in quotes", "write true or false; text goes in quotes")
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})


def described(raw: Node) -> str:
    """A description of a node, for messages."""
    if isinstance(raw, Entries):
        return "a mapping"
    if isinstance(raw, Items):
        return "a list"
    if raw.plain:
        return shown(raw) if raw else "nothing"
    return f'"{shown(raw)}" in quotes'


def read_text(raw: Node, wanted: str = "text") -> str:
    """Text as it is written: `no`, `12:30` and `5.10` mean their characters."""
    if not isinstance(raw, Scalar):
        raise refusal("S104", f"{described(raw)} is not {wanted}")
    if raw.plain and raw in _NOTHING:
        said = f"`{raw}`" if raw else "an empty value"
        raise refusal("S106", f"{said} is read as nothing by YAML; {wanted} is asked for", "put the text in quotes")
    if not raw.strip():
        raise refusal("S104", f"is empty; {wanted} is asked for")
    if len(raw) > MAX_TEXT:
        raise refusal("S104", f"is longer than {MAX_TEXT:,} characters")
    return str(raw)


def is_null(raw: Node) -> bool:
    """Whether `null` is written."""
    return isinstance(raw, Scalar) and raw.plain and raw == "null"


def read_integer(raw: Node, wanted: str, low: int | None = None, high: int | None = None) -> int:
    """A whole number within bounds, written in decimal digits."""
    digits = _digits(raw, _INTEGER, wanted)
    number = int(digits)
    if low is not None and number < low:
        raise refusal("S104", f"{number} is not {wanted}")
    if high is not None and number > high:
        raise refusal("S104", f"{number:,} is too large: the most that can be said is {high:,}")
    return number


def read_number(raw: Node, wanted: str, low: float = 0.0, high: float = float("inf")) -> float:
    """A number within bounds, written in decimal digits."""
    number = float(_digits(raw, _NUMBER, wanted))
    if not low <= number <= high or number == float("inf"):
        raise refusal("S104", f"{raw} is not {wanted}")
    return number


def read_boolean(raw: Node) -> bool:
    """`true` or `false`."""
    if isinstance(raw, Scalar) and raw.plain and raw in ("true", "false"):
        return raw == "true"
    _refuse_ambiguous(raw, "true or false")
    raise refusal("S104", f"{described(raw)} is neither true nor false")


def read_date(raw: Node) -> date:
    """A day written as 2027-03-01, with or without quotes."""
    if isinstance(raw, Scalar) and _DATE.fullmatch(raw):
        try:
            return date.fromisoformat(raw)
        except ValueError:
            pass
    raise refusal("S104", f"{described(raw)} is not a date such as 2027-03-01")


def plain_data(raw: Node) -> object:
    """A tree as JSON holds it. Only what all YAML readers read alike is more than text."""
    if isinstance(raw, Entries):
        return {key: plain_data(value) for key, value in raw.items()}
    if isinstance(raw, Items):
        return [plain_data(item) for item in raw]
    return untyped(raw)


def untyped(raw: Scalar) -> str | int | float | bool | None:
    """The value of a scalar without a field that decides its type (in a config), as all YAML parsers read it."""
    if not raw.plain:
        return str(raw)
    if raw in ("true", "false", "null"):
        return None if raw == "null" else raw == "true"
    if len(raw) > MAX_DIGITS or not _NUMBER.fullmatch(raw):
        return str(raw)
    return int(raw) if _INTEGER.fullmatch(raw) else read_number(raw, "a number", low=float("-inf"))


def _digits(raw: Node, pattern: re.Pattern[str], wanted: str) -> str:
    if not isinstance(raw, Scalar):
        raise refusal("S104", f"{described(raw)} is not {wanted}")
    if not raw.plain and pattern.fullmatch(raw):
        raise refusal("S104", f"{described(raw)} is text; {wanted} is asked for", f"write {shown(raw)} without quotes")
    if pattern.fullmatch(raw) and raw.plain:
        if len(raw) > MAX_DIGITS:
            raise refusal("S104", f"{shown(raw)} is not {wanted}: it has more than {MAX_DIGITS} digits")
        return str(raw)
    _refuse_ambiguous(raw, wanted)
    raise refusal("S104", f"{described(raw)} is not {wanted}", _written_out(raw))


def _written_out(raw: Scalar) -> str | None:
    """A remark for numbers with a suffix: `2k` tokens are 2048 to some and 2000 to others."""
    found = _SHORT.fullmatch(raw)
    if found is None:
        return None
    number, power = int(found[1]), _POWERS[found[2].lower()]
    return f"write {number * 1024**power} or {number * 1000**power}"


def _refuse_ambiguous(raw: Node, wanted: str) -> None:
    if isinstance(raw, Scalar) and raw.plain and len(raw) <= MAX_AMBIGUOUS and _AMBIGUOUS.fullmatch(raw):
        said = f"`{shown(raw)}` means different things to different YAML readers" if raw else "nothing is written"
        raise refusal("S106", f"{said}; {wanted} is asked for", _PLAINLY[wanted == "true or false"])
