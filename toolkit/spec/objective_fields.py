"""The fields that say what a model is trained towards, where that is not the next token: data only."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.field_spec import FieldSpec
from toolkit.spec.kind import one_of

NEXT_TOKEN, DPO, GRPO = "next-token", "dpo", "grpo"
OBJECTIVES = {
    NEXT_TOKEN: "the next token of every sequence",
    DPO: "one of two answers rather than the other: direct preference optimization, as TRL's DPOTrainer runs it",
    GRPO: "what is rewarded of answers that another process generates: as TRL's GRPOTrainer runs it",
}
PREFERENCES = (DPO, GRPO)
"""Objectives that hold a model against a reference."""
MODEL, ADAPTERS_OFF, PRECOMPUTED = "model", "adapters-off", "precomputed"
REFERENCES = {
    MODEL: "a second model on the GPU, which is not trained",
    ADAPTERS_OFF: "the model itself without its adapters, in a pass of its own",
    PRECOMPUTED: "log-probabilities that were worked out before training",
}


def objective_fields() -> Iterator[FieldSpec]:
    """The objective, and where the log-probabilities come from that it holds the model's against."""
    yield FieldSpec(
        "objective",
        one_of("an objective", OBJECTIVES),
        "What the model is trained towards. With dpo batch_size counts pairs of sequences of sequence_length tokens, "
        "prompt and answer: the model sees two sequences for each. With grpo it counts answers.",
        (DPO,),
        frozenset(("weights", "activations", "logits", "temporary", "time")),
        "training",
    )
    yield FieldSpec(
        "reference",
        one_of("a reference", REFERENCES),
        "Where the reference's log-probabilities come from. By default dpo has a second model with method full and the "
        "model itself without its adapters with all others, and grpo has none (beta 0).",
        (PRECOMPUTED,),
        frozenset(("weights", "activations", "logits", "temporary", "time")),
        "preferences",
    )
