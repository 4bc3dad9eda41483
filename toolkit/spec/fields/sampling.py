"""The field that says how each generated token is chosen: data only."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import one_of

GREEDY, TOP_K, TOP_P = "greedy", "top-k", "top-p"
SAMPLING = {
    GREEDY: "the token with the highest score",
    TOP_K: "sampled from the best top_k after a temperature: transformers' do_sample, whose top_k is 50 by default",
    TOP_P: "the same with top_p below 1, which sorts all scores",
}


def sampling_fields() -> Iterator[FieldSpec]:
    """How the next token is chosen from its scores."""
    yield FieldSpec(
        "sampling",
        one_of("a way to choose the next token", SAMPLING),
        "How each generated token is chosen.",
        (TOP_P,),
        frozenset(("activations", "logits", "temporary", "time")),
        "inference",
    )
