"""Every architecture of the tables runs: inference with its cache, and training with gradients and states."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.cut import cut
from toolkit.facts.models import model_from_config
from toolkit.memory.architecture.registry import architecture_of
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Setting

pytestmark = pytest.mark.reference

BATCH, LENGTH = 2, 256
DECODERS = {
    # Width of keys and values together that one token leaves in one layer, by hand from each config.
    "bigscience/bloom-560m": 2 * 1024,
    "deepseek-ai/DeepSeek-V2-Lite": 512 + 64,  # compressed, and the part with positions
    "deepseek-ai/DeepSeek-V3": 512 + 64,
    "tiiuae/falcon-7b": 2 * 64,
    "tiiuae/falcon-40b": 2 * 128 * 64,  # repeated for every query head before they are cached
    "google/gemma-2b": 2 * 256,
    "google/gemma-2-2b": 2 * 4 * 256,
    "google/gemma-3-4b-pt": 2 * 4 * 256,
    "google/gemma-3-270m": 2 * 256,
    "openai-community/gpt2": 2 * 768,
    "EleutherAI/pythia-14m": 2 * 128,
    "openai/gpt-oss-20b": 2 * 8 * 64,
    "HuggingFaceTB/SmolLM2-135M": 2 * 3 * 64,
    "mistralai/Mistral-7B-v0.1": 2 * 8 * 128,
    "mistralai/Mixtral-8x7B-v0.1": 2 * 8 * 128,
    "facebook/opt-125m": 2 * 768,
    "facebook/opt-350m": 2 * 1024,
    "microsoft/phi-2": 2 * 2560,
    "microsoft/Phi-3-mini-4k-instruct": 2 * 3072,
    "Qwen/Qwen2.5-0.5B": 2 * 2 * 64,
    "Qwen/Qwen3-0.6B": 2 * 8 * 128,
    "Qwen/Qwen3-30B-A3B": 2 * 4 * 128,
    "stabilityai/stablelm-2-1_6b": 2 * 2048,
    "stabilityai/stablelm-2-12b": 2 * 8 * 160,
}
ENCODERS = (
    "google-bert/bert-base-uncased",
    "microsoft/deberta-v3-small",
    "distilbert/distilbert-base-uncased",
    "FacebookAI/roberta-base",
    "FacebookAI/xlm-roberta-base",
)
INFERENCE = Setting("", "inference", "bf16", batch_size=BATCH, sequence_length=LENGTH, generated_length=3)
FULL = Setting(
    "", "full", "fp32", amp=True, gradients="fp32", optimizer_states="fp32", batch_size=BATCH, sequence_length=LENGTH
)
SLIDING, WINDOW = "openai/gpt-oss-20b", 127
"""Every other layer keeps so many tokens: its window, less the one that comes."""
IMAGES = re.compile("vision|multi_modal")
NEAR = 0.01
"""Buffers beside parameters, and temporaries of the loss that are gone before the step."""


@pytest.mark.parametrize(("name", "width"), DECODERS.items(), ids=DECODERS)
def test_a_decoder_keeps_its_weights_and_a_cache(name: str, width: int) -> None:
    """While it decodes: the cache of two layers, and in one of them the longer one beside it."""
    facts = cut(name)
    ledger = trace(replace(INFERENCE, model=name), facts).ledger
    decode = ledger.phase(PhaseName.DECODE)
    assert decode is not None
    assert ledger.phases[0].total == pytest.approx(2 * architecture_of(facts).parameters, rel=NEAR)
    token = 2 * width * BATCH
    tokens = 2 * (LENGTH + 1) if name != SLIDING else LENGTH + WINDOW
    assert tokens * token <= decode.of(Category.KV_CACHE) <= (tokens + LENGTH + 4) * token


TRAINED = [*((name, "causal-lm", 0) for name in DECODERS), *((name, "masked-lm", 0) for name in ENCODERS)]
CLASSIFIERS = [(name, "sequence-classification", 3) for name in (*ENCODERS, "Qwen/Qwen2.5-0.5B", "openai/gpt-oss-20b")]


@pytest.mark.parametrize(("name", "head", "labels"), [*TRAINED, *CLASSIFIERS])
def test_training_holds_sixteen_bytes_for_each_parameter(name: str, head: str, labels: int) -> None:
    """float32 weights 4, gradients 4 and two states of AdamW 8, of everything that text reaches."""
    facts = cut(name)
    architecture = architecture_of(facts, head, labels)
    setting = replace(FULL, model=name, head=head, labels=labels)
    step = trace(setting, facts).ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    of_images = sum(module.elements for module in architecture.modules if IMAGES.search(module.path))
    expected = 16 * architecture.parameters - 12 * of_images
    assert step.total - step.of(Category.WORKSPACE) == pytest.approx(expected, rel=NEAR)


def test_an_encoder_decoder_reads_its_prompt_once() -> None:
    """T5's decoder starts with one token; what its attention to the prompt needs is cached, 8 heads of 64 twice."""
    name = "google-t5/t5-small"
    decode = trace(replace(INFERENCE, model=name), cut(name)).ledger.phase(PhaseName.DECODE)
    assert decode is not None
    prompt = 2 * BATCH * LENGTH * 2 * 512 * 2
    assert prompt <= decode.of(Category.KV_CACHE) <= 1.1 * prompt


