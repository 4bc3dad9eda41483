"""GB read as GiB, or the other way round."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from toolkit.checks.why.hypothesis import Reproduction, Why
from toolkit.quantity import Interval, Reading, display_interval
from toolkit.quantity.value import Dimension

_OTHER = {"decimal": ("binary", "2^30"), "binary": ("decimal", "10^9")}


def other_reading(why: Why) -> Iterator[Reproduction]:
    """The true value, printed in the unit that the document does not mean."""
    value = why.case.value(Dimension.BYTES)
    if value is None or len(why.case.readings) != 1:
        return
    other, size = _OTHER[why.case.readings[0]]
    interval = value.readings().get(other)
    evidence = why.truth
    if interval is None or evidence is None or not interval.meets(evidence):
        return
    own = next(iter(why.claimed.readings.values()))
    inside = own.low if own.low is not None else own.high
    assert inside is not None
    yield Reproduction(inside, partial(_told, evidence, "binary" if other == "binary" else "decimal", size))


def _told(truth: Interval, reading: Reading, size: str) -> str:
    shown = display_interval(truth, Dimension.BYTES, reading)
    return f"it is right in units of {size} bytes ({shown}), which this document does not mean"
