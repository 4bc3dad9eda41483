"""One figure for several components: "weights + optimizer", as `subject: {plus: [optimizer_states]}` says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from toolkit.checks.quantities.memory_quantity import Known, MemoryQuantity
from toolkit.memory.ledger import Category, PhaseName
from toolkit.quantity import display_bytes
from toolkit.quantity.interval import Interval

HELD: Mapping[str, Category] = {
    category.value: category
    for category in (
        Category.WEIGHTS,
        Category.ADAPTERS,
        Category.GRADIENTS,
        Category.OPTIMIZER_STATES,
        Category.MASTER_WEIGHTS,
    )
}
"""What is held from step to step and can be told apart: quantities that a figure may count together."""


class AddedRowsError(ValueError):
    """A claim adds what cannot be added; says what can."""


def with_added(quantity: MemoryQuantity[Known], subject: Mapping[str, Any]) -> MemoryQuantity[Known]:
    """The quantity with the components that the claim's subject adds to it. Raises AddedRowsError."""
    said = subject.get("plus", ())
    names = (said,) if isinstance(said, str) else tuple(map(str, said))
    if not names:
        return quantity
    for name in (quantity.name, *names):
        if name not in HELD:
            raise AddedRowsError(f"{name!r} is nothing that a sum of components counts; those are {', '.join(HELD)}")
    if len({quantity.name, *names}) <= len(names):
        raise AddedRowsError("a component is counted twice")
    categories = [HELD[name] for name in names]

    def added(known: Known) -> int:
        phase = known.ledger.phase(PhaseName.OPTIMIZER_STEP) or known.ledger.phases[0]
        return phase.of(*categories)

    def of(known: Known) -> Interval:
        own, more = quantity.of(known), added(known)
        assert own.low is not None
        assert own.high is not None
        return Interval(own.low + more, own.high + more)

    def fact(known: Known) -> str:
        words = " and ".join(name.replace("_", " ") for name in names)
        return f"{quantity.fact(known)}, and {display_bytes(added(known), 'binary')} of {words}"

    name = " and ".join((quantity.name, *names))
    return replace(quantity, name=name, of=of, moved_by=quantity.moved_by | set(names), fact=fact)
