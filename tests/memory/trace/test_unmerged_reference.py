"""Answers with adapters that are not merged, against traces of peft's own code: every phase, and what is reserved."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.trace.agree import agree
from tests.memory.trace.cut import cut
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import Category
from toolkit.memory.replay.reserved import reserved_on_card
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack

pytestmark = pytest.mark.reference

EXACT = 0.001
LLAMA, MISTRAL, MIXTRAL = "meta-llama/Llama-3.2-1B", "mistralai/Mistral-7B-v0.1", "mistralai/Mixtral-8x7B-v0.1"
GPT2 = "openai-community/gpt2"
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
OF_GPT2 = ("c_attn", "c_proj", "c_fc")
BLOCKS = {"blocks": 4, "blocked_a": ("o_proj", "down_proj"), "blocked_b": ("q_", "k_", "v_", "gate_", "up_")}


def setting_of(model: str, weights: str, lora: Lora, **said: Any) -> Setting:
    compute = {"fp32": "fp32", "fp16": "fp16"}.get(weights, "bf16")
    fields = {"compute": compute, "batch_size": 2, "sequence_length": 512, "generated_length": 4, **said}
    return Setting(model, "inference", weights, lora=lora, **fields)


CASES: dict[str, Setting] = {
    "llama": setting_of(LLAMA, "bf16", Lora(8)),
    "llama, 16-bit adapters": setting_of(LLAMA, "bf16", Lora(64, dtype="bf16")),
    "llama, copies": setting_of(LLAMA, "fp16", Lora(64, modules_to_save=("embed_tokens", "lm_head"))),
    "llama, output layer": setting_of(LLAMA, "bf16", Lora(64, targets=("lm_head", "q_proj"))),
    "llama, all logits": setting_of(
        LLAMA, "bf16", Lora(64, targets=("lm_head", "q_proj")), generated_length=0, stack=Stack("plain")
    ),
    "llama, labels": setting_of(LLAMA, "bf16", Lora(8), generated_length=0, evaluation="cached", stack=Stack("plain")),
    "llama, padded": setting_of(LLAMA, "bf16", Lora(8), padding=True, attention="eager"),
    "llama, dora": setting_of(LLAMA, "bf16", Lora(64, targets=ATTENTION, dora=True)),
    "llama, dora in 4 bit": setting_of(LLAMA, "nf4", Lora(64, dora=True)),
    "llama, blocks": setting_of(LLAMA, "bf16", Lora(16, **BLOCKS)),
    "llama, classifier": setting_of(
        LLAMA, "bf16", Lora(16), head="sequence-classification", labels=3, generated_length=0
    ),
    "qwen2": setting_of("Qwen/Qwen2.5-0.5B", "fp32", Lora(64)),
    "qwen3, biases": setting_of("Qwen/Qwen3-0.6B", "bf16", Lora(16, bias=True)),
    "gpt2": setting_of(GPT2, "fp32", Lora(8, targets=("c_attn",))),
    "gpt2, all": setting_of(GPT2, "fp16", Lora(64, targets=OF_GPT2)),
    "gpt2, dora": setting_of(GPT2, "fp16", Lora(64, targets=OF_GPT2, dora=True)),
    "mistral in 4 bit": setting_of(MISTRAL, "nf4", Lora(64)),
    "mistral in 4 bit, twice": setting_of(MISTRAL, "nf4", Lora(8, targets=ATTENTION), double_quant=True),
    "mistral in 4 bit, fp16": setting_of(MISTRAL, "nf4", Lora(8, targets=ATTENTION), compute="fp16"),
    "mistral in 8 bit": setting_of(MISTRAL, "int8", Lora(64), compute="fp16"),
    "mistral in 8 bit, bf16": setting_of(MISTRAL, "int8", Lora(64)),
    "phi": setting_of("microsoft/phi-2", "fp16", Lora(8)),
    "phi 3, fused": setting_of("microsoft/Phi-3-mini-4k-instruct", "bf16", Lora(64)),
    "gemma 2": setting_of("google/gemma-2-2b", "bf16", Lora(8)),
    "gemma 2 in 4 bit": setting_of("google/gemma-2-2b", "nf4", Lora(64)),
    "mixtral": setting_of(MIXTRAL, "bf16", Lora(8, targets=ATTENTION)),
    "mixtral, experts": setting_of(MIXTRAL, "bf16", Lora(8)),
    "bloom": setting_of("bigscience/bloom-1b1", "bf16", Lora(16)),
    "falcon": setting_of("tiiuae/falcon-7b", "bf16", Lora(16)),
    "opt": setting_of("facebook/opt-1.3b", "fp16", Lora(16)),
}


@pytest.mark.parametrize("setting", CASES.values(), ids=CASES)
def test_every_phase_holds_what_the_trace_sees(setting: Setting) -> None:
    agree(setting, 3, peak=EXACT, elsewhere=EXACT)


@pytest.mark.parametrize(
    "name", ["llama", "llama, copies", "mistral in 4 bit", "mistral in 8 bit", "gpt2, dora", "mixtral, experts"]
)
def test_what_the_allocator_reserves_lies_inside(name: str) -> None:
    setting = CASES[name]
    facts = cut(setting.model, 3)
    low, high = reserved_on_card(estimate(setting, facts))
    seen = trace(setting, facts, whole=True).reserved
    assert low <= seen[0] <= seen[1] <= high


def test_the_first_of_two_gpus_has_the_adapters_of_its_layers() -> None:
    setting = setting_of(MISTRAL, "bf16", Lora(64), batch_size=1, parallel=Parallel(2, "pipeline"))
    facts = cut(setting.model, 8)
    seen, known = trace(setting, facts).ledger, estimate(setting, facts).ledger
    assert known.peak.total == pytest.approx(seen.peak.total, rel=EXACT)
    assert known.peak.of(Category.ADAPTERS) == seen.peak.of(Category.ADAPTERS)
