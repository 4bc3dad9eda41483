"""The known error of each kind of evidence, from a frozen table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from pathlib import Path

from toolkit.facts.names import nearest
from toolkit.frozen import frozen

DATA = Path(__file__).parent / "data" / "accuracy.json"

KINDS = ("computed", "traced", "published", "measured", "exact")
"""The kinds of evidence, as `EvidenceKind` names them."""

SUBJECTS = (
    "weights",
    "gradients",
    "optimizer_states",
    "adapters",
    "kv_cache",
    "parameters",
    "activations",
    "peak_inference",
    "peak_engine",
    "peak_several",
    "peak_full",
    "peak_lora",
    "peak_qlora",
    "overhead",
)
"""The classes of quantities, each with its own known error."""


@frozen
class KnownError:
    """A relative error (a share of 1) that `n` runs were compared with, and its source.

    A `floor` is decided, however many there are; else 95 % of them are within the error.
    """

    error: Fraction
    n: int
    source: str
    floor: bool


def known_error(kind: str, subject: str) -> Fraction:
    """Look up the known relative error of evidence of a kind about a subject."""
    return error_record(kind, subject).error


def error_record(kind: str, subject: str) -> KnownError:
    """Look up the known error with its source. Raises LookupError for an unknown kind or subject."""
    for name, known in ((kind, KINDS), (subject, SUBJECTS)):
        if name not in known:
            near = ", ".join(nearest(name, known)) or "none near it"
            raise LookupError(f"no error is recorded for {name!r}; known are {', '.join(known)} (nearest: {near})")
    return _records()[kind, subject]


@cache
def _records() -> Mapping[tuple[str, str], KnownError]:
    table = json.loads(DATA.read_text(encoding="utf-8"))
    return {
        (record["kind"], subject): KnownError(Fraction(record["error"]), record["n"], record["source"], record["floor"])
        for record in table["records"]
        for subject in record["subjects"]
    }
