"""Heads that answer questions, on every encoder that has one, against traces; by hand what is handed to one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.agree import agree
from toolkit.facts.models import load_model, model_from_config
from toolkit.memory.architecture import UnsupportedModel, architecture_of
from toolkit.memory.estimate import estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

PEAK, ELSEWHERE = 0.0004, 0.003
TARGETS = {
    "google-bert/bert-base-uncased": "query",
    "FacebookAI/roberta-base": "query",
    "distilbert/distilbert-base-uncased": "q_lin",
    "microsoft/deberta-base": "in_proj",
    "microsoft/deberta-v3-small": "query_proj",
    "albert/albert-base-v1": "query",
    "google/electra-base-discriminator": "query",
    "sentence-transformers/all-mpnet-base-v2": "q",
}
BERT = "google-bert/bert-base-uncased"
HALF: dict[str, Any] = {"weights": "bf16", "compute": "bf16", "gradients": "bf16"}
MIXED: dict[str, Any] = {"amp": True, "compute": "bf16"}
ADAPTED: dict[str, Any] = {**HALF, "method": "lora", "gradients": "fp32"}
RUNS: dict[str, dict[str, Any]] = {"full": {}, "16 bit": HALF, "autocast": MIXED, "inference": {"method": "inference"}}
MORE: dict[str, dict[str, Any]] = {
    "checkpoints": {"gradient_checkpointing": "non-reentrant"},
    "checkpoints under autocast": {**MIXED, "gradient_checkpointing": "reentrant"},
    "flash": {**HALF, "attention": "flash", "padding": False},
    "eager": {"attention": "eager"},
    "accumulated": {"gradient_accumulation": 2, "optimizer": "adamw", "optimizer_states": "fp32"},
}


def setting(model: str, changes: dict[str, Any]) -> Setting:
    plain = Setting(
        model, "full", "fp32", compute="fp32", gradients="fp32", optimizer="none", batch_size=4, padding=True,
        head="question-answering", sequence_length=256, stack=Stack("transformers"),
    )  # fmt: skip
    return replace(plain, **changes)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("model", TARGETS)
def test_answers_take_what_a_trace_sees(model: str, run: str) -> None:
    if model == "microsoft/deberta-base" and run == "autocast":
        pytest.skip("fails under autocast: test_first_deberta_reference.py")
    agree(setting(model, RUNS[run]), 3, peak=PEAK, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("model", TARGETS)
def test_adapters_beside_a_trained_copy_of_the_head_do_too(model: str) -> None:
    adapted = setting(model, {**ADAPTED, "lora": Lora(8, 16, (TARGETS[model],))})
    agree(adapted, 3, peak=PEAK, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("run", MORE)
def test_other_runs_of_bert(run: str) -> None:
    agree(setting(BERT, MORE[run]), 3, peak=PEAK, elsewhere=ELSEWHERE)


def test_a_batch_brings_where_each_answer_starts_and_ends() -> None:
    """Three columns of a token each, and two numbers for each sequence, all of 64 bits."""
    [row] = (row for row in estimate(setting(BERT, {}), load_model(BERT)).ledger.peak.rows if row.name == "token_ids")
    assert row.bytes == (3 * 4 * 256 + 2 * 4) * 8


def test_the_head_gives_two_numbers_whatever_labels_a_config_has() -> None:
    config = {**load_model(BERT).config, "id2label": {str(one): str(one) for one in range(5)}}
    architecture = architecture_of(model_from_config(config, "five labels"), "question-answering")
    [head] = (module for module in architecture.modules if module.path == "qa_outputs")
    assert (head.out_features, head.elements) == (2, 2 * 768 + 2)


def test_what_has_no_formula_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedModel, match="no question-answering head for modernbert"):
        architecture_of(load_model("answerdotai/ModernBERT-base"), "question-answering")
    summed = setting(BERT, {"stack": Stack("plain", "sum")})
    with pytest.raises(UnsupportedRow, match="loss 'sum' of a head that answers questions"):
        estimate(summed, load_model(BERT))
    with pytest.raises(UnsupportedRow, match="all-linear"):
        estimate(setting(BERT, {**ADAPTED, "lora": Lora(8)}), load_model(BERT))
    config = {**load_model("distilbert/distilbert-base-uncased").config, "qa_dropout": 0.0}
    with pytest.raises(UnsupportedModel, match="qa_dropout"):
        architecture_of(model_from_config(config, "no dropout"), "question-answering")