def test_an_encoder_decoder_trains() -> None:
    name = "google/flan-t5-small"
    facts = cut(name)
    step = trace(replace(FULL, model=name), facts).ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    assert step.total - step.of(Category.WORKSPACE) == pytest.approx(16 * architecture_of(facts).parameters, rel=NEAR)


def test_decoding_copies_the_weights_of_the_chosen_experts() -> None:
    """generate() switches to batched products: for each of two experts of two rows gate and up, then down beside."""
    name = "mistralai/Mixtral-8x7B-v0.1"
    ledger = trace(replace(INFERENCE, model=name), cut(name, 1)).ledger
    decode = ledger.phase(PhaseName.DECODE)
    assert decode is not None
    copies = BATCH * 2 * 3 * 4096 * 14_336 * 2
    assert "aten::index.Tensor" in decode.moment
    assert decode.of(Category.ACTIVATIONS) == pytest.approx(copies, rel=0.002)


def test_autocast_leaves_the_experts_in_float32() -> None:
    """Grouped products are not on autocast's list: gate and up of 2 experts a token, 4 bytes; no 16-bit copies."""
    name = "mistralai/Mixtral-8x7B-v0.1"
    made = trace(replace(FULL, model=name), cut(name, 1)).timeline.allocations
    products = {one.bytes for one in made if one.operation == "aten::_grouped_mm" and one.stage == "forward"}
    assert products == {BATCH * LENGTH * 2 * width * 4 for width in (2 * 14_336, 4096)}
    weights = 8 * 4096 * 14_336
    assert weights * 2 not in {one.bytes for one in made if one.operation == "aten::_to_copy"}


def test_a_model_without_sdpa_attends_eagerly() -> None:
    """Gemma 2 caps its scores: 8 heads' probabilities of each pair of tokens, in 16 bit, are there until it returns."""
    name = "google/gemma-2-2b"
    if import_module("transformers.models.gemma2.modeling_gemma2").Gemma2PreTrainedModel._supports_sdpa:
        pytest.skip("a release of transformers in which Gemma 2 attends by sdpa")
    prefill = trace(replace(INFERENCE, model=name), cut(name, 1)).ledger.phase(PhaseName.PREFILL)
    assert prefill is not None
    [probabilities] = (
        row for row in prefill.rows if row.name.endswith("self_attn") and row.category is Category.ACTIVATIONS
    )
    assert probabilities.bytes == BATCH * 8 * LENGTH * LENGTH * 2


@pytest.mark.parametrize(("length", "padded"), [(520, 0), (521, 528)])
def test_rows_of_a_mask_are_padded_to_eight_columns(length: int, padded: int) -> None:
    """A window of 512 tokens needs a mask; the memory-efficient kernel wants its rows aligned, in each layer anew."""
    name = "google/gemma-3-270m"
    setting = replace(INFERENCE, model=name, sequence_length=length, generated_length=0)
    made = trace(setting, cut(name), whole=True).timeline.allocations
    copies = [one.bytes for one in made if one.operation == "aten::constant_pad_nd"]
    assert copies == [BATCH * length * padded * 2] * (2 if padded else 0)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"model": "google-t5/t5-small", "head": "sequence-classification", "labels": 2}, "unique_consecutive"),
        ({"model": "google-t5/t5-small", "head": "masked-lm"}, "no masked-lm head for t5"),
        ({"model": "Qwen/Qwen-1_8B"}, "no model type 'qwen'"),
        ({"model": "openai/gpt-oss-20b", "attention": "flash"}, "no flash attention for gpt_oss"),
        ({"model": "microsoft/deberta-v3-small", "head": "base", "attention": "flash"}, "no flash attention"),
        ({"model": "deepseek-ai/DeepSeek-V2-Lite", "weights": "int8"}, "not multiply inputs of 4 dimensions in 8 bit"),
        (
            {
                "model": "google-bert/bert-base-uncased", "head": "sequence-classification", "labels": 2,
                "method": "qlora", "weights": "nf4", "gradients": "fp32", "optimizer_states": "fp32",
                "lora": Lora(8), "amp": True,
            },
            "peft does not adapt this",
        ),
        (
            {"model": "google-bert/bert-base-uncased", "head": "masked-lm", "sequence_length": 513},
            "513 tokens for 512 positions",
        ),
    ],
)  # fmt: skip
def test_what_does_not_run_is_refused_by_name(fields: dict[str, Any], reason: str) -> None:
    setting = replace(INFERENCE, generated_length=0, **fields)
    with pytest.raises(UnsupportedTrace, match=reason):
        trace(setting, cut(setting.model))


def test_a_config_that_transformers_refuses_is_told_apart_from_a_type_that_it_does_not_have() -> None:
    name = "google/gemma-3-270m"
    broken = model_from_config({**cut(name).config, "layer_types": ["no_attention"] * 2}, name)
    with pytest.raises(UnsupportedTrace, match=r"does not take this config of gemma3_text: .*layer_types"):
        trace(replace(INFERENCE, model=name, generated_length=0), broken)
