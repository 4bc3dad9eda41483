"""The field that says whether a pass without gradients gets labels, as when perplexity is measured: data only."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import one_of

NO_LABELS, CACHED, UNCACHED = "none", "cached", "uncached"
EVALUATIONS = {
    NO_LABELS: "the model is given no labels",
    CACHED: "labels for the loss, and the model fills a cache, as by default: `model(ids, labels=ids)`",
    UNCACHED: "labels, and no cache: use_cache=False",
}


def evaluation_fields() -> Iterator[FieldSpec]:
    """Whether the model computes a loss."""
    yield FieldSpec(
        "evaluation",
        one_of("what an evaluation asks for", EVALUATIONS),
        "Whether a plain loop that generates nothing passes labels to the model, as one that measures perplexity does.",
        (UNCACHED,),
        frozenset(("activations", "logits", "kv_cache", "temporary", "time")),
        "inference",
    )
