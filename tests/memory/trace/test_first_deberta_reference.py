"""The first DeBERTa (modeling_deberta.py) against traces; its code's two failures, on numbers that are real."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

import torch
import transformers

from tests.memory.architecture.samples import small_config
from tests.memory.trace.agree import agree_on
from toolkit.facts.models import load_model, model_from_config
from toolkit.memory.estimate import estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

PEAK, ELSEWHERE = 0.002, 0.005
HALF: dict[str, Any] = {"weights": "bf16", "compute": "bf16", "gradients": "bf16"}
ADAPTED: dict[str, Any] = {**HALF, "method": "lora", "gradients": "fp32"}
MASKED: dict[str, Any] = {"head": "masked-lm", "labels": 0}
RUNS: dict[str, dict[str, Any]] = {
    "full": {},
    "all of the table": {"sequence_length": 512, "batch_size": 2},
    "16 bit": HALF,
    "masked": MASKED,
    "tokens": {"head": "token-classification", "labels": 9},
    "non-reentrant": {**MASKED, "gradient_checkpointing": "non-reentrant"},
    "reentrant": {"gradient_checkpointing": "reentrant"},
    "accumulated": {"optimizer": "adamw", "optimizer_states": "fp32", "gradient_accumulation": 2},
    "lora": {**ADAPTED, "lora": Lora(8, 16, ("in_proj", "pos_proj", "dense"))},
    "lora, non-reentrant": {**ADAPTED, "lora": Lora(8), "gradient_checkpointing": "non-reentrant"},
    "qlora": {**MASKED, **ADAPTED, "method": "qlora", "weights": "nf4", "lora": Lora(8)},
    "8 bit": {**MASKED, **ADAPTED, "weights": "int8", "lora": Lora(8)},
    "inference": {"method": "inference"},
    "inference in 16 bit": {**MASKED, **HALF, "method": "inference", "sequence_length": 512},
    "inference without a head": {"method": "inference", "head": "base", "labels": 0},
}
VARIANTS: dict[str, dict[str, Any]] = {
    "contents to positions": {"pos_att_type": ["c2p"]},
    "positions to contents": {"pos_att_type": "p2c"},
    "a short table": {"max_relative_positions": 100},
    "positions added": {"position_biased_input": True, "type_vocab_size": 2},
    "without dropout": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
}


def config(changes: dict[str, Any]) -> dict[str, Any]:
    return {**small_config("deberta", layers=3), **changes}


def setting(changes: dict[str, Any]) -> Setting:
    plain = Setting(
        "config.json", "full", "fp32", compute="fp32", gradients="fp32", optimizer="none", batch_size=3, labels=2,
        head="sequence-classification", sequence_length=256, padding=True, stack=Stack("transformers"),
    )  # fmt: skip
    return replace(plain, **changes)


@pytest.mark.parametrize("run", RUNS)
def test_a_run_takes_what_a_trace_sees(run: str) -> None:
    agree_on(setting(RUNS[run]), model_from_config(config({}), "DeBERTa"), peak=PEAK, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("method", ["full", "inference"])
@pytest.mark.parametrize("name", VARIANTS)
def test_other_forms_of_it_do_too(name: str, method: str) -> None:
    facts = model_from_config(config(VARIANTS[name]), name)
    agree_on(setting({"method": method}), facts, peak=PEAK, elsewhere=ELSEWHERE)


def tiny(**changes: Any) -> Any:
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "vocab_size": 50}
    return transformers.DebertaForSequenceClassification(
        transformers.DebertaConfig(**{**config({}), **sizes, **changes})
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_its_code_fails_under_autocast_and_is_refused(dtype: Any) -> None:
    ids = torch.ones(2, 8, dtype=torch.long)
    with torch.autocast("cpu", dtype), pytest.raises(RuntimeError, match="without overflow"):
        tiny()(input_ids=ids, attention_mask=ids)
    mixed = setting({"amp": True, "compute": str(dtype).rpartition(".")[2].replace("float", "fp").replace("bfp", "bf")})
    with pytest.raises(UnsupportedRow, match="under autocast"):
        estimate(mixed, model_from_config(config({}), "DeBERTa"))


def test_its_code_fails_as_loaded_in_16_bit_and_an_estimate_says_so() -> None:
    """Two biases are made in float32 whatever is asked for, and stay so unless the model is cast."""
    ids = torch.ones(2, 8, dtype=torch.long)
    torch.set_default_dtype(torch.bfloat16)
    try:
        model = tiny()
    finally:
        torch.set_default_dtype(torch.float32)
    assert {name.rpartition(".")[2] for name, one in model.named_parameters() if one.dtype == torch.float32} == {
        "q_bias", "v_bias",
    }  # fmt: skip
    with pytest.raises(RuntimeError, match="dtype"):
        model(input_ids=ids, attention_mask=ids)
    assert model.to(torch.bfloat16)(input_ids=ids, attention_mask=ids).logits.dtype == torch.bfloat16
    facts = model_from_config(config({}), "DeBERTa")
    assert any("q_bias" in note for note in estimate(setting(HALF), facts).notes)
    assert not any("q_bias" in note for note in estimate(setting({}), facts).notes)


@pytest.mark.parametrize("name", ["microsoft/deberta-base", "microsoft/deberta-large", "microsoft/deberta-xlarge"])
def test_published_ones_are_estimated(name: str) -> None:
    facts = load_model(name)
    assert estimate(replace(setting({}), model=name), facts).ledger.peak.total > 0
