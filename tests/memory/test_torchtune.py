"""Training with torchtune: its own decoder, losses and 4-bit weights, against traces of its code.

The figures are of torchtune at commit bd2a0fc on meta tensors, its recipes' step written out: a decoder of 4 layers,
512 wide, 1,408 in the feed-forward, 8 query heads that share 2 of keys and values, 32,000 entries and 8,192 positions,
in bfloat16, with 3 sequences of 1,000 tokens and torch's AdamW one parameter after the other. LoRA has rank 8 on all
linears but k. The formula leaves out the counters and scalars of such a step: some KB.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model, model_from_config
from toolkit.memory.architecture.config import UnsupportedModel
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Lora, Setting, Stack

CONFIG = {
    "hidden_size": 512,
    "intermediate_size": 1408,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "vocab_size": 32_000,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
}
CLASSES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}
FULL = Setting(
    "traced",
    "full",
    "bf16",
    compute="bf16",
    amp=False,
    batch_size=3,
    sequence_length=1000,
    optimizer="adamw",
    optimizer_implementation="for-loop",
    optimizer_states="bf16",
    gradients="bf16",
    attention="sdpa",
    gradient_checkpointing="false",
    stack=Stack("torchtune", "chunked"),
)
TARGETS = ("q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
LORA = replace(FULL, method="lora", lora=Lora(8, targets=TARGETS, dtype="bf16"))
OUTPUTS = Stack("torchtune", "chunked", {"torchtune": "0.6.1"})
WHOLE = Stack("torchtune", "cross-entropy")
FORWARD, BACKWARD = PhaseName.FORWARD_END, PhaseName.BACKWARD


def traced_model(kind: str) -> ModelFacts:
    return model_from_config({**CONFIG, "model_type": kind, "architectures": [CLASSES[kind]]}, "traced")


@pytest.mark.parametrize(
    ("kind", "setting", "forward", "backward"),
    [
        ("llama", FULL, 1_037_991_424, 1_058_918_912),
        ("llama", replace(FULL, stack=OUTPUTS), 1_202_919_936, 1_058_916_352),
        ("llama", replace(FULL, stack=WHOLE), 1_346_890_752, 1_730_890_752),
        ("llama", replace(FULL, gradient_checkpointing="non-reentrant"), 767_168_000, 788_095_488),
        ("qwen2", LORA, 847_267_328, 865_122_816),
        ("qwen2", replace(LORA, stack=OUTPUTS), 1_009_123_840, 865_120_256),
        ("qwen2", replace(LORA, stack=WHOLE), 1_153_094_656, 1_537_094_656),
        ("qwen2", replace(LORA, gradient_checkpointing="non-reentrant"), 604_229_120, 622_084_608),
        ("qwen3", LORA, 876_912_640, 894_768_128),
        ("qwen3", FULL, 1_088_735_232, 1_109_662_720),
    ],
)
def test_a_step_takes_what_torchtunes_code_takes(kind: str, setting: Setting, forward: int, backward: int) -> None:
    ledger = estimate(setting, traced_model(kind)).ledger
    made = {phase.name: phase.total for phase in ledger.phases}
    assert made[FORWARD] == pytest.approx(forward, rel=5e-4)
    assert made[BACKWARD] == pytest.approx(backward, rel=5e-4)


def rows(setting: Setting, model: str, phase: PhaseName) -> dict[str, int]:
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    found = estimate(replace(setting, model=model), facts).ledger.phase(phase)
    assert found is not None
    return {row.name: row.bytes for row in found.rows}


def test_a_chunked_loss_keeps_the_probabilities_of_all_tokens() -> None:
    """No part is computed again: 3,000 tokens of 128,256 entries in float32 stay, where TRL's chunks keep none."""
    assert rows(LORA, "meta-llama/Llama-3.1-8B", BACKWARD)["log_probabilities"] == 3000 * 128_256 * 4


@pytest.mark.parametrize(
    ("model", "setting", "tables", "positions", "width"),
    [  # _component_builders.py: lora_*_self_attention makes angles of its own, but in llama3_1 and llama3_2
        ("meta-llama/Llama-3.1-8B", LORA, 1, 131_072, 128),
        ("meta-llama/Meta-Llama-3-8B", LORA, 32, 8192, 128),
        ("meta-llama/Meta-Llama-3-8B", FULL, 1, 8192, 128),
        ("Qwen/Qwen2.5-7B-Instruct", LORA, 28, 32_768, 2 * 128),
    ],
)
def test_tables_of_angles(model: str, setting: Setting, tables: int, positions: int, width: int) -> None:
    assert rows(setting, model, BACKWARD)["rotary_caches"] == tables * positions * width * 4


def test_a_4_bit_weight_is_written_out_by_64_bit_indices() -> None:
    """Of torchao's get_original_weight: 14.03125 bytes a value at the most, measured on 1,024 x 2,048 of them."""
    setting = replace(LORA, method="qlora", weights="nf4", double_quant=True, gradient_checkpointing="non-reentrant")
    small = replace(setting, batch_size=1, sequence_length=16)  # so that nothing is larger
    largest = rows(small, "meta-llama/Llama-2-7b-hf", BACKWARD)["dequantized_weight"]
    assert largest == 4096 * 11_008 * 14.03125


@pytest.mark.parametrize(
    "changes",
    [{"amp": True}, {"attention": "eager"}, {"gradient_checkpointing": "reentrant"}, {"method": "inference"}],
)
def test_what_torchtune_does_not_do_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UnsupportedRow, match="no formula for torchtune"):
        estimate(replace(FULL, **changes), traced_model("llama"))  # type: ignore[arg-type]  # a field of each


def test_families_that_are_not_followed_are_refused() -> None:
    facts = load_model("google/gemma-2b")
    assert isinstance(facts, ModelFacts)
    with pytest.raises(UnsupportedModel, match="torchtune"):
        estimate(replace(FULL, model=facts.id), facts)
