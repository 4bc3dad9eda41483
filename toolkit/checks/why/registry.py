"""The hypotheses, in the order in which they are tried: the plainest mistake first."""

from __future__ import annotations

from toolkit.checks.refusals import REFUSALS
from toolkit.checks.why.bytes_per_parameter import bits_alone, size_in_the_name
from toolkit.checks.why.forgotten_terms import forgotten_row, steady_terms, weights_alone
from toolkit.checks.why.hypothesis import Hypothesis, Why
from toolkit.checks.why.stored_elements import share_of_stored_elements, stored_elements
from toolkit.checks.why.units import other_reading

_COMPONENTS = frozenset({"weights", "gradients", "optimizer_states", "adapters"})
_BYTES = _COMPONENTS | {"peak_memory", "activations", "kv_cache", "overhead"}

HYPOTHESES = (
    Hypothesis("size in the name", _COMPONENTS | {"parameters"}, size_in_the_name),
    Hypothesis("bits alone", frozenset({"weights"}), bits_alone),
    Hypothesis("stored elements", frozenset({"parameters"}), stored_elements),
    Hypothesis("share of stored elements", frozenset({"trainable_share"}), share_of_stored_elements),
    Hypothesis("other reading of GB", _BYTES, other_reading),
    Hypothesis("weights alone", frozenset({"peak_memory"}), weights_alone),
    Hypothesis("steady terms alone", frozenset({"peak_memory"}), steady_terms),
    Hypothesis("forgotten row", frozenset({"peak_memory"}), forgotten_row),
)


def explain(why: Why) -> str | None:
    """The sentence of the first hypothesis that reproduces the printed number, if any does."""
    for hypothesis in HYPOTHESES:
        if why.quantity not in hypothesis.quantities:
            continue
        try:
            found = next((r for r in hypothesis.reproductions(why) if why.reproduces(r.value)), None)
        except REFUSALS:
            continue
        if found is not None:
            return found.sentence()
    return None
