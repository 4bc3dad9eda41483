"""The field that says how long a plain training or decoding loop keeps a reference to the model's output."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import one_of

UNTIL_LOSS, UNTIL_STEP, UNTIL_NEXT, UNTIL_END = "loss", "step", "next", "end"
RESULTS = {
    UNTIL_LOSS: "until the loss is computed: the code that computes it returns, or deletes the output",
    UNTIL_STEP: "through backward and the optimizer's step: the loop deletes the output before the next pass",
    UNTIL_NEXT: "until the next pass returns its own output: `outputs = model(**batch)`",
    UNTIL_END: "the prompt's output while all tokens are decoded: it has another name than theirs",
}
TRAINED, DECODED = (UNTIL_LOSS, UNTIL_STEP, UNTIL_NEXT), (UNTIL_STEP, UNTIL_NEXT, UNTIL_END)
"""The choices in training, and in a loop that calls the model on a prompt and on each token after it."""
OWN_LOOP = "plain"
"""The trainer that stands for a loop written by the user."""


def result_fields() -> Iterator[FieldSpec]:
    """The field; a scenario leaves it open where the loop's code is not known."""
    yield FieldSpec(
        "stack.result",
        one_of("how long the output is kept", RESULTS),
        "How long a plain loop keeps a reference to the model's output, logits included; if open, any choice may hold "
        "in training, and `next` where tokens are decoded.",
        (UNTIL_LOSS,),
        frozenset(("logits", "reserved", "device")),
    )
