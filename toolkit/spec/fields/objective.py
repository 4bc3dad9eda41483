"""The fields that name the training objective where it is not the next token: data only."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import Integer, one_of

NEXT_TOKEN, DPO, KTO, GRPO = "next-token", "dpo", "kto", "grpo"
ORPO, CPO, SIMPO, REWARD = "orpo", "cpo", "simpo", "reward"
OBJECTIVES = {
    NEXT_TOKEN: "the next token of every sequence",
    DPO: "direct preference optimization, the better of two answers: as TRL's DPOTrainer runs it",
    KTO: "single answers that are wanted or not: as TRL's KTOTrainer runs it",
    ORPO: "the better of two answers by their odds, without a reference: as TRL's ORPOTrainer runs it",
    CPO: "the better of two answers without a reference, and its next tokens: as TRL's CPOTrainer runs it",
    SIMPO: "the same without the next tokens: CPOTrainer with cpo_alpha 0",
    REWARD: "a score that is higher for the better of two answers: as TRL's RewardTrainer runs it",
    GRPO: "the reward of answers that the model or another process generates: as TRL's GRPOTrainer runs it",
}
PREFERENCES = (DPO, KTO, GRPO)
"""Objectives that compare a model with a reference."""
WHOLE_PAIRS = (ORPO, CPO, SIMPO)
"""Objectives whose trainers take log-probabilities of all logits at once, as the model returns them."""
PAIRED = (DPO, *WHOLE_PAIRS, REWARD)
"""Objectives on pairs of answers: each pair is two sequences of a batch."""
STEADY = (DPO, KTO, *WHOLE_PAIRS, REWARD)
"""Objectives whose trainers turn dropout off (disable_dropout of their configs)."""
MODEL, ADAPTERS_OFF, PRECOMPUTED = "model", "adapters-off", "precomputed"
REFERENCES = {
    MODEL: "a second model on the GPU, which is not trained",
    ADAPTERS_OFF: "the model itself with its adapters disabled, in a pass of its own",
    PRECOMPUTED: "log-probabilities that were computed before training",
}


def objective_fields() -> Iterator[FieldSpec]:
    """The objective, and where the reference's log-probabilities come from."""
    yield FieldSpec(
        "objective",
        one_of("an objective", OBJECTIVES),
        "The training objective. With dpo, orpo, cpo, simpo and reward, batch_size counts pairs of sequences of "
        "sequence_length tokens (prompt and answer): the model sees two sequences per pair. With kto and grpo it "
        "counts answers. reward is for head sequence-classification with one label.",
        (DPO,),
        frozenset(("weights", "activations", "logits", "temporary", "time")),
        "training",
    )
    yield FieldSpec(
        "reference",
        one_of("a reference", REFERENCES),
        "Where the reference's log-probabilities come from. By default dpo and kto use a second model with method "
        "full and the model without its adapters with any other method; grpo uses none (beta 0).",
        (PRECOMPUTED,),
        frozenset(("weights", "activations", "logits", "temporary", "time")),
        "preferences",
    )
    yield FieldSpec(
        "answer_length",
        Integer("a whole number of tokens", 0, 10**9),
        "Tokens of the answer within sequence_length, where the trained model generates the answers itself, as "
        "GRPOTrainer does without vLLM: for batch_size x gradient_accumulation prompts at once. 0 where another "
        "process generates them.",
        ("256",),
        frozenset(("kv_cache", "activations", "logits", "temporary", "time")),
        "answers",
    )
