"""ExLlama's kernels for GPTQ weights: what auto-gptq has them keep, and what was read on a card."""

from __future__ import annotations

from typing import Any

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.tape.recording import programs_of
from toolkit.spec.settings.setting import Kernels, Setting, Stack

LLAMA_7B, LLAMA_13B, LLAMA_65B = "huggyllama/llama-7b", "huggyllama/llama-13b", "huggyllama/llama-65b"


def of(model: str, kernel: str | None, **more: Any) -> Estimate:
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    said: dict[str, Any] = {
        "weights": "gptq-int4",
        "compute": "fp16",
        "sequence_length": 256,
        "generated_length": 512,
        "attention": "eager",
        "gpu": "A100 SXM4 80GB",
        "stack": Stack(versions={"transformers": "4.35.2"}),
        "method": "inference",
        **more,
    }
    return estimate(Setting(model, kernels=Kernels(gptq=kernel), **said), facts)


def rows(found: Estimate) -> dict[str, int]:
    phase = found.ledger.phase(PhaseName.LOAD)
    assert phase is not None
    return {row.name: row.bytes for row in phase.rows if row.name.startswith("exllama")}


def test_the_second_kernel_has_room_for_products_of_eight_long_sequences() -> None:
    """Gate and up ask for most: 4,096 x 11,008 float16 and 2,048 x 8 x 11,008 float32, with 128 bytes beside each.

    A layer's four projections, gate and up have 4,096 inputs, down has 11,008: an int16 each, and as many back.
    """
    room = 4096 * 11008 * 2 + 11008 * 2048 * 8 * 4 + 2 * 128
    order = 32 * 2 * 2 * (6 * 4096 + 11008)
    assert rows(of(LLAMA_7B, "exllamav2")) == {"exllama_buffer": room + (-room % 512), "exllama_order": order}


def test_the_first_kernel_has_room_for_one_weight() -> None:
    assert rows(of(LLAMA_7B, "exllama")) == rows(of(LLAMA_7B, None)) == {"exllama_buffer": 4096 * 11008 * 2}


def test_inputs_out_of_order_are_put_in_order_by_the_first_kernel() -> None:
    """2,048 tokens of the widest side of a layer, in float16; the second kernel asks for nothing more."""
    assert rows(of(LLAMA_7B, "exllama", desc_act=True))["exllama_state"] == 2048 * 11008 * 2
    assert rows(of(LLAMA_7B, "exllamav2", desc_act=True)) == rows(of(LLAMA_7B, "exllamav2"))


def test_one_group_has_no_order() -> None:
    assert "exllama_order" not in rows(of(LLAMA_7B, "exllamav2", group_size=-1))


def test_the_kernel_before_exllama_keeps_nothing_and_writes_weights_out() -> None:
    """5,120 x 13,824 values are shifted as int32 and cast to int8 from 128 rows on; before, products are float32."""
    prompt, token = (of(LLAMA_13B, "cuda-old", sequence_length=tokens, generated_length=0) for tokens in (128, 127))
    assert rows(prompt) == {}
    assert passing(prompt)["dequantized_weight"] == 5120 * 13824 * (4 + 1)
    assert "dequantized_weight" not in passing(token)
    assert passing(token)["cast_copies"] == 127 * (13824 + 5120) * 4


def test_without_its_extension_the_same_kernel_writes_every_weight_out() -> None:
    """Qwen2.5 3B, 49 tokens and 64 more by auto-gptq 0.7.1: ProIg-Chaa/llm-quant-benchmark, 4fa2068, 2,095.129 MiB.

    At the widest 2,048 x 11,008 values are shifted as int32 and cast to int8; gptqmodel, which transformers takes since
    4.49, has no part in it.
    """
    said = {"sequence_length": 49, "generated_length": 64, "stack": Stack(versions={"transformers": "4.57.1"})}
    found = of("Qwen/Qwen2.5-3B-Instruct", "unpacked", **said)
    assert passing(found)["dequantized_weight"] == 2048 * 11008 * (4 + 1)
    assert found.allocated == pytest.approx(2_095.129 * 2**20, rel=0.003)


def passing(found: Estimate) -> dict[str, int]:
    """The most that each row takes at any moment of a layer's pass over the prompt."""
    assert found.context is not None
    program, scale = programs_of(found.context).layers[0], found.context.scale
    return {row: max(map(scale.bytes, sizes)) for row, sizes in program.forward.widest.items()}


# huggingface/optimum, tests/benchmark at 87fcf9f, README.md: Llama-2-13B, 512 tokens and one more, A100 80 GB,
# transformers 4.35; what is allocated at most, with what the card holds outside of torch, in MB.
BY_KERNEL = {"cuda-old": 9_474.19, "exllama": 9_330.89, "exllamav2": 10_260.35}


def test_kernels_differ_as_they_were_read() -> None:
    """Whatever lies outside of torch is the same for all; ExLlamaV2's extension may have some more of it."""
    sizes = {name: of("meta-llama/Llama-2-13b-chat-hf", name, sequence_length=512, generated_length=1).allocated
             for name in BY_KERNEL}  # fmt: skip
    for name in ("cuda-old", "exllamav2"):
        read = BY_KERNEL[name] - BY_KERNEL["exllama"]
        assert sizes[name] - sizes["exllama"] == pytest.approx(read * 10**6, rel=0.02)


# huggingface/optimum-benchmark at 5d4128c, examples/running-llamas/artifacts: torch.cuda.max_memory_allocated of 256
# tokens and 512 more, or of the prompt alone, in MB rounded down; transformers 4.35.2 on an A100 80 GB.
READ = (
    (LLAMA_7B, "exllama", 1, 512, 4_883),
    (LLAMA_7B, "exllamav2", 1, 512, 5_609),
    (LLAMA_7B, "exllamav2", 64, 0, 16_675),
    (LLAMA_13B, "exllama", 2, 0, 8_063),
    (LLAMA_13B, "exllamav2", 2, 0, 8_976),
    (LLAMA_65B, "exllama", 1, 512, 38_052),
    (LLAMA_65B, "exllamav2", 1, 512, 39_404),
    (LLAMA_65B, "exllamav2", 8, 0, 41_176),
)


@pytest.mark.parametrize(("model", "kernel", "batch", "generated", "read"), READ)
def test_cards_read_as_much(model: str, kernel: str, batch: int, generated: int, read: int) -> None:
    grouped: dict[str, Any] = {"group_size": -1, "desc_act": True} if model == LLAMA_65B else {}
    found = of(model, kernel, batch_size=batch, generated_length=generated, **grouped).allocated
    assert found == pytest.approx(read * 10**6, rel=0.001)


@pytest.mark.parametrize(
    ("kernel", "more", "reason"),
    [
        ("exllamav2", {"method": "qlora"}, "only generates"),
        ("triton", {}, "training alone"),
        ("exllamav2", {"weights": "gptq-int8"}, "gptq-int8 weights"),
        ("exllama", {"stack": Stack(versions={"transformers": "4.49"})}, "gptqmodel"),
    ],
)
def test_what_no_formula_covers_is_refused(kernel: str, more: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=reason):
        of(LLAMA_7B, kernel, **more)
