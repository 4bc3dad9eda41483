"""Rows that are filled up: masks with zeros, the kernels that take them, and what these hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.trace.agree import agree
from tests.memory.trace.cut import cut
from tests.memory.trace.real_run import real_peaks
from toolkit.facts.models import ModelFacts, model_from_config
from toolkit.memory.context import Scale
from toolkit.memory.formula.attention.fused_kernel import efficient_working
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.trace.many.surface import Sizes
from toolkit.memory.trace.stand_ins.kernels import scratch_of
from toolkit.memory.trace.trace import UnsupportedTrace, accounted, trace
from toolkit.spec.settings.setting import Lora, Parallel, Setting

pytestmark = pytest.mark.reference

MIXED: dict[str, Any] = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
LLAMA, QWEN, MISTRAL = "meta-llama/Llama-2-7b-hf", "Qwen/Qwen2.5-0.5B", "mistralai/Mistral-7B-v0.1"
BERT, T5 = "google-bert/bert-base-uncased", "google-t5/t5-small"
BATCH, LENGTH = 3, 512
SIZES: dict[str, Any] = {"batch_size": BATCH, "sequence_length": LENGTH, "padding": True}
PAIRS = BATCH * LENGTH * LENGTH
NEAR = 8 * 1024
"""Bytes by which small tensors (seeds, sums of lengths, positions), each in 512-byte blocks, differ besides."""

LORA = Setting(LLAMA, "lora", "bf16", lora=Lora(8, 16, "all-linear"), **MIXED, **SIZES)
INFER = Setting(LLAMA, "inference", "bf16", generated_length=4, **SIZES)


def total(setting: Setting, phase: PhaseName, layers: int = 2) -> int:
    found = trace(setting, cut(setting.model, layers), whole=True).ledger.phase(phase)
    assert found is not None
    return found.total


def moved(setting: Setting, phase: PhaseName = PhaseName.FORWARD_END, layers: int = 2) -> int:
    """What padding adds to a phase, less the 64-bit mask that comes with the batch."""
    full = replace(setting, padding=False)
    return total(setting, phase, layers) - total(full, phase, layers) - BATCH * LENGTH * 8


@pytest.mark.parametrize("layers", [1, 3])
def test_sdpa_keeps_a_bias_of_each_pair_in_each_layer(layers: int) -> None:
    """A mask rules out the flash kernel; the memory-efficient one saves its 16-bit bias (no grouped heads here)."""
    assert moved(LORA, layers=layers) == pytest.approx(layers * PAIRS * 2, abs=NEAR)


def test_sdpa_with_a_mask_repeats_keys_and_values_of_groups() -> None:
    """Qwen2.5-0.5B: 14 query heads and 2 of keys, each 64 wide; two layers keep 12 more of both, in 16 bit."""
    grouped = replace(LORA, model=QWEN)
    repeated = 2 * 2 * BATCH * LENGTH * 12 * 64 * 2
    assert moved(grouped) == pytest.approx(2 * PAIRS * 2 + repeated, abs=NEAR)


def test_checkpoints_keep_the_mask_once_a_byte_for_each_pair() -> None:
    assert moved(replace(LORA, gradient_checkpointing="non-reentrant")) == pytest.approx(PAIRS, abs=NEAR)


def test_eager_attention_of_a_decoder_has_a_mask_in_any_case() -> None:
    assert moved(replace(LORA, attention="eager")) == pytest.approx(0, abs=NEAR)


def test_flash_attention_keeps_its_result_as_it_gathered_it_and_as_it_put_it_back() -> None:
    """Trained output projections keep the latter: 32 heads of 128 in 16 bit, in each of two layers."""
    full = Setting(LLAMA, "full", "bf16", attention="flash", **SIZES)
    assert moved(full) == pytest.approx(2 * BATCH * LENGTH * 4096 * 2, abs=64 * 1024)


def test_flash_attention_gathers_all_of_a_cache_for_each_token() -> None:
    """Keys and values gathered, and values laid out for it: three of B x 515 x 4,096 in 16 bit at the last token."""
    tokens = LENGTH + 3
    plain, padded = (replace(INFER, attention="flash", padding=padding) for padding in (False, True))
    # Without them the fullest moment is the growth of the last layer's cache: its old keys, or values, once more.
    grown = BATCH * (tokens - 1) * 4096 * 2
    added = total(padded, PhaseName.DECODE) - total(plain, PhaseName.DECODE)
    assert added == pytest.approx(3 * BATCH * tokens * 4096 * 2 - grown, abs=512 * 1024)


def test_each_row_has_angles_of_its_own_to_generate() -> None:
    """Cosines and sines of 512 x 128 in 16 bit for each of three rows instead of one; and 16-bit biases of a layer."""
    angles = 2 * (BATCH - 1) * LENGTH * 128 * 2
    mask = PAIRS
    assert moved(INFER, PhaseName.PREFILL) == pytest.approx(angles + mask, abs=3 * NEAR)


def test_a_backward_of_flash_attention_sums_over_128_tokens_more_for_each_row() -> None:
    import torch

    def states(heads: int) -> torch.Tensor:
        return torch.empty(1000, heads, 64, dtype=torch.bfloat16, device="meta")

    rows = torch.empty(3, dtype=torch.int32, device="meta")  # two rows begin and end at three numbers
    given = [states(8), states(8), states(2), states(2), states(8), rows, rows]
    before, after = scratch_of("aten::_flash_attention_backward", given, {})
    padded = 1000 + 2 * 128
    assert before == ()
    assert after == (padded * 8 * 4, padded * 8 * 64 * 4, 1000 * 8 * 64 * 2, 1000 * 8 * 64 * 2)


def test_a_backward_of_the_memory_efficient_kernel_sums_in_blocks() -> None:
    """Of 2 x 12 heads with 100 tokens of 64: two blocks of 64 x 64 float32 numbers each, with a lock of 16 bytes."""
    import torch

    states = torch.empty(2, 12, 100, 64, dtype=torch.bfloat16, device="meta")
    before, after = scratch_of("aten::_scaled_dot_product_efficient_attention_backward", [states] * 4, {})
    blocks = 2 * 12 * 2 * (64 * 64 * 4 + 16)
    assert (before, after) == ((), (2 * 12 * 112 * 4, blocks))  # row sums of a whole multiple of 16 tokens
    _, working = efficient_working(12, 64)
    assert Scale(2, 100).bytes(working.parts()) == blocks
    _, working = efficient_working(12, 64, lone=True)
    assert Scale(2, 1).bytes(working.parts()) == blocks // 2


MODELS = (LLAMA, QWEN, MISTRAL, "google/gemma-2-2b", "openai-community/gpt2", "bigcode/gpt_bigcode-santacoder")
METHODS: dict[str, dict[str, Any]] = {
    "full": {"method": "full", "weights": "fp32", **MIXED, "gradient_checkpointing": "reentrant"},
    "full, 16 bit": {"method": "full", "weights": "bf16"},
    "lora": {"method": "lora", "weights": "bf16", "lora": Lora(8, 16, "all-linear", 0.05), **MIXED},
    "qlora": {
        "method": "qlora", "weights": "nf4", "lora": Lora(8), **MIXED, "gradient_checkpointing": "non-reentrant",
    },
    "inference": {"method": "inference", "weights": "bf16", "generated_length": 12},
}  # fmt: skip
QUICK = ((QWEN, "lora", "sdpa"), (MISTRAL, "inference", "flash"))


def decoders() -> Iterator[Any]:
    for model in MODELS:
        for name, fields in METHODS.items():
            for attention in ("sdpa", "eager", "flash"):
                marks = () if (model, name, attention) in QUICK else pytest.mark.slow
                setting = Setting(model, **fields, **{**SIZES, "sequence_length": 1000}, attention=attention)
                yield pytest.param(setting, id=f"{model}: {name}, {attention}", marks=marks)


@pytest.mark.parametrize("setting", list(decoders()))
def test_formulas_agree_with_traces(setting: Setting) -> None:
    agree(setting, 3, peak=0.0005, elsewhere=0.0015)


def test_windows_agree() -> None:
    """Five of six layers see 512 tokens, and have a mask of that and of padding; one sees all, and has another."""
    windowed = replace(LORA, model="google/gemma-3-270m", gradient_checkpointing="non-reentrant", sequence_length=1024)
    agree(windowed, 6, peak=0.001, elsewhere=0.005)


def encoders() -> Iterator[Any]:
    for model, method, attention in product(
        (BERT, T5), ("full, checkpointed", "full, 16 bit", "lora", "inference"), ("sdpa", "eager")
    ):
        marks = pytest.mark.slow if model == T5 else ()
        yield pytest.param(model, method, attention, id=f"{model}: {method}, {attention}", marks=marks)


@pytest.mark.parametrize(("model", "method", "attention"), list(encoders()))
def test_encoders_agree(model: str, method: str, attention: str) -> None:
    head = "masked-lm" if model == BERT else "causal-lm"
    if method == "full, checkpointed":
        fields: dict[str, Any] = {**METHODS["full"], "gradient_checkpointing": "non-reentrant"}
    else:
        fields = {**METHODS[method], "lora": METHODS[method].get("lora") and Lora(8, 16, "all-linear")}
    if head == "masked-lm":
        fields.pop("generated_length", None)
    setting = Setting(model, **fields, **SIZES, head=head, attention=attention)
    agree(setting, 3, peak=0.0012, elsewhere=0.005)


REAL: dict[str, Any] = {
    "method": "full", "weights": "fp32", "compute": "fp32", "gradients": "fp32", "optimizer_states": "fp32",
    "optimizer": "sgd", "optimizer_implementation": "for-loop", "attention": "eager", "batch_size": 2,
    "sequence_length": 64, "padding": True,
}  # fmt: skip
SMALL = {"vocab_size": 2048, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}


def small(name: str) -> ModelFacts:
    """A model without dropout, of which a CPU keeps other masks."""
    whole = cut(name)
    still = {key: 0.0 for key in whole.config if "drop" in key}
    return model_from_config({**whole.config, **SMALL, **still}, name)


@pytest.mark.parametrize("checkpointing", ["false", "non-reentrant"])
@pytest.mark.parametrize(("name", "head"), [(QWEN, "causal-lm"), (BERT, "masked-lm")])
def test_a_trace_is_what_a_real_run_with_a_zero_in_its_mask_asks_for(name: str, head: str, checkpointing: str) -> None:
    facts = small(name)
    setting = Setting(name, head=head, **REAL, gradient_checkpointing=checkpointing)
    real, found = real_peaks(setting, facts), trace(setting, facts).ledger
    seen = [found.phase(phase) for phase in (PhaseName.FORWARD_END, PhaseName.BACKWARD)]
    forward, backward = (phase.total - phase.of(Category.WORKSPACE) for phase in seen if phase is not None)
    assert forward == pytest.approx(real.forward, rel=0.0005)
    assert backward == pytest.approx(real.backward, rel=0.0005)


def test_checkpoints_of_a_real_run_of_an_encoder_keep_a_mask_that_full_rows_do_not_have() -> None:
    """Else nothing of the above would have shown that the mask was there: float32, and 64-bit as it was given."""
    facts, length = small(BERT), 256
    fields = {**REAL, "sequence_length": length, "gradient_checkpointing": "non-reentrant"}
    padded = Setting(BERT, head="masked-lm", **fields)
    more = real_peaks(padded, facts).forward - real_peaks(replace(padded, padding=False), facts).forward
    assert more == pytest.approx(2 * length * length * 4 + 2 * length * 8, abs=4096)


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["sdpa", "flash"])
def test_few_layers_at_few_sizes_tell_those_of_all(attention: str) -> None:
    setting = replace(LORA, model=QWEN, attention=attention)
    model = cut(QWEN, 8)
    surface = Sizes(setting, model).surface((2, 64), (8, 1024))
    for point in ((3, 1000), (8, 1024)):
        there = trace(replace(setting, batch_size=point[0], sequence_length=point[1]), model, whole=True)
        assert accounted(setting, surface.at(point), "").allocated == there.allocated


@pytest.mark.parametrize("strategy", ["ddp", pytest.param("fsdp2", marks=pytest.mark.slow)])
def test_padded_rows_on_two_gpus_agree(strategy: str) -> None:
    shared = Setting(QWEN, "full", "bf16", **SIZES, parallel=Parallel(2, strategy))
    agree(shared, 2, peak=0.0005, elsewhere=0.001)


def test_long_generations_are_lengthened_with_their_masks() -> None:
    """Of steps that are left out, later ones find a mask that is as long as if they had been run."""
    setting = replace(INFER, model=QWEN, sequence_length=32, generated_length=400)
    assert "steps from" in trace(setting, cut(QWEN, 1), whole=True).how
    agree(setting, 1, peak=0.0005, elsewhere=0.001)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"weights": "fp32", "compute": "fp32", "attention": "flash"}, "FlashAttention takes no float32"),
        ({"model": "deepseek-ai/DeepSeek-V2-Lite", "attention": "flash"}, "heads of one width"),
        ({"model": "tiiuae/falcon-7b", "attention": "flash"}, "falcon"),
    ],
)
def test_what_is_not_traced_is_named(fields: dict[str, Any], reason: str) -> None:
    setting = replace(INFER, **fields)
    with pytest.raises(UnsupportedTrace, match=reason):
        trace(setting, cut(setting.model, 1))
