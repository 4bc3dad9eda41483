"""Formulas against traces of combinations that few runs have together: each once differed for a reason of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

import torch
from torch.nn import functional

from tests.memory.trace.agree import agree, agree_on
from tests.memory.trace.cut import cut
from toolkit.facts.models import ModelFacts, model_from_config
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.trace.stand_ins.on_gpu import OnGpu
from toolkit.memory.trace.trace import UnsupportedTrace, trace
from toolkit.spec.settings.setting import Lora, Setting

pytestmark = pytest.mark.reference

WIDE: dict[str, Any] = {"gradients": "fp32", "optimizer_states": "fp32"}
FULL: dict[str, Any] = {"method": "full", "weights": "fp32", "amp": True, **WIDE}
LORA: dict[str, Any] = {"method": "lora", "weights": "bf16", "amp": True, "lora": Lora(8), **WIDE}
QLORA: dict[str, Any] = {**LORA, "method": "qlora", "weights": "nf4"}
INFER: dict[str, Any] = {"method": "inference", "weights": "bf16", "optimizer": "none"}
MASKED: dict[str, Any] = {"head": "masked-lm", "sequence_length": 256}
ATTENTION = {"lora": Lora(8, targets=("q_proj", "v_proj"))}
FLOAT16 = {"compute": "fp16"}
FLOAT32: dict[str, Any] = {"compute": "fp32", "amp": False}
DEFAULT_4BIT = {"weights": "nf4", "compute": "fp32"}
LATENT = "deepseek-ai/DeepSeek-V2-Lite"
ON_LATENT = {"lora": Lora(8, targets=("kv_b_proj", "o_proj"))}
BERT, DISTILBERT, DEBERTA = (
    "google-bert/bert-base-uncased", "distilbert/distilbert-base-uncased", "microsoft/deberta-v3-small"
)  # fmt: skip
SINKS, LLAMA, T5 = "openai/gpt-oss-20b", "meta-llama/Llama-3.2-1B", "google-t5/t5-small"
EAGER, FLASH = {"attention": "eager"}, {"attention": "flash"}

CASES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "an output embedding of an encoder is not quantized": (BERT, 2, {**INFER, **MASKED, "weights": "nf4"}),
    "autocast takes products of heads that come in float32": (
        DISTILBERT, 2, {**LORA, **MASKED, **EAGER, **FLOAT16, "weights": "int8"},
    ),
    "nothing is decoded after a prompt alone": ("mistralai/Mixtral-8x7B-v0.1", 2, {**INFER, "sequence_length": 64}),
    "logits beside sinks": (SINKS, 2, {**INFER, "generated_length": 2}),
    "a softmax in a dtype of its own under autocast": (
        SINKS, 2, {**LORA, **ATTENTION, **EAGER, **FLOAT16, "weights": "fp16"},
    ),
    "scores of sinks made float32 by their mask": (SINKS, 2, {**FULL, "gradient_checkpointing": "reentrant"}),
    "a mask of full rows is one for all": (
        "microsoft/Phi-3-mini-4k-instruct", 2, {**INFER, "batch_size": 4, "sequence_length": 2560},
    ),
    "FlashAttention is given 16 bits of a float32 stream": (LLAMA, 2, {**QLORA, **FLASH, "amp": False}),
    "values alone have a gradient": (LLAMA, 2, {**LORA, "lora": Lora(8, targets=("v_proj",))}),
    "latents alone have a gradient": (LATENT, 2, {**LORA, **ON_LATENT}),
    "latent attention, its scores written out": (LATENT, 2, {**LORA, **ON_LATENT, **EAGER}),
    "latent attention writes tokens with its scores": (LATENT, 2, {**INFER, **EAGER, "generated_length": 4}),
    "FlashAttention on values that are filled up": (LATENT, 2, {**LORA, **ON_LATENT, **FLASH}),
    "the same while tokens are written": (LATENT, 2, {**INFER, **FLASH, "generated_length": 4}),
    "autocast norms embeddings in float32": (BERT, 3, {**LORA, **MASKED, "gradient_checkpointing": "reentrant"}),
    "a classifier is copied in its own dtype": (
        "FacebookAI/roberta-base", 2, {**LORA, "head": "sequence-classification", "labels": 3, "sequence_length": 64},
    ),
    "a block of T5 has a name for probabilities": (T5, 3, {**INFER, **EAGER, "generated_length": 4}),
    "checkpoints of T5 keep its causal mask": (T5, 3, {**LORA, **EAGER, "gradient_checkpointing": "reentrant"}),
    "a quantized product of one token": (
        "google/flan-t5-small", 3, {**INFER, "weights": "nf4", "batch_size": 8, "generated_length": 4},
    ),
    "4-bit products of float32 between 16-bit states": (LLAMA, 2, {**INFER, **DEFAULT_4BIT, "generated_length": 4}),
    "FlashAttention is given those states": (LLAMA, 2, {**INFER, **DEFAULT_4BIT, **FLASH, "generated_length": 4}),
    "their gradients, where all but the 4-bit weights is made float32": (LLAMA, 2, {**QLORA, **FLOAT32}),
    "and where it is not": (
        LLAMA, 2, {**QLORA, **FLOAT32, "upcast": False, "gradient_checkpointing": "non-reentrant"},
    ),
    "a product of two dtypes has its gradients in the wider one": (
        "microsoft/phi-2", 2, {**FULL, **EAGER, "gradient_checkpointing": "reentrant", "sequence_length": 1024},
    ),
    "DeBERTa's products of float32 states": (DEBERTA, 2, {**QLORA, **MASKED}),
    "a table of positions in 8 bit": (DEBERTA, 2, {**LORA, **MASKED, "weights": "int8"}),
}  # fmt: skip


@pytest.mark.parametrize(("name", "layers", "fields"), CASES.values(), ids=CASES)
def test_a_formula_gives_what_the_trace_sees(name: str, layers: int, fields: dict[str, Any]) -> None:
    setting = Setting(**{"model": name, "batch_size": 2, "sequence_length": 512, **fields})
    agree(setting, layers, peak=0.0004, elsewhere=0.002)


@pytest.mark.parametrize("fields", [LORA, {**FULL, "weights": "fp32"}], ids=["bfloat16", "autocast"])
def test_probabilities_beside_sinks_drop_out(fields: dict[str, Any]) -> None:
    """gpt-oss with a chance that its published config has not: a mask, and the result where it is another tensor."""
    config = {**cut(SINKS, 2).config, "attention_dropout": 0.1}
    model = model_from_config(config, SINKS)
    assert isinstance(model, ModelFacts)
    agree_on(Setting(SINKS, **fields, batch_size=2, sequence_length=512), model, peak=0.0004, elsewhere=0.002)


def test_float16_has_no_copy_in_float32_before_a_softmax() -> None:
    """BLOOM: within backward, that is full of scores; of its forward pass a part in fifty is told too many."""
    fields = {**LORA, **FLOAT16, "weights": "fp16", "head": "sequence-classification", "labels": 2}
    agree(Setting("bigscience/bloom-560m", **fields, sequence_length=512), 2, peak=0.0003, elsewhere=0.02)


def test_autocast_widens_a_sum_without_a_copy_and_no_result_whose_dtype_is_named() -> None:
    """As torch/include/ATen/autocast_mode.h says of fp32_set_opt_dtype."""
    on_gpu = OnGpu()
    x = torch.empty(4, 8, dtype=torch.bfloat16, device="meta", requires_grad=True)
    with on_gpu, on_gpu.region(torch.bfloat16):
        total, plain, named = x.sum(), functional.softmax(x, -1), functional.softmax(x, -1, dtype=torch.bfloat16)
    assert [part.dtype for part in (total, plain, named)] == [torch.float32, torch.float32, torch.bfloat16]
    assert total.grad_fn is not None
    assert "SumBackward" in type(total.grad_fn).__name__
    [(before, _)] = total.grad_fn.next_functions
    assert "AccumulateGrad" in type(before).__name__  # no cast lies between


def test_peft_leaves_what_it_copies_in_its_dtype() -> None:
    """RoBERTa's classifier of 3 labels, in 16 bit: matrices of 768 x 768 and 768 x 3, with biases; adapters wide."""
    name = "FacebookAI/roberta-base"
    head = {"head": "sequence-classification", "labels": 3, "sequence_length": 16}
    setting = Setting(name, **{**LORA, **head, "lora": Lora(8, targets=("query",))})
    step = trace(setting, cut(name, 2), whole=True).ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    adapters, copied = 2 * 8 * (768 + 768) * 4, (768 * 768 + 768 + 768 * 3 + 3) * 2
    assert step.of(Category.ADAPTERS) == pytest.approx(adapters + copied, abs=4 * 512)


def test_flash_attention_in_float32_is_refused() -> None:
    setting = Setting(LLAMA, **{**FULL, **FLASH, "amp": False, "compute": "fp32"})
    with pytest.raises(UnsupportedTrace, match="takes no float32"):
        trace(replace(setting, sequence_length=16), cut(LLAMA, 1))
