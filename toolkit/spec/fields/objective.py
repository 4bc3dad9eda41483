"""The fields that say what a model is trained towards, where that is not the next token: data only."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import Integer, one_of

NEXT_TOKEN, DPO, KTO, GRPO = "next-token", "dpo", "kto", "grpo"
ORPO, CPO, SIMPO, REWARD = "orpo", "cpo", "simpo", "reward"
OBJECTIVES = {
    NEXT_TOKEN: "the next token of every sequence",
    DPO: "one of two answers rather than the other: direct preference optimization, as TRL's DPOTrainer runs it",
    KTO: "answers that are wanted or not, each by itself: as TRL's KTOTrainer runs it",
    ORPO: "one of two answers by their odds, without a reference: as TRL's ORPOTrainer runs it",
    CPO: "one of two answers without a reference, and the next token of that: as TRL's CPOTrainer runs it",
    SIMPO: "the same without the next token: CPOTrainer with cpo_alpha 0",
    REWARD: "a score that is higher for one of two answers: as TRL's RewardTrainer runs it",
    GRPO: "what is rewarded of answers that the model or another process generates: as TRL's GRPOTrainer runs it",
}
PREFERENCES = (DPO, KTO, GRPO)
"""Objectives that hold a model against a reference."""
WHOLE_PAIRS = (ORPO, CPO, SIMPO)
"""Objectives whose trainers take log-probabilities of all logits at once, as the model gives them."""
PAIRED = (DPO, *WHOLE_PAIRS, REWARD)
"""Objectives on pairs of answers, of which a batch has two sequences each."""
STEADY = (DPO, KTO, *WHOLE_PAIRS, REWARD)
"""Objectives whose trainers turn dropout off (disable_dropout of their configs)."""
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
        "What the model is trained towards. With dpo, orpo, cpo, simpo and reward batch_size counts pairs of sequences "
        "of sequence_length tokens, prompt and answer: the model sees two sequences for each. With kto and grpo it "
        "counts answers. reward is for head sequence-classification with one label.",
        (DPO,),
        frozenset(("weights", "activations", "logits", "temporary", "time")),
        "training",
    )
    yield FieldSpec(
        "reference",
        one_of("a reference", REFERENCES),
        "Where the reference's log-probabilities come from. By default dpo and kto have a second model with method "
        "full and the model itself without its adapters with all others, and grpo has none (beta 0).",
        (PRECOMPUTED,),
        frozenset(("weights", "activations", "logits", "temporary", "time")),
        "preferences",
    )
    yield FieldSpec(
        "answer_length",
        Integer("a whole number of tokens", 0, 10**9),
        "Tokens of sequence_length that are the answer's, where the model that trains generates answers itself, as "
        "GRPOTrainer does without vLLM: those of batch_size x gradient_accumulation prompts at once. With 0 another "
        "process does.",
        ("256",),
        frozenset(("kv_cache", "activations", "logits", "temporary", "time")),
        "answers",
    )
