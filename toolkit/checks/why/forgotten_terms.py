"""Peaks that leave out a term of the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from toolkit.checks.why.hypothesis import Reproduction, Why
from toolkit.memory.ledger import Category
from toolkit.quantity import display_bytes

STEADY = (
    Category.WEIGHTS,
    Category.ADAPTERS,
    Category.MASTER_WEIGHTS,
    Category.GRADIENTS,
    Category.OPTIMIZER_STATES,
    Category.KV_CACHE,
)
SMALLEST_SHARE = Fraction(1, 50)
"""A forgotten row below 2 % of the peak explains nothing that rounding would not."""


def weights_alone(why: Why) -> Iterator[Reproduction]:
    """The weights taken for the whole."""
    weights = why.situation.estimate(why.choice).ledger.phases[0].of(Category.WEIGHTS)
    yield Reproduction(Fraction(weights), f"the weights alone ({display_bytes(weights, why.case.reading)}) reproduce it")


def steady_terms(why: Why) -> Iterator[Reproduction]:
    """What stays from step to step, without activations, logits and temporaries."""
    steady = max(phase.of(*STEADY) for phase in why.situation.estimate(why.choice).ledger.phases)
    shown = display_bytes(steady, why.case.reading)
    yield Reproduction(
        Fraction(steady), f"what stays between steps ({shown}) reproduces it; activations, logits and temporaries are left out"
    )


def forgotten_row(why: Why) -> Iterator[Reproduction]:
    """The peak without one of its rows, the largest first."""
    peak = why.situation.estimate(why.choice).ledger.peak
    for row in sorted(peak.rows, key=lambda row: -row.bytes):
        if row.bytes > SMALLEST_SHARE * peak.total:
            shown = display_bytes(row.bytes, why.case.reading)
            yield Reproduction(Fraction(peak.total - row.bytes), f"the peak without {row.name} ({shown}) reproduces it")
