"""What no formula covers is refused by the name of its row, and the rest of the setting can still be told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate, holdings
from toolkit.memory.ledger import Category
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack, Zero

QWEN = Setting("Qwen/Qwen2.5-0.5B", "full", "bf16")
MIXTRAL = replace(QWEN, model="mistralai/Mixtral-8x7B-v0.1", method="lora", lora=Lora(8))
OLD_T5 = Stack(versions={"transformers": "5.10"})
BERT = replace(QWEN, model="google-bert/bert-base-uncased")
DEBERTA = replace(QWEN, model="microsoft/mdeberta-v3-base", head="sequence-classification", labels=2)
DISTILBERT = replace(DEBERTA, model="distilbert/distilbert-base-uncased")


def facts(model: str) -> ModelFacts:
    found = load_model(model)
    assert isinstance(found, ModelFacts)
    return found


@pytest.mark.parametrize(
    ("setting", "row"),
    [
        (replace(QWEN, parallel=Parallel(2, "pipeline"), stack=Stack("plain")), "parallel"),
        (replace(QWEN, parallel=Parallel(2, "tensor"), method="lora", lora=Lora(8)), "parallel"),
        (replace(QWEN, parallel=Parallel(1, "fsdp")), "parallel"),
        (replace(QWEN, parallel=Parallel(2, "fsdp2"), optimizer="adafactor"), "optimizer_states"),
        (replace(QWEN, parallel=Parallel(1, "zero3"), stack=Stack(versions={"deepspeed": "0.8.3"})), "parallel"),
        (replace(QWEN, parallel=Parallel(2, "zero2", offload=True)), "parallel"),
        (replace(QWEN, parallel=Parallel(2, "zero2"), method="inference"), "parallel"),
        (replace(QWEN, parallel=Parallel(2, "zero2"), stack=Stack("unsloth")), "parallel"),
        (replace(QWEN, parallel=Parallel(2, "zero2"), optimizer="muon"), "optimizer_states"),
        (replace(QWEN, parallel=Parallel(2, "zero3"), method="qlora", weights="gptq-int4", lora=Lora(8)), "parallel"),
        (replace(QWEN, parallel=Parallel(2, "pipeline"), method="inference", stack=Stack("vllm")), "parallel"),
        (replace(QWEN, parallel=Parallel(4, "tensor"), method="inference"), "parallel"),
        (replace(QWEN, parallel=Parallel(2, "tensor"), method="inference", weights="awq-int4"), "parallel"),
        (replace(QWEN, parallel=Parallel(2, "none")), "parallel"),
        (replace(QWEN, parallel=Parallel(2, "fsdp"), method="inference"), "parallel"),
        (replace(QWEN, parallel=Parallel(2, "fsdp"), method="lora", weights="int8", lora=Lora(8)), "parallel"),
        (replace(QWEN, parallel=Parallel(2, "fsdp"), optimizer="muon"), "optimizer_states"),
        (replace(QWEN, parallel=Parallel(2, "ddp"), stack=Stack("unsloth")), "parallel"),
        (replace(QWEN, parallel=Parallel(offload=True)), "parallel"),
        (replace(QWEN, stack=Stack("litgpt"), method="inference", batch_size=2), "activations"),
        (replace(QWEN, stack=Stack("litgpt"), method="inference", attention="eager"), "activations"),
        (replace(QWEN, stack=Stack("litgpt"), method="inference", weights="int8"), "activations"),
        (replace(QWEN, stack=Stack("litgpt"), method="inference", weights="nf4", compute="fp16"), "activations"),
        (replace(QWEN, stack=Stack("litgpt"), amp=True), "activations"),
        (replace(QWEN, stack=Stack("litgpt"), method="lora", weights="int8", lora=Lora(8)), "activations"),
        (replace(QWEN, stack=Stack("litgpt"), method="lora", lora=Lora(8, dora=True)), "activations"),
        (replace(QWEN, stack=Stack("litgpt"), gradient_checkpointing="reentrant"), "activations"),
        (replace(QWEN, stack=Stack("vllm"), method="inference"), "engine_pool"),
        (
            replace(QWEN, method="lora", lora=Lora(8, dora=True), stack=Stack(versions={"peft": "0.13.2"})),
            "dora_matrices",
        ),
        (replace(QWEN, method="lora", lora=Lora(8, dora=True), parallel=Parallel(2, "fsdp")), "dora_matrices"),
        (replace(QWEN, method="lora", lora=Lora(8, dora=True, bias=True)), "adapters"),
        (replace(QWEN, engine={"gpu_memory_utilization": 0.9}), "engine"),
        (replace(QWEN, stack=Stack(loss="invented")), "logits"),
        (replace(QWEN, method="qlora", weights="gptq-int4", lora=Lora(8)), "dequantized_weight"),
        (
            replace(BERT, method="lora", lora=Lora(8), head="token-classification", labels=9),
            "adapter_states",
        ),
        (replace(BERT, head="causal-lm"), "logits"),
        (replace(BERT, head="base"), "logits"),
        (replace(DEBERTA, attention="flash"), "attention_scores"),
        (replace(DEBERTA, gradient_checkpointing="reentrant"), "relative_positions"),
        (replace(DISTILBERT, method="lora", lora=Lora(8)), "adapter_states"),
        (replace(QWEN, head="token-classification", labels=9), "logits"),
        (replace(QWEN, model="deepseek-ai/DeepSeek-V2-Lite", attention="flash", padding=True), "attention_states"),
        (replace(QWEN, weights="fp32", compute="fp32", attention="flash"), "attention_states"),
        (replace(QWEN, model="tiiuae/falcon-7b", attention="eager"), "attention_scores"),
        (replace(QWEN, model="google-t5/t5-small", attention="flash"), "attention_scores"),
        (
            replace(QWEN, model="google-t5/t5-small", gradient_checkpointing="reentrant", stack=OLD_T5),
            "attention_scores",
        ),
        (replace(MIXTRAL, stack=Stack(versions={"peft": "0.20.0", "transformers": "5.23.0"})), "merged_experts"),
        (replace(MIXTRAL, parallel=Parallel(2, "fsdp")), "merged_experts"),
        (replace(QWEN, model="openai/whisper-small", parallel=Parallel(8, "fsdp2")), "parallel"),
        (replace(QWEN, model="facebook/mbart-large-50-many-to-one-mmt", parallel=Parallel(8, "fsdp")), "parallel"),
        (replace(QWEN, model="openai/whisper-small", parallel=Parallel(8, "zero3", zero=Zero())), "parallel"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_row_is_refused_by_name(setting: Setting, row: str) -> None:
    with pytest.raises(UnsupportedRow) as refusal:
        estimate(setting, facts(setting.model))
    assert refusal.value.name == row
    assert refusal.value.reason


def test_what_a_model_holds_is_told_without_its_activations() -> None:
    setting = replace(QWEN, model="google-bert/bert-base-uncased", head="masked-lm", optimizer_states="bf16")
    held = holdings(setting, facts(setting.model))
    step = held.ledger.phases[-1]
    assert held.parameters_total == 109_514_298
    assert step.of(Category.WEIGHTS) == step.of(Category.GRADIENTS) == 2 * held.parameters_total
    assert step.of(Category.OPTIMIZER_STATES) == 4 * held.parameters_total
