"""Dense decoders that few others are copies of: formulas against traces, with every method and both kernels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.architecture.samples import small_config
from tests.memory.trace.agree import agree_on
from toolkit.facts.models import model_from_config
from toolkit.memory.estimate import estimate
from toolkit.memory.forms.written_scores import CODES
from toolkit.memory.layouts.dense import DENSE_LAYOUTS
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack

pytestmark = pytest.mark.reference

PEAK, ELSEWHERE = 0.0018, 0.002
"""ERNIE's own angles, which no layer holds, are there until its forward pass ends: 0.16 % of so small a model."""

PROMPTS = {("cohere2", "inference"): 0.0045}
"""The keys of one layer more than a prompt of Command R7B holds; cause not found."""

MIXED: dict[str, Any] = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
ADAPTERS: dict[str, Any] = {"lora": Lora(8, 16, "all-linear", 0.05), **MIXED}
METHODS: dict[str, dict[str, Any]] = {
    "inference": {"method": "inference", "weights": "bf16", "generated_length": 3},
    "inference, eagerly": {"method": "inference", "weights": "bf16", "generated_length": 3, "attention": "eager"},
    "full": {"method": "full", "weights": "bf16"},
    "full, checkpoints": {"method": "full", "weights": "bf16", "gradient_checkpointing": "reentrant"},
    "autocast": {"method": "full", "weights": "fp32", **MIXED},
    "autocast, checkpoints": {
        "method": "full", "weights": "fp32", "gradient_checkpointing": "non-reentrant", **MIXED,
    },
    "autocast, eagerly": {"method": "full", "weights": "fp32", "attention": "eager", **MIXED},
    "lora": {"method": "lora", "weights": "bf16", **ADAPTERS},
    "lora, eagerly, checkpoints": {
        "method": "lora", "weights": "bf16", "attention": "eager", "gradient_checkpointing": "reentrant", **ADAPTERS,
    },
    "qlora": {"method": "qlora", "weights": "nf4", "gradient_checkpointing": "reentrant", **ADAPTERS},
}  # fmt: skip
CASES = [(family, method) for family in DENSE_LAYOUTS for method in METHODS]
QUICK = frozenset(CASES[:: len(METHODS) - 1])

FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "weights of each head in norms": ("cohere", {"use_qk_norm": True}),
    "a window, and layers that are not turned": ("cohere2", {"sliding_window": 256}),
    "windows of EXAONE": ("exaone4", {"sliding_window": 256}),
    "windows of OLMo": ("olmo3", {"sliding_window": 256}),
    "a window in every layer": ("starcoder2", {"sliding_window": 256}),
    "clipped queries": ("olmo", {"clip_qkv": 8.0}),
    "a window in layers that are not turned": ("smollm3", {"use_sliding_window": True, "sliding_window": 256}),
    "dropout everywhere": (
        "starcoder2",
        {"attention_dropout": 0.1, "residual_dropout": 0.1, "embedding_dropout": 0.1},
    ),
    "experts beside a feed-forward": (
        "gemma4_text",
        {"enable_moe_block": True, "num_experts": 16, "top_k_experts": 4, "moe_intermediate_size": 512},
    ),
    "keys that are no values": ("gemma4_text", {"attention_k_eq_v": False, "sliding_window": 256}),
    "another activation": ("apertus", {"hidden_act": "relu2"}),
    "no norms of queries": ("persimmon", {"qk_layernorm": False}),
    "dropout of scores that are written out": ("gptj", {"attn_pdrop": 0.1, "resid_pdrop": 0.1, "embd_pdrop": 0.1}),
    "whole heads that are turned": ("gptj", {"rotary_dim": 64}),
    "whole heads turned in float32": ("codegen", {"rotary_dim": 64}),
    "dropout in every layer": ("gpt_neo", {"attention_dropout": 0.1, "resid_dropout": 0.1, "embed_dropout": 0.1}),
}


def test_every_method_meets_every_other_family_quickly() -> None:
    assert {family for family, _ in QUICK} == set(DENSE_LAYOUTS)
    assert {method for _, method in QUICK} == set(METHODS)


@pytest.mark.parametrize(
    ("family", "method"),
    [pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow) for case in CASES],
)
def test_a_formula_gives_what_the_trace_sees(family: str, method: str) -> None:
    """The vocabulary is small, so that the layers, not the logits, make the peak: but not where logits are capped."""
    changes: dict[str, Any] = {"vocab_size": 32_000 if family == "vaultgemma" else 2000}
    if (family, method) == ("seed_oss", "autocast, eagerly"):
        changes["attention_dropout"] = 0.0  # dropout of float32 probabilities is 0.45 % more
    _agree(family, changes, METHODS[method], peak=PROMPTS.get((family, method), PEAK))


