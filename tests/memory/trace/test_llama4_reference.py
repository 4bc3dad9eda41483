"""Llama 4, of which every expert runs on every token, and Phi-3.5-MoE: formulas against traces."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.trace.agree import agree, agree_on
from tests.memory.trace.methods import METHODS, MIXED
from toolkit.facts.models import ModelFacts, load_model, model_from_config
from toolkit.memory.estimate import estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Kernels, Lora, Setting, Stack

pytestmark = pytest.mark.reference

PEAK, ELSEWHERE = 0.0007, 0.001

MODEL: dict[str, Any] = {
    "model_type": "llama4_text", "vocab_size": 2000, "hidden_size": 512, "intermediate_size": 512,
    "intermediate_size_mlp": 1024, "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 2,
    "head_dim": 64, "num_local_experts": 4, "interleave_moe_layer_step": 2,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
TARGETS = ("q_proj", "v_proj", "o_proj", "gate_proj", "down_proj")
HOW: dict[str, dict[str, Any]] = {
    **METHODS,
    "qlora": {**METHODS["qlora"], "lora": Lora(8, 16, TARGETS)},
    "eagerly": {"method": "inference", "weights": "bf16", "generated_length": 3, "attention": "eager"},
    "autocast, eagerly": {"method": "full", "weights": "fp32", "attention": "eager", **MIXED},
    "in float32": {
        "method": "full", "weights": "fp32", "compute": "fp32", "gradients": "fp32", "optimizer_states": "fp32",
    },
}  # fmt: skip
FORMS: dict[str, dict[str, Any]] = {
    "experts in every layer": {"interleave_moe_layer_step": 1, "num_experts_per_tok": 2},
    "no norms, nothing by position": {"use_qk_norm": False, "attn_temperature_tuning": False},
    "all layers turned": {"no_rope_layers": [1, 1, 1, 1]},
}


def _agree(changes: dict[str, Any], how: str, *, elsewhere: float = ELSEWHERE) -> None:
    model = model_from_config({**MODEL, **changes}, "llama4_text")
    setting = Setting(**{"model": "llama4_text", "batch_size": 2, "sequence_length": 512, **HOW[how]})
    agree_on(setting, model, peak=PEAK, elsewhere=elsewhere)


@pytest.mark.parametrize("how", HOW)
def test_a_formula_gives_what_the_trace_sees(how: str) -> None:
    _agree({}, how)


@pytest.mark.parametrize("how", ["inference", "full", "qlora"])
@pytest.mark.parametrize("changes", FORMS.values(), ids=FORMS)
def test_other_forms_agree(changes: dict[str, Any], how: str) -> None:
    _agree(changes, how)


@pytest.mark.parametrize("how", ["inference", "full", "qlora"])
def test_a_mask_of_chunks_is_made_for_every_sequence(how: str) -> None:
    """The first token that is decoded finds all keys of the prompt in layers whose chunk is shorter: 2.2 % there."""
    _agree({"attention_chunk_size": 256}, how, elsewhere=0.025 if how == "inference" else ELSEWHERE)


@pytest.mark.parametrize(("name", "layers"), [("Scout-17B-16E", 4), ("Maverick-17B-128E", 2)])
@pytest.mark.parametrize("how", ["inference", "qlora"])
def test_published_models_agree(name: str, layers: int, how: str) -> None:
    """With their tower, which no layer's adapters are in; Scout's fourth layer is not turned."""
    model = f"meta-llama/Llama-4-{name}-Instruct"
    setting = Setting(**{"model": model, "batch_size": 2, "sequence_length": 512, **HOW[how]})
    agree(setting, layers, peak=0.0005, elsewhere=0.0005)


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_adapters_of_the_router_are_refused_as_they_fail(method: str) -> None:
    scout = load_model("meta-llama/Llama-4-Scout-17B-16E-Instruct")
    assert isinstance(scout, ModelFacts)
    setting = Setting(scout.id, method, "bf16" if method == "lora" else "nf4", lora=Lora(8), **MIXED)
    with pytest.raises(UnsupportedRow, match="fail at Llama 4's router"):
        estimate(setting, scout)


PHIMOE: dict[str, Any] = {
    "model_type": "phimoe", "vocab_size": 2000, "hidden_size": 512, "intermediate_size": 512, "num_hidden_layers": 3,
    "num_attention_heads": 8, "num_key_value_heads": 2, "num_local_experts": 8, "num_experts_per_tok": 2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
}  # fmt: skip


@pytest.mark.parametrize("how", HOW)
def test_so_do_phi_3_5_moe_s(how: str) -> None:
    """What its router makes of eight numbers a token, draws among them for one, is followed no closer: 0.16 %."""
    fields = {**HOW[how], "lora": Lora(8, 16, ("q_proj", "v_proj", "o_proj"))} if "lora" in HOW[how] else HOW[how]
    setting = Setting(**{"model": "phimoe", "batch_size": 2, "sequence_length": 512, **fields})
    agree_on(setting, model_from_config(PHIMOE, "phimoe"), peak=0.0018, elsewhere=0.0018)


def test_adapters_of_its_router_are_refused_too() -> None:
    with pytest.raises(UnsupportedRow, match=r"Phi-3\.5-MoE's router"):
        estimate(Setting("phimoe", "lora", "bf16", lora=Lora(8), **MIXED), model_from_config(PHIMOE, "phimoe"))


@pytest.mark.parametrize("how", ["inference", "full", "qlora"])
@pytest.mark.parametrize("family", ["llama4_text", "phimoe"])
def test_padded_rows_agree(family: str, how: str) -> None:
    fields = {**HOW[how], "lora": Lora(8, 16, ("q_proj", "v_proj", "o_proj"))} if "lora" in HOW[how] else HOW[how]
    setting = Setting(**{"model": family, "batch_size": 2, "sequence_length": 512, "padding": True, **fields})
    model = model_from_config({"llama4_text": MODEL, "phimoe": PHIMOE}[family], family)
    agree_on(setting, model, peak=0.0018, elsewhere=0.002)


def test_kernels_that_liger_puts_into_llama_4_are_refused_by_name() -> None:
    setting = Setting("llama4_text", "full", "bf16", kernels=Kernels(liger=True))
    with pytest.raises(UnsupportedRow, match="Liger's kernels in llama4_text"):
        estimate(setting, model_from_config(MODEL, "llama4_text"))


@pytest.mark.parametrize("family", ["llama4_text", "phimoe"])
def test_code_of_older_releases_is_refused_as_it_was_not_read(family: str) -> None:
    setting = Setting(family, "inference", "bf16", stack=Stack(versions={"transformers": "4.57"}))
    with pytest.raises(UnsupportedRow, match="of transformers before 5"):
        estimate(setting, model_from_config({"llama4_text": MODEL, "phimoe": PHIMOE}[family], family))
