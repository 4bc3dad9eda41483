"""Rows whose bytes follow from a model's config by hand: what each is multiplied out of stands beside it.

SmolLM2-135M: 30 layers of width 576, 9 query and 3 key-value heads of 64, feed-forward 1,536, 134,515,008 parameters.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.input_bases import BASES, EXPERTS, Flags
from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.spec import decide, scenario_from_flags

TRAINED, READ, ANSWERED = BASES["full"], BASES["read"], BASES["answered"]
ROBERTA = {"model": "FacebookAI/roberta-base", "batch_size": "64", "sequence_length": "1"}
PARAMETERS = 134_515_008
TOKENS = 2 * 512
WIDTH, QUERIES, KEYS, WIDER = 576, 9 * 64, 3 * 64, 1_536
LAYER = 2 * WIDTH * QUERIES + 2 * WIDTH * KEYS + 3 * WIDTH * WIDER + 2 * WIDTH
LONG_ZERO = {"parallel.reduce_bucket_size": "100000000", "sequence_length": "4"}


def bytes_of(flags: Flags, phase: PhaseName, name: str) -> int:
    scenario, findings = scenario_from_flags(dict(flags), Path())
    assert scenario is not None, findings
    setting = decide(scenario, {})
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    found = estimate(setting, facts).ledger.phase(phase)
    assert found is not None
    return {row.name: row.bytes for row in found.rows}[name]


@pytest.mark.parametrize(
    ("row", "flags", "phase", "by_hand"),
    [
        # DDP's buckets are a second copy of all gradients, in their dtype.
        ("gradient_buckets", BASES["ddp"], PhaseName.BACKWARD, PARAMETERS * 2),
        # The unit that is copied out of what came is one layer.
        ("gathering_buffer", BASES["fsdp2"], PhaseName.FORWARD_END, LAYER * 2),
        # ZeRO 3 puts a buffer of gradients in order once more: a full one, or all gradients where it has room for them.
        ("reduce_copy", {**BASES["zero3"], **LONG_ZERO}, PhaseName.BACKWARD, 100_000_000 * 2),
        (
            "reduce_copy",
            {**BASES["zero3"], **LONG_ZERO, "parallel.reduce_bucket_size": "500000000"},
            PhaseName.BACKWARD,
            PARAMETERS * 2,
        ),
        # FourierFT makes the change of q and v in float32; the first layer's input needs no gradient, so that
        # backward does not ask for its matrices.
        ("adapter_matrices", BASES["fourierft"], PhaseName.FORWARD_END, 29 * WIDTH * (QUERIES + KEYS) * 4),
        # The gradient of 32 embedded tokens in bf16.
        ("activation_gradients", BASES["short zero2"], PhaseName.BACKWARD, 32 * WIDTH * 2),
        # The feed-forward's way up in int8: one byte of each input, six of each output, and a float32 a token.
        (
            "int8_products",
            {**READ, "weights": "int8"},
            PhaseName.PREFILL,
            TOKENS * (WIDTH + 6 * WIDER) + TOKENS * 4,
        ),
        # Liger's fused loss makes the gradient of all hidden states in forward; TRL's chunked loss gathers them.
        ("loss_hidden_states", BASES["fused loss"], PhaseName.FORWARD_END, 2 * 8_192 * WIDTH * 2),
        ("loss_hidden_states", BASES["packed by trl"], PhaseName.FORWARD_END, TOKENS * WIDTH * 2),
        # RoBERTa's transform of width 768 and its activation.
        (
            "head_states",
            {**TRAINED, "model": "FacebookAI/roberta-base", "head": "masked-lm"},
            PhaseName.FORWARD_END,
            2 * TOKENS * 768 * 2,
        ),
        # RoBERTa's classifier: what both dropouts and the tanh between them leave in bf16, and the masks of the two.
        (
            "pooled_states",
            {**TRAINED, **ROBERTA, "head": "sequence-classification(2)"},
            PhaseName.FORWARD_END,
            64 * 768 * (3 * 2 + 2),
        ),
        # Each of 16 sequences chooses 8 experts of 3 x 1,024 x 512 weights.
        (
            "chosen_experts",
            {**ANSWERED, "model": EXPERTS, "batch_size": "16", "sequence_length": "1"},
            PhaseName.DECODE,
            16 * 8 * 3 * 1_024 * 512 * 2,
        ),
        # LitGPT turns one token's queries and keys.
        ("rotary_states", BASES["litgpt"], PhaseName.DECODE, (QUERIES + KEYS) * 2),
        # Qwen3.5 0.8B: 16 heads of 128 for queries, keys and values each, before or behind the convolution.
        ("convolution_states", BASES["recurrent, answered"], PhaseName.PREFILL, TOKENS * 3 * 16 * 128 * 2),
    ],
)
def test_a_row_is_what_is_multiplied_out_by_hand(row: str, flags: Flags, phase: PhaseName, by_hand: int) -> None:
    assert bytes_of(flags, phase, row) == by_hand
