"""Generation with weights packed by AWQ, GPTQ and FP8: the buffers of their kernels, and published readings."""

from __future__ import annotations

from typing import Any

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.ledger import PhaseName
from toolkit.memory.tape.tape import Tape
from toolkit.spec.settings.setting import Setting, Stack

MIB, GIB = 2**20, 2**30


def of(model: str, weights: str, prompt: int, version: str, **more: Any) -> Estimate:
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    said = {"compute": "fp16", "generated_length": 2048, "attention": "flash", "gpu": "A100 SXM4 80GB", **more}
    stack = Stack(versions={"transformers": version})
    return estimate(Setting(model, "inference", weights, sequence_length=prompt, stack=stack, **said), facts)


def rows(found: Estimate, name: PhaseName) -> dict[str, int]:
    phase = found.ledger.phase(name)
    assert phase is not None
    return {row.name: row.bytes for row in phase.rows}


# QwenLM/Qwen2.5, docs/source/benchmark/speed_benchmark: batch 1, 2,048 tokens generated, flash attention, one A100
# 80 GB; torch.cuda.max_memory_allocated / 1024**3, printed with two decimals.
READ = (
    ("Qwen/Qwen2.5-7B-Instruct", "awq-int4", 6_144, "4.46.0", 6.39),
    ("Qwen/Qwen2.5-7B-Instruct", "awq-int4", 14_336, "4.46.0", 7.92),
    ("Qwen/Qwen2.5-14B-Instruct", "awq-int4", 30_720, "4.46.0", 18.57),
    ("Qwen/Qwen2.5-32B-Instruct", "awq-int4", 6_144, "4.46.0", 20.81),
    ("Qwen/Qwen2.5-72B-Instruct", "awq-int4", 6_144, "4.46.0", 42.13),
    ("Qwen/Qwen2.5-14B-Instruct", "gptq-int4", 14_336, "4.46.0", 13.81),
    ("Qwen/Qwen2.5-72B-Instruct", "gptq-int4", 6_144, "4.46.0", 42.50),
    ("Qwen/Qwen2.5-7B-Instruct", "gptq-int8", 14_336, "4.46.0", 10.96),
    ("Qwen/Qwen2.5-14B-Instruct", "gptq-int8", 30_720, "4.46.0", 24.88),
    ("Qwen/Qwen2.5-32B-Instruct", "gptq-int8", 14_336, "4.46.0", 39.28),
    ("Qwen/Qwen1.5-72B", "gptq-int4", 1, "4.39.3", 50.09),
    ("Qwen/Qwen1.5-14B", "awq-int4", 1, "4.39.3", 12.88),
    ("Qwen/Qwen1.5-14B", "awq-int4", 14_336, "4.39.3", 39.76),
    ("Qwen/Qwen1.5-1.8B", "gptq-int4", 1, "4.39.3", 2.91),
)


@pytest.mark.parametrize(("model", "weights", "prompt", "version", "read"), READ)
def test_generation_needs_what_was_read(model: str, weights: str, prompt: int, version: str, read: float) -> None:
    found = of(model, weights, prompt, version).allocated
    assert found == pytest.approx(read * GIB, rel=0.002, abs=0.005 * GIB)


def test_awq_writes_a_weight_out_for_1024_rows() -> None:
    """Of a 72B model 8,192 x 29,568 values in float16, while the activations of 1,024 tokens are small beside them."""
    dense, sparse = (of("Qwen/Qwen2.5-72B-Instruct", "awq-int4", tokens, "4.46.0") for tokens in (1024, 1023))
    assert rows(dense, PhaseName.PREFILL)["dequantized_weight"] == 8192 * 29568 * 2
    assert "dequantized_weight" not in rows(dense, PhaseName.DECODE)
    assert "dequantized_weight" not in rows(sparse, PhaseName.PREFILL)
    assert rows(sparse, PhaseName.PREFILL)["split_products"] == 8 * 1023 * 29568 * 2


