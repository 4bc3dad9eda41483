"""DeepSeek V3.2 and GLM 5, whose indexers choose the tokens that are attended to: formulas against traces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.memory.trace.agree import agree_on
from toolkit.facts.models import ModelFacts, model_from_config
from toolkit.memory.architecture import UnsupportedModel, architecture_of
from toolkit.memory.architecture.deepseek_sparse import FAMILIES
from toolkit.memory.estimate import estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Setting, Stack

pytestmark = pytest.mark.reference

SIZES: dict[str, Any] = {
    "vocab_size": 2000, "hidden_size": 512, "intermediate_size": 1024, "moe_intermediate_size": 256,
    "num_hidden_layers": 3, "num_attention_heads": 8, "num_key_value_heads": 8, "n_routed_experts": 8, "n_group": 1,
    "topk_group": 1, "num_experts_per_tok": 2, "first_k_dense_replace": 1, "q_lora_rank": 256, "kv_lora_rank": 128,
    "qk_nope_head_dim": 48, "qk_rope_head_dim": 16, "v_head_dim": 64, "index_topk": 64, "index_head_dim": 32,
    "index_n_heads": 4,
}  # fmt: skip


def _model(family: str, **changes: Any) -> ModelFacts:
    return model_from_config({**SIZES, "model_type": family, **changes}, family)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_it_generates_as_the_trace_sees(family: str, attention: str, batch: int) -> None:
    """Of several sequences torch copies an indexer's keys for every query; a single token decodes to 1.1 %."""
    setting = Setting(family, "inference", "bf16", batch_size=batch, sequence_length=512, generated_length=3)
    agree_on(replace(setting, attention=attention), _model(family), peak=0.0025, elsewhere=0.012)


@pytest.mark.parametrize("batch", [1, 2])
def test_a_prompt_may_have_no_more_tokens_than_are_chosen(batch: int) -> None:
    setting = Setting("deepseek_v32", "inference", "bf16", batch_size=batch, sequence_length=300, generated_length=3)
    agree_on(setting, _model("deepseek_v32", index_topk=2048), peak=0.0025, elsewhere=0.012)


def test_a_long_answer_keeps_the_indexers_keys_too() -> None:
    setting = Setting("deepseek_v32", "inference", "bf16", batch_size=2, sequence_length=64, generated_length=16)
    agree_on(setting, _model("deepseek_v32"), peak=0.004, elsewhere=0.012)


def test_what_no_formula_has_is_refused_by_name() -> None:
    model = _model("deepseek_v32")
    with pytest.raises(UnsupportedRow, match="training beside an indexer"):
        estimate(Setting("deepseek_v32", "full", "bf16"), model)
    with pytest.raises(UnsupportedRow, match="kernels of sparse attention"):
        estimate(Setting("deepseek_v32", "inference", "bf16", attention="flash"), model)
    with pytest.raises(UnsupportedRow, match="keys of an indexer"):
        estimate(Setting("deepseek_v32", "inference", "bf16", stack=Stack(trainer="vllm"), gpu="A100 80GB"), model)
    with pytest.raises(UnsupportedModel, match="choice of an earlier indexer"):
        architecture_of(_model("glm_moe_dsa", index_topk_freq=4))
