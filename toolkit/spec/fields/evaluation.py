"""The field that says whether a pass without gradients is given labels, as a measure of perplexity is: data only."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import one_of

NO_LABELS, CACHED, UNCACHED = "none", "cached", "uncached"
EVALUATIONS = {
    NO_LABELS: "the model is given no labels",
    CACHED: "labels, of which it takes the loss, and it fills a cache as it does by default: `model(ids, labels=ids)`",
    UNCACHED: "labels, and no cache: use_cache=False",
}


def evaluation_fields() -> Iterator[FieldSpec]:
    """Whether the model takes a loss of its logits."""
    yield FieldSpec(
        "evaluation",
        one_of("what an evaluation asks for", EVALUATIONS),
        "Whether a plain loop that generates nothing gives the model labels, as one does that measures perplexity.",
        (UNCACHED,),
        frozenset(("activations", "logits", "kv_cache", "temporary", "time")),
        "inference",
    )