@pytest.mark.parametrize(("autoawq", "row"), [("0.1.8", "split_products"), ("0.2.0", "dequantized_weight")])
def test_awq_wrote_no_weight_out_before_its_release_0_2(autoawq: str, row: str) -> None:
    facts = load_model("Qwen/Qwen2.5-72B-Instruct")
    assert isinstance(facts, ModelFacts)
    versions = {"transformers": "4.46.0", "autoawq": autoawq}
    setting = Setting(
        facts.id, "inference", "awq-int4", compute="fp16", sequence_length=2048, stack=Stack(versions=versions)
    )
    [found] = rows(estimate(setting, facts), PhaseName.PREFILL).keys() & {"split_products", "dequantized_weight"}
    assert found == row


def test_gptq_of_8_bits_writes_a_weight_out_for_128_rows() -> None:
    """As int32 and, cast from it, int16: six bytes for each of 8,192 x 29,568 values; later three tensors of two."""
    dense, sparse = (of("Qwen/Qwen2.5-72B-Instruct", "gptq-int8", tokens, "4.46.0") for tokens in (128, 127))
    assert rows(dense, PhaseName.PREFILL)["dequantized_weight"] == 8192 * 29568 * 6
    assert "dequantized_weight" not in rows(dense, PhaseName.DECODE)
    assert "dequantized_weight" not in rows(sparse, PhaseName.PREFILL)


def test_gptq_of_8_bits_multiplies_few_rows_in_float32() -> None:
    """The float32 copy of the input is still bound when the float32 result is cast."""
    tape = Tape(records=False, trains=False)
    linear(tape, tape.new("x", 1024, "fp16"), LinearForm(1024, 256, "fp16", storage="gptq"), "y")
    totals = [sum(size.token for size in moment.values()) for moment in tape.moments]
    assert max(totals) == 1024 * 2 + 1024 * 4 + 256 * 4 + 256 * 2


@pytest.mark.parametrize(("weights", "since"), [("awq-int4", "5.0.0"), ("gptq-int8", "4.49.0")])
def test_newer_versions_multiply_by_packed_weights(weights: str, since: str) -> None:
    prefill = rows(of("Qwen/Qwen2.5-72B-Instruct", weights, 2048, since), PhaseName.PREFILL)
    assert not prefill.keys() & {"dequantized_weight", "split_products"}


def test_exllama_keeps_room_for_the_largest_weight() -> None:
    found = of("Qwen/Qwen2.5-72B-Instruct", "gptq-int4", 1, "4.46.0")
    for name in (PhaseName.LOAD, PhaseName.PREFILL, PhaseName.DECODE):
        assert rows(found, name)["exllama_buffer"] == 8192 * 29568 * 2
    for weights, version in (("gptq-int4", "4.49.0"), ("awq-int4", "4.46.0"), ("bf16", "4.46.0")):
        assert "exllama_buffer" not in rows(of("Qwen/Qwen2.5-72B-Instruct", weights, 1, version), PhaseName.LOAD)


def test_fp8_quantizes_its_input() -> None:
    """A byte a value and a float32 scale for each 128 of them, beside the input and the result."""
    tape = Tape(records=False, trains=False)
    x = tape.new("x", 1024, "bf16")
    result = linear(tape, x, LinearForm(1024, 256, "bf16", storage="fp8"), "y")
    assert result.size.token == 256 * 2
    assert max(sum(size.token for size in moment.values()) for moment in tape.moments) == (
        1024 * 2 + 1024 + 1024 // 128 * 4 + 256 * 2
    )


