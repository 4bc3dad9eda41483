"""Weights as stored, to the byte."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.memory.architecture.samples import facts_of, small_facts
from toolkit.memory.architecture import Architecture, architecture_of
from toolkit.memory.weights.lora import lora_parameters
from toolkit.memory.weights.quantization import SCHEMES, UnsupportedStorage
from toolkit.memory.weights.storage import (
    allocated_weight_bytes,
    storage_of,
    stored_elements,
    weight_bytes,
)
from toolkit.spec.fields.names import WEIGHTS
from toolkit.spec.settings.setting import Lora, Setting, Stack

UNSLOTH_NF4 = Setting("", "qlora", "nf4", double_quant=True, stack=Stack("unsloth"))
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


def of(model_id: str) -> Architecture:
    return architecture_of(facts_of(model_id))


def with_weights(weights: str, **more: object) -> Setting:
    return Setting("", "inference", weights, **more)  # type: ignore[arg-type] - a test's shorthand


def test_stored_elements_of_gpt_oss_under_unsloth_are_the_total_that_a_document_prints() -> None:
    architecture = of("openai/gpt-oss-20b")
    elements = stored_elements(architecture, UNSLOTH_NF4)
    assert elements == 11_041_103_424
    assert elements + lora_parameters(architecture, Lora(16, targets=ATTENTION)) == 11_049_066_048


def test_bytes_of_gpt_oss_under_unsloth_are_those_of_a_trace() -> None:
    assert weight_bytes(of("openai/gpt-oss-20b"), UNSLOTH_NF4) == 12_523_711_872
    assert allocated_weight_bytes(of("openai/gpt-oss-20b"), UNSLOTH_NF4) == 12_526_516_224


def test_transformers_leaves_fused_experts_in_16_bit() -> None:
    architecture = of("openai/gpt-oss-20b")
    setting = with_weights("nf4")
    packed = {stored.module.leaf for stored in storage_of(architecture, setting) if stored.is_packed}
    assert packed == {"q_proj", "k_proj", "v_proj", "o_proj"}
    assert weight_bytes(architecture, setting) > 2 * 19_110_297_600


def test_experts_of_older_transformers_are_packed() -> None:
    old = with_weights("nf4", stack=Stack(versions={"transformers": "4.40"}))
    assert weight_bytes(of("mistralai/Mixtral-8x7B-v0.1"), old) < 27 * 10**9
    assert weight_bytes(of("mistralai/Mixtral-8x7B-v0.1"), with_weights("nf4")) > 90 * 10**9


def test_mxfp4_is_the_published_storage_but_for_biases_in_float32() -> None:
    facts = facts_of("openai/gpt-oss-20b")
    assert facts.storage is not None
    stored = storage_of(architecture_of(facts), with_weights("mxfp4"))
    blocks = sum(tensor.bytes for tensor in stored if tensor.part.name == "_blocks")
    scales = sum(tensor.bytes for tensor in stored if tensor.part.name == "_scales")
    assert (blocks, scales) == (facts.storage["mxfp4_weight_bytes"], facts.storage["mxfp4_scale_bytes"])


def test_fp8_has_the_scales_of_the_published_checkpoint() -> None:
    stored = storage_of(of("deepseek-ai/DeepSeek-V3"), with_weights("fp8"))
    assert sum(tensor.elements for tensor in stored if tensor.part.name == "_scale_inv") == 40_838_232


@pytest.mark.parametrize(("weights", "size"), [("fp32", 4), ("bf16", 2), ("fp16", 2)])
def test_plain_weights(weights: str, size: int) -> None:
    architecture = of("Qwen/Qwen2.5-7B")
    assert weight_bytes(architecture, with_weights(weights)) == size * 7_615_616_512
    assert stored_elements(architecture, with_weights(weights)) == 7_615_616_512


def test_nf4_by_hand() -> None:
    architecture = of("meta-llama/Llama-2-7b-hf")
    packed = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
    rest = 2 * (architecture.parameters - packed)
    linears = 32 * 7
    assert weight_bytes(architecture, with_weights("nf4")) == packed // 2 + packed // 64 * 4 + linears * 64 + rest
    double = packed // 2 + packed // 64 + packed // 64 // 256 * 4 + linears * (64 + 1024 + 4) + rest
    assert weight_bytes(architecture, with_weights("nf4", double_quant=True)) == double
    assert stored_elements(architecture, with_weights("nf4")) == architecture.parameters - packed // 2


def test_int8_by_hand() -> None:
    architecture = of("meta-llama/Llama-2-7b-hf")
    packed = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
    rows = 32 * (5 * 4096 + 2 * 11008)
    rest = 2 * (architecture.parameters - packed)
    assert weight_bytes(architecture, with_weights("int8")) == packed + 4 * rows + rest


def test_embeddings_heads_norms_and_biases_stay() -> None:
    for model_type in ("llama", "qwen2", "gpt2", "opt", "gpt_neox"):
        architecture = architecture_of(small_facts(model_type))
        for stored in storage_of(architecture, with_weights("nf4")):
            quantizable = stored.module.kind in ("linear", "conv1d") and stored.tensor.name == "weight"
            assert stored.is_packed == quantizable


def test_t5_keeps_one_projection_and_in_float32_beside_float16() -> None:
    architecture = of("google/flan-t5-small")
    stored = {tensor.name: tensor for tensor in storage_of(architecture, with_weights("nf4", compute="fp16"))}
    kept = stored["encoder.block.{}.layer.1.DenseReluDense.wo.weight"]
    assert (kept.is_packed, kept.part.dtype) == (False, "fp32")
    in_bf16 = storage_of(architecture, with_weights("bf16"))
    assert {tensor.part.dtype for tensor in in_bf16} == {"bf16"}


def test_falcon_is_left_unquantized_by_transformers_5_only() -> None:
    falcon = of("tiiuae/falcon-7b")
    old = with_weights("nf4", stack=Stack(versions={"transformers": "4.31"}))
    assert weight_bytes(falcon, with_weights("nf4")) == 2 * falcon.parameters
    assert weight_bytes(falcon, old) < falcon.parameters


def test_the_rest_may_be_upcast() -> None:
    architecture = of("meta-llama/Llama-2-7b-hf")
    packed = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
    setting = with_weights("nf4")
    assert weight_bytes(architecture, setting, rest="fp32") - weight_bytes(architecture, setting) == 2 * (
        architecture.parameters - packed
    )


def test_groups_of_integers() -> None:
    architecture = of("meta-llama/Llama-2-7b-hf")
    packed = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
    rest = 2 * (architecture.parameters - packed)
    awq = packed // 2 + packed // 128 // 2 + packed // 128 * 2 + rest
    assert weight_bytes(architecture, with_weights("awq-int4")) == awq
    assert weight_bytes(architecture, with_weights("gptq-int4")) == awq + 32 * 4 * (6 * 4096 + 11008)
    gptq_8bit = packed + packed // 128 + packed // 128 * 2 + rest + 32 * 4 * (6 * 4096 + 11008)
    assert weight_bytes(architecture, with_weights("gptq-int8")) == gptq_8bit
    outputs = 32 * (5 * 4096 + 2 * 11008)
    one_scale = packed // 2 + outputs // 2 + outputs * 2 + rest + 32 * 4 * (6 * 4096 + 11008)
    assert weight_bytes(architecture, replace(with_weights("gptq-int4"), group_size=-1)) == one_scale


@pytest.mark.parametrize(
    ("model_type", "weights", "double_quant"),
    [("llama", "mxfp4", False), ("llama", "int8", True), ("llama", "nf5", False), ("gpt_oss", "fp8", False)],
)
def test_what_no_rule_covers_is_refused_by_name(model_type: str, weights: str, double_quant: bool) -> None:
    architecture = architecture_of(small_facts(model_type))
    with pytest.raises(UnsupportedStorage) as refused:
        storage_of(architecture, with_weights(weights, double_quant=double_quant))
    assert refused.value.weights == weights


def test_every_name_of_a_spec_is_stored_or_refused() -> None:
    assert {name for name, _ in SCHEMES} | {"fp32", "bf16", "fp16"} == set(WEIGHTS)
    for weights in WEIGHTS:
        model_type = "gpt_oss" if weights == "mxfp4" else "llama"
        assert weight_bytes(architecture_of(small_facts(model_type)), with_weights(weights)) > 0
