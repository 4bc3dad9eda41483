"""Values as PyYAML's safe loader reads them: these tools read their files with it."""

from __future__ import annotations

import re
from fractions import Fraction

from toolkit.spec.yaml.node import Node, Scalar
from toolkit.spec.yaml.refusal import refusal
from toolkit.spec.yaml.scalar import MAX_DIGITS, described

TRUE = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
FALSE = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
"""The spellings of null in yaml/resolver.py."""

_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
_SPELLED_OUT = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE]\+?[0-9]{1,2})?")
_NUMBER = re.compile(r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")


def is_nothing(node: Node) -> bool:
    """Whether a value is null."""
    return isinstance(node, Scalar) and node.plain and node in NOTHING


def truth(node: Node) -> bool | None:
    """A truth value; None where the node has none."""
    if isinstance(node, Scalar) and node.plain and node in TRUE | FALSE:
        return node in TRUE
    return None


def read_truth(node: Node) -> bool:
    """A truth value, or a refusal."""
    value = truth(node)
    if value is None:
        raise refusal("S104", f"{described(node)} is neither true nor false")
    return value


def read_whole(node: Node) -> int:
    """A whole number, or a refusal; 3.0 and 1e9 are whole numbers."""
    if isinstance(node, Scalar) and node.plain and len(node) <= MAX_DIGITS:
        if _WHOLE.fullmatch(node):
            return int(node.replace("_", ""))
        if _SPELLED_OUT.fullmatch(node) and (number := Fraction(str(node))).denominator == 1:
            return int(number)
    raise refusal("S104", f"{described(node)} is not a whole number")


def read_decimal(node: Node) -> float:
    """A number, or a refusal."""
    if isinstance(node, Scalar) and node.plain and len(node) <= 2 * MAX_DIGITS and _NUMBER.fullmatch(node):
        return float(node.replace("_", ""))
    raise refusal("S104", f"{described(node)} is not a number")


def read_word(node: Node) -> str:
    """Text, or a refusal; numbers and truth values are taken as written."""
    if not isinstance(node, Scalar) or not node.strip():
        raise refusal("S104", f"{described(node)} is not text")
    return str(node).strip()