@pytest.mark.parametrize("method", ["full", "autocast, checkpoints", "lora"])
@pytest.mark.parametrize(("family", "changes"), FORMS.values(), ids=FORMS)
def test_other_forms_agree(family: str, changes: dict[str, Any], method: str) -> None:
    _agree(family, {"vocab_size": 2000, **changes}, METHODS[method])


def _agree(family: str, changes: dict[str, Any], fields: dict[str, Any], *, peak: float = PEAK) -> None:
    model = model_from_config(small_config(family, changes), family)
    setting = Setting(**{"model": family, "batch_size": 2, "sequence_length": 512, **fields})
    agree_on(setting, model, peak=peak, elsewhere=ELSEWHERE)


OWN_INPUTS: dict[str, Any] = {
    "num_hidden_layers": 6, "layer_types": ["sliding_attention", "full_attention"] * 3, "num_kv_shared_layers": 2,
    "hidden_size_per_layer_input": 256, "vocab_size_per_layer_input": 2000, "vocab_size": 2000,
    "attention_k_eq_v": False, "use_double_wide_mlp": True,
}  # fmt: skip


@pytest.mark.parametrize("changes", [{}, {"intermediate_size": 512, "hidden_size_per_layer_input": 512}])
@pytest.mark.parametrize("more", [{}, {"attention": "eager"}, {"weights": "nf4"}, {"padding": True}])
def test_layers_with_inputs_of_their_own_and_keys_of_earlier_ones_generate(
    more: dict[str, Any], changes: dict[str, Any]
) -> None:
    """With narrow layers the peak is where the inputs of all layers are made: before angles are, which are counted."""
    model = model_from_config(small_config("gemma4_text", {**OWN_INPUTS, **changes}), "gemma4_text")
    setting = Setting("gemma4_text", "inference", "bf16", batch_size=2, sequence_length=512, generated_length=40)
    agree_on(replace(setting, **more), model, peak=0.006 if changes else 0.0005, elsewhere=0.003)


TRAINED = {
    **{name: METHODS[name] for name in METHODS if not name.startswith("inference")},
    "full, checkpoints without reentry": {
        "method": "full", "weights": "bf16", "gradient_checkpointing": "non-reentrant",
    },
    "qlora, checkpoints without reentry": {**METHODS["qlora"], "gradient_checkpointing": "non-reentrant"},
    "qlora without checkpoints": {**METHODS["qlora"], "gradient_checkpointing": "false"},
}  # fmt: skip


@pytest.mark.parametrize("method", TRAINED)
def test_such_layers_train(method: str) -> None:
    """Gradients of what all layers share stay until the first is done; of a checkpoint that runs again, its keys."""
    model = model_from_config(small_config("gemma4_text", OWN_INPUTS), "gemma4_text")
    setting = Setting(**{"model": "gemma4_text", "batch_size": 2, "sequence_length": 512, **TRAINED[method]})
    agree_on(setting, model, peak=0.002, elsewhere=0.0025)


def test_inputs_of_all_layers_are_followed_on_one_gpu_alone() -> None:
    model = model_from_config(small_config("gemma4_text", OWN_INPUTS), "gemma4_text")
    shared = Setting("gemma4_text", "full", "bf16", parallel=Parallel(2, "fsdp"))
    with pytest.raises(UnsupportedRow, match="inputs of their own for each layer yet, except with one GPU"):
        estimate(shared, model)


@pytest.mark.parametrize("family", CODES)
def test_what_is_not_followed_where_code_writes_scores_out_is_refused_by_name(family: str) -> None:
    model = model_from_config(small_config(family), family)
    with pytest.raises(UnsupportedRow, match="transformers before 5"):
        estimate(Setting(family, "full", "bf16", stack=Stack(versions={"transformers": "4.57"})), model)
    if family in ("codegen", "gptj"):
        with pytest.raises(UnsupportedRow, match="padded rows of"):
            estimate(Setting(family, "inference", "bf16", generated_length=3, padding=True), model)
    with pytest.raises(UnsupportedRow, match="FlashAttention"):
        estimate(Setting(family, "full", "bf16", attention="flash"), model)
