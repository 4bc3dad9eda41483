"""Training with fms-acceleration's plugins against what it measured: torch's peak of a training stage on A100s.

Source: foundation-model-stack/fms-acceleration, scripts/benchmarks/refs/*.csv at the commits that are named; rows are
packed to 4,096 tokens, layers checkpointed, adapters of rank 16 on q, k, v and o, with dropout 0.1 unless said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Kernels, Lora, Parallel, Setting, Stack

MISTRAL, LLAMA_3, LLAMA_2 = "mistralai/Mistral-7B-v0.1", "meta-llama/Meta-Llama-3-8B", "meta-llama/Llama-2-70b-hf"
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")

RELEASES: Mapping[str, Mapping[str, str]] = {
    "8103238": {"torch": "2.2.2", "transformers": "4.39.3", "trl": "0.8.6", "peft": "0.11.1", "bitsandbytes": "0.43.1"},
    "c3a069c": {
        "torch": "2.2.2", "transformers": "4.39.3", "trl": "0.9.6", "peft": "0.11.1", "bitsandbytes": "0.43.1",
        "accelerate": "0.32.1",
    },
    "b6c1455": {
        "torch": "2.4.0", "transformers": "4.43.3", "trl": "0.9.6", "peft": "0.12.0", "bitsandbytes": "0.43.2",
        "accelerate": "0.33.0",
    },
    "97fc3c1": {
        "torch": "2.4.1", "transformers": "4.45.2", "trl": "0.11.3", "peft": "0.13.2", "bitsandbytes": "0.43.3",
        "accelerate": "0.34.2",
    },
    "9239802": {
        "torch": "2.4.1", "transformers": "4.45.2", "trl": "0.11.4", "peft": "0.13.2", "bitsandbytes": "0.43.3",
        "accelerate": "1.0.1",
    },
    "24bdadb": {
        "torch": "2.4.1", "transformers": "4.48.1", "trl": "0.13.0", "peft": "0.13.2", "bitsandbytes": "0.43.3",
        "accelerate": "1.0.1",
    },
}  # fmt: skip

FAST = Kernels(norm=True, rotary=True)
FUSED = replace(FAST, adapters="masked")
TRITON = Kernels(gptq="triton")
TWO, FOUR = Parallel(2, "fsdp"), Parallel(4, "fsdp")


def setting(
    model: str, weights: str, batch: int, commit: str, loss: str = "cross-entropy", dropout: float = 0.1, **more: Any
) -> Setting:
    stack = Stack("trl", loss, {**RELEASES[commit], **({"liger-kernel": "0.3.1"} if loss == "fused" else {})})
    full = more.get("method") == "full"
    quantized = weights in ("nf4", "gptq-int4")
    trained = weights if full else "fp32"
    said: dict[str, Any] = {
        "method": "qlora" if quantized else "lora",
        "double_quant": weights == "nf4",
        "upcast": False if weights == "nf4" else None,
        "amp": quantized,
        "compute": "fp16" if weights == "gptq-int4" else "bf16",
        "gradients": trained,
        "optimizer_states": trained,
        "lora": None if full else Lora(16, 16, TARGETS, dropout),
        **more,
    }
    return Setting(
        model,
        weights=weights,
        batch_size=batch,
        sequence_length=4096,
        gradient_checkpointing="reentrant",
        attention="flash",
        optimizer_implementation="foreach",
        gpu="A100 80GB",
        stack=stack,
        **said,
    )


def of(said: Setting) -> Estimate:
    facts = load_model(said.model)
    assert isinstance(facts, ModelFacts)
    return estimate(said, facts)


READ = (
    (setting(MISTRAL, "nf4", 4, "c3a069c", compute="fp16"), 15_860_617_728),
    (setting(MISTRAL, "nf4", 4, "97fc3c1", parallel=TWO), 16_171_410_432),
    (setting(LLAMA_2, "nf4", 4, "9239802"), 68_126_422_016),
    (setting(MISTRAL, "gptq-int4", 4, "24bdadb", kernels=TRITON), 16_404_148_736),
    (setting(MISTRAL, "gptq-int4", 4, "97fc3c1", kernels=TRITON, parallel=TWO), 16_188_941_824),
    (setting(LLAMA_2, "gptq-int4", 4, "b6c1455", kernels=TRITON, group_size=-1), 67_069_982_208),
    (
        setting(
            LLAMA_2, "gptq-int4", 4, "8103238", "in-place", 0.0, group_size=-1,
            kernels=Kernels("triton", "unsloth", norm=True, rotary=True),
        ),
        65_086_305_280,
    ),
    (setting(LLAMA_2, "nf4", 4, "9239802", "in-place", kernels=FUSED), 67_048_944_640),
    (setting(LLAMA_3, "nf4", 8, "9239802", "in-place", kernels=FUSED), 48_632_712_192),
    (setting(MISTRAL, "nf4", 16, "9239802", "fused", kernels=FUSED), 39_215_346_176),
    (setting(MISTRAL, "bf16", 8, "9239802", "in-place", kernels=FAST), 33_470_361_088),
    (setting(MISTRAL, "bf16", 4, "9239802", "in-place", kernels=FAST, method="full"), 72_432_723_456),
    (setting(MISTRAL, "bf16", 16, "9239802", "fused", kernels=FAST, method="full", amp=True, parallel=FOUR),
     56_381_022_208),
)  # fmt: skip


@pytest.mark.parametrize(("said", "read"), READ, ids=range(len(READ)))
def test_the_peak_is_the_one_that_was_read(said: Setting, read: int) -> None:
    assert of(said).allocated == pytest.approx(read, rel=0.0003)


def test_fsdp_leaves_fused_adapters_whole() -> None:
    """Rank x (inputs + outputs) of q, k, v and o in float32: they call no module of theirs that FSDP could gather."""
    said = setting(MISTRAL, "nf4", 4, "9239802", "in-place", kernels=FUSED, parallel=TWO)
    elements = 32 * 16 * (2 * (4096 + 4096) + 2 * (4096 + 1024))
    assert adapters(said) == 4 * elements
    assert adapters(replace(said, kernels=FAST)) == 4 * elements // 2


def adapters(said: Setting) -> int:
    last = of(said).ledger.phases[-1]
    return next(row.bytes for row in last.rows if row.name == "adapters")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"kernels": Kernels()}, "takes a kernel: kernels.gptq triton or torch"),
        ({"kernels": TRITON, "compute": "bf16"}, "no formula for GPTQ weights and bf16"),
    ],
)
def test_what_gptq_weights_need_is_refused_by_name(more: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=reason):
        of(setting(MISTRAL, "gptq-int4", 1, "9239802", **more))


def test_dora_beside_gptq_weights_is_refused() -> None:
    said = setting(MISTRAL, "gptq-int4", 1, "9239802", kernels=TRITON, lora=Lora(16, 16, TARGETS, dora=True))
    with pytest.raises(UnsupportedRow, match="DoRA beside GPTQ"):
        of(replace(said, stack=Stack("trl")))


def test_adapters_of_all_linears_are_another_fused_operation() -> None:
    everywhere = Lora(16, 16, (*TARGETS, "gate_proj", "up_proj", "down_proj"))
    with pytest.raises(UnsupportedRow, match="gate, up and down"):
        of(setting(MISTRAL, "nf4", 1, "9239802", kernels=FUSED, lora=everywhere))


def test_a_partly_turned_head_is_no_case_of_the_rotary_kernel() -> None:
    said = setting("microsoft/phi-2", "bf16", 1, "9239802", kernels=Kernels(rotary=True), method="full")
    with pytest.raises(UnsupportedRow, match="rotary kernel in phi"):
        of(said)