def test_awq_adds_a_bias_in_a_new_tensor() -> None:
    """Product and sum lie side by side, once the weight that was written out is gone."""
    widest = []
    for bias in (True, False):
        tape = Tape(records=False, trains=False)
        form = LinearForm(8, 256, "fp16", bias=bias, storage="awq dense", weights=1)
        linear(tape, tape.new("x", 8, "fp16"), form, "y")
        widest.append(max(moment["y"].token for moment in tape.moments if "y" in moment))
    assert widest == [2 * 256 * 2, 256 * 2]


# huggingface/optimum, tests/benchmark: Llama-2-13B, prompt and answer of 512 tokens, A100 80 GB, transformers 4.35; the
# peak of allocated memory and what the card holds outside of torch, in MB.
TWO_CACHES = (
    ("fp16", 16, 53_986.51),
    ("fp16", 2, 30_831.09),
    ("gptq-int4", 4, 15_374.67),
    ("gptq-int4", 16, 35_497.62),
)


@pytest.mark.parametrize(("weights", "batch", "read"), TWO_CACHES)
def test_a_cache_of_tuples_is_there_twice(weights: str, batch: int, read: float) -> None:
    model = "meta-llama/Llama-2-13b-chat-hf"
    more: dict[str, Any] = {"batch_size": batch, "generated_length": 512, "attention": "eager"}
    old = of(model, weights, 512, "4.35.0", **more)
    decode = rows(old, PhaseName.DECODE)
    token = 40 * 2 * 5120 * 2 * batch
    assert decode["kv_cache"] == (512 + 511) * token
    assert decode["kv_cache_growth"] == (512 + 510) * token
    outside = (250 * MIB, 1_500 * MIB)  # a CUDA context
    assert old.allocated + outside[0] <= read * 10**6 <= old.allocated + outside[1]
    new = of(model, weights, 512, "4.42.0", **more)
    assert rows(new, PhaseName.DECODE)["kv_cache_growth"] == (512 + 510) * token // 80


@pytest.mark.parametrize(
    ("model", "version", "tuples"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", "4.41.2", True),
        ("Qwen/Qwen2.5-7B-Instruct", "4.42.0", False),
        ("EleutherAI/pythia-1.4b", "4.44.2", True),
        ("EleutherAI/pythia-1.4b", "4.45.0", False),
        ("facebook/opt-1.3b", "4.48.3", True),
        ("facebook/opt-1.3b", "4.49.0", False),
        ("openai-community/gpt2", "4.51.3", True),
        ("openai-community/gpt2", "4.52.0", False),
    ],
)
def test_versions_that_hand_on_tuples(model: str, version: str, *, tuples: bool) -> None:
    """`_supports_cache_class` of each model in these releases."""
    decode = rows(of(model, "fp16", 128, version, generated_length=256), PhaseName.DECODE)
    whole = decode["kv_cache"] * (128 + 254) // (128 + 255)
    assert (decode.get("kv_cache_growth") == whole) is tuples


def test_the_logits_of_the_prompt_are_there_at_the_second_token() -> None:
    """Until 4.42: 14,336 x 151,936 x 4 bytes, beside the caches of 14,336 and 14,337 tokens of 800 KiB."""
    prompt, token = 14_336, 40 * 2 * 2560 * 2
    found = of("Qwen/Qwen1.5-4B", "bf16", prompt, "4.39.3")
    phase = found.ledger.phase(PhaseName.PREFILL)
    assert phase is not None
    assert phase.moment == "second token"
    held = rows(found, PhaseName.PREFILL)
    assert held["kv_cache"] == prompt * token
    assert held["kv_cache_growth"] == (prompt + 1) * token
    assert held["logits_float32"] == (prompt + 1) * 151_936 * 4
    assert "logits_float32" not in rows(of("Qwen/Qwen1.5-4B", "bf16", prompt, "4.45.0"), PhaseName.PREFILL)
    alone = of("Qwen/Qwen1.5-4B", "bf16", prompt, "4.39.3", generated_length=1).ledger.phase(PhaseName.PREFILL)
    assert alone is not None
    assert alone.moment != "second token"
