"""How long a loop of somebody's own has a name for what the model gives."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import one_of

UNTIL_LOSS, UNTIL_STEP, UNTIL_NEXT = "loss", "step", "next"
RESULTS = {
    UNTIL_LOSS: "until there is the loss: the code that takes it returns, or deletes the result",
    UNTIL_STEP: "until the loop has gone back and stepped: it deletes the result before the next pass",
    UNTIL_NEXT: "until the next pass has given its own: `outputs = model(**batch)`",
}
OWN_LOOP = "plain"
"""The trainer that is a loop of somebody's own."""


def result_fields() -> Iterator[FieldSpec]:
    """The field, which a scenario leaves out where the loop's code was not seen."""
    yield FieldSpec(
        "stack.result",
        one_of("how long a result has a name", RESULTS),
        "A plain loop: how long it has a name for what the model gives, logits and all; without it, either may be.",
        (UNTIL_LOSS,),
        frozenset(("reserved", "device")),
        "training",
    )
