"""The field that says how long a loop of one's own keeps a reference to the model's output."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import one_of

UNTIL_LOSS, UNTIL_STEP, UNTIL_NEXT, UNTIL_END = "loss", "step", "next", "end"
RESULTS = {
    UNTIL_LOSS: "until there is the loss: the code that takes it returns, or deletes the result",
    UNTIL_STEP: "until the loop has gone back and stepped: it deletes the result before the next pass",
    UNTIL_NEXT: "until the next pass has given its own: `outputs = model(**batch)`",
    UNTIL_END: "the prompt's, while all tokens are decoded: it has another name than theirs",
}
TRAINED, DECODED = (UNTIL_LOSS, UNTIL_STEP, UNTIL_NEXT), (UNTIL_STEP, UNTIL_NEXT, UNTIL_END)
"""What there is in training, and in a loop that calls the model on a prompt and on each token after it."""
OWN_LOOP = "plain"
"""The trainer that stands for a loop of one's own."""


def result_fields() -> Iterator[FieldSpec]:
    """The field; a scenario leaves it open where the code of the loop is not known."""
    yield FieldSpec(
        "stack.result",
        one_of("how long a result has a name", RESULTS),
        "A plain loop: how long it has a name for what the model gives, logits and all; without it, either may be in "
        "training, and until the next pass where tokens are decoded.",
        (UNTIL_LOSS,),
        frozenset(("logits", "reserved", "device")),
    )
