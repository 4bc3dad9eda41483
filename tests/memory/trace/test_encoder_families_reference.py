"""Encoders beside BERT's nearest kin, OPT 350M and BioGPT against traces: training, inference, and sums of logits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.agree import agree, agree_on
from toolkit.facts.models import model_from_config
from toolkit.memory.estimate import estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

PEAK, ELSEWHERE = 0.0004, 0.002
MIXED: dict[str, Any] = {"weights": "fp32", "gradients": "fp32", "optimizer_states": "fp32", "amp": True}
RUNS: dict[str, dict[str, Any]] = {
    "full": {},
    "eagerly": {"attention": "eager", "optimizer": "adamw", "optimizer_states": "fp16"},
    "under autocast": {**MIXED, "optimizer": "adamw"},
    "padded": {**MIXED, "optimizer": "adamw", "attention": "eager", "padding": True},
    "summed": {"stack": Stack("plain", "sum")},
    "inference": {"method": "inference"},
    "eager inference": {"method": "inference", "attention": "eager"},
    "padded inference": {"method": "inference", "padding": True},
}
CONFIGS: dict[str, dict[str, Any]] = {
    "ELECTRA": {
        "model_type": "electra", "embedding_size": 768, "hidden_size": 768, "num_attention_heads": 12,
        "intermediate_size": 3072,
    },
    "ELECTRA's generator": {"model_type": "electra", "embedding_size": 768},
    "ALBERT": {
        "model_type": "albert", "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072,
        "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
    },
    "ALBERT without dropout": {
        "model_type": "albert", "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072,
    },
    "MPNet": {"model_type": "mpnet"},
    "CamemBERT": {
        "model_type": "camembert", "vocab_size": 32005, "max_position_embeddings": 514, "type_vocab_size": 1,
    },
}  # fmt: skip


def setting(head: str, changes: dict[str, Any]) -> Setting:
    plain = Setting(
        "config.json", "full", "fp16", compute="fp16", gradients="fp16", optimizer="none", head=head,
        labels=2 if head == "sequence-classification" else 0, batch_size=3, sequence_length=256, stack=Stack("plain"),
    )  # fmt: skip
    return replace(plain, **changes)


@pytest.mark.parametrize("head", ["masked-lm", "sequence-classification"])
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", CONFIGS)
def test_encoders_take_what_a_trace_sees(name: str, run: str, head: str) -> None:
    facts = model_from_config({**CONFIGS[name], "num_hidden_layers": 3}, name)
    agree_on(setting(head, RUNS[run]), facts, peak=PEAK, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("model", ["microsoft/biogpt", "facebook/opt-350m"])
def test_decoders_that_are_built_alike_do_too(model: str, run: str) -> None:
    agree(replace(setting("causal-lm", RUNS[run]), model=model), 3, peak=PEAK, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("model", ["google-bert/bert-base-uncased", "distilbert/distilbert-base-uncased"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_sums_of_logits_of_encoders(model: str, attention: str) -> None:
    summed = replace(setting("masked-lm", RUNS["summed"]), model=model, attention=attention)
    agree(summed, 3, peak=PEAK, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("name", ["ELECTRA", "ELECTRA's generator", "ALBERT", "CamemBERT"])
@pytest.mark.parametrize("changes", [{}, {"attention": "eager"}, MIXED], ids=["plain", "eager", "autocast"])
def test_results_that_a_loop_has_a_name_for(name: str, changes: dict[str, Any]) -> None:
    """`outputs = model(**batch); outputs.loss.backward()`: the logits stay until the next pass has given its own."""
    facts = model_from_config({**CONFIGS[name], "num_hidden_layers": 3}, name)
    named = setting("masked-lm", {"stack": Stack("plain", "named"), **changes})
    agree_on(named, facts, peak=PEAK, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("model", ["openai-community/gpt2-large", "EleutherAI/pythia-410m", "Qwen/Qwen2.5-0.5B"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_sums_of_logits_of_decoders(model: str, attention: str) -> None:
    """Their results have keys and values, too, which stay until the next pass is done."""
    summed = replace(setting("causal-lm", RUNS["summed"]), model=model, attention=attention)
    agree(summed, 3, peak=PEAK, elsewhere=ELSEWHERE)


def test_adapters_on_layers_that_share_their_weights() -> None:
    adapted = setting("masked-lm", {"method": "lora", "lora": Lora(8, 16, ("query", "value")), "gradients": "fp32"})
    facts = model_from_config({**CONFIGS["ALBERT"], "num_hidden_layers": 3}, "ALBERT")
    agree_on(adapted, facts, peak=0.002, elsewhere=0.004)


@pytest.mark.parametrize("name", ["ALBERT", "MPNet"])
def test_some_have_no_checkpoints(name: str) -> None:
    facts = model_from_config({**CONFIGS[name], "num_hidden_layers": 3}, name)
    with pytest.raises(UnsupportedRow, match=f"no gradient checkpointing for {name}"):
        estimate(setting("masked-lm", {"gradient_checkpointing": "non-reentrant"}), facts)
