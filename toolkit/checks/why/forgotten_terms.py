"""Peaks that leave out a term of the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from toolkit.checks.why.hypothesis import Reproduction, Why
from toolkit.memory.ledger import Category
from toolkit.quantity import display_bytes

SMALLEST_SHARE = Fraction(1, 50)
"""A forgotten row below 2 % of the peak explains nothing that rounding would not."""


def weights_alone(why: Why) -> Iterator[Reproduction]:
    """The weights taken for the whole."""
    weights = why.situation.estimate(why.choice).ledger.phases[0].of(Category.WEIGHTS)
    yield _told(why, weights, "the weights alone ({}) reproduce it", weights)


def steady_terms(why: Why) -> Iterator[Reproduction]:
    """What stays from step to step, without activations, logits and temporaries."""
    steady = why.situation.estimate(why.choice).ledger.steady
    said = "what stays between steps ({}) reproduces it; activations, logits and temporaries are left out"
    yield _told(why, steady, said, steady)


def forgotten_row(why: Why) -> Iterator[Reproduction]:
    """The peak without one of its rows, the largest first."""
    peak = why.situation.estimate(why.choice).ledger.peak
    total = peak.total
    for row in sorted(peak.rows, key=lambda row: -row.bytes):
        if row.bytes > SMALLEST_SHARE * total:
            yield _told(why, total - row.bytes, f"the peak without {row.name} ({{}}) reproduces it", row.bytes)


def _told(why: Why, value: int, sentence: str, shown: int) -> Reproduction:
    return Reproduction(Fraction(value), lambda: sentence.format(display_bytes(shown, why.case.reading)))
