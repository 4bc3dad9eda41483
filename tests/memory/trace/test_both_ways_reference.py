"""ModernBERT and EuroBERT, and classifiers of tokens, against traces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.agree import agree_on
from toolkit.facts.models import model_from_config
from toolkit.memory.estimate import estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

PEAK, ELSEWHERE = 0.001, 0.006
EAGERLY = 0.003
"""A prompt's eager attention: the float32 copies of the layer with all positions, which has no mask to add."""
TAGS = "token-classification"
MIXED: dict[str, Any] = {
    "weights": "fp32", "gradients": "fp32", "optimizer_states": "fp32", "amp": True, "optimizer": "adamw",
}  # fmt: skip
ADAPTED: dict[str, Any] = {
    **MIXED, "method": "lora", "weights": "bf16", "lora": Lora(8, 16, "all-linear"),
    "gradient_checkpointing": "reentrant",
}  # fmt: skip
RUNS: dict[str, dict[str, Any]] = {
    "full": {},
    "eagerly": {"attention": "eager"},
    "flash": {"attention": "flash"},
    "under autocast": MIXED,
    "checkpoints": {"gradient_checkpointing": "non-reentrant"},
    "padded": {"padding": True},
    "adapters": ADAPTED,
    "inference": {"method": "inference"},
    "inference in 4 bits": {"method": "inference", "weights": "nf4"},
    "padded inference": {"method": "inference", "padding": True},
}
MODERN: dict[str, Any] = {"model_type": "modernbert", "num_hidden_layers": 5}
NOMIC: dict[str, Any] = {"model_type": "nomic_bert", "num_hidden_layers": 3}
EURO: dict[str, Any] = {"model_type": "eurobert", "num_hidden_layers": 3, "num_key_value_heads": 4}


def setting(head: str, changes: dict[str, Any]) -> Setting:
    plain = Setting(
        "config.json", "full", "bf16", compute="bf16", gradients="bf16", optimizer="none", head=head,
        labels=9 if head == TAGS else 2 if head == "sequence-classification" else 0, batch_size=3, sequence_length=256,
        stack=Stack("plain"),
    )  # fmt: skip
    return replace(plain, **changes)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("head", ["masked-lm", "sequence-classification"])
def test_modernbert_takes_what_a_trace_sees(head: str, run: str) -> None:
    peak = EAGERLY if run in ("eagerly", "padded inference") else PEAK
    agree_on(setting(head, RUNS[run]), model_from_config(MODERN, "modern"), peak=peak, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("run", ["full", "under autocast", "inference"])
@pytest.mark.parametrize("head", [TAGS, "sequence-classification"])
def test_its_classifiers_may_read_the_mean(head: str, run: str) -> None:
    means = model_from_config({**MODERN, "classifier_pooling": "mean"}, "modern")
    agree_on(setting(head, RUNS[run]), means, peak=PEAK, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("run", ["full", "under autocast", "checkpoints", "padded", "inference"])
@pytest.mark.parametrize("head", ["masked-lm", "sequence-classification", TAGS])
def test_eurobert_takes_what_a_trace_sees(head: str, run: str) -> None:
    agree_on(setting(head, RUNS[run]), model_from_config(EURO, "euro"), peak=PEAK, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("kind", ["modernbert", "eurobert", "nomic_bert", "mpnet", "bert"])
def test_vectors_of_texts(kind: str) -> None:
    """A model without a head, as of embeddings: one pass, and no cache."""
    facts = model_from_config({"model_type": kind, "num_hidden_layers": 3}, kind)
    agree_on(setting("base", RUNS["inference"]), facts, peak=PEAK, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("run", ["full", "under autocast", "inference"])
@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "electra", "mpnet"])
def test_tags_of_tokens(kind: str, run: str) -> None:
    layers = {"n_layers": 3} if kind == "distilbert" else {"num_hidden_layers": 3}
    facts = model_from_config({"model_type": kind, **layers}, kind)
    agree_on(setting(TAGS, RUNS[run]), facts, peak=PEAK, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("head", ["masked-lm", "sequence-classification", TAGS])
def test_nomic_bert_takes_what_a_trace_sees(head: str, run: str) -> None:
    peak = EAGERLY if run == "padded inference" else PEAK
    changes = RUNS[run]
    if run == "adapters" and head != "masked-lm":
        changes = {**changes, "lora": Lora(8, 16, ("q_proj", "v_proj", "up_proj"))}
    agree_on(setting(head, changes), model_from_config(NOMIC, "nomic"), peak=peak, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("checkpointing", ["false", "non-reentrant"])
def test_adapters_beside_embeddings_that_are_summed(checkpointing: str) -> None:
    """The graph holds the embeddings of the tokens, to which those of token types are added, and the norm their sum."""
    changes = {"method": "lora", "lora": Lora(8, 16, "all-linear"), "gradients": "fp32"}
    adapted = setting("masked-lm", {**changes, "gradient_checkpointing": checkpointing})
    agree_on(adapted, model_from_config(NOMIC, "nomic"), peak=PEAK, elsewhere=ELSEWHERE)


def test_all_linears_of_a_tagger_are_refused_as_peft_does() -> None:
    facts = model_from_config({"model_type": "bert", "num_hidden_layers": 3}, "bert")
    with pytest.raises(UnsupportedRow, match="trains a copy of classifier"):
        estimate(setting(TAGS, RUNS["adapters"]), facts)


def test_dropout_of_modernbert_is_refused() -> None:
    facts = model_from_config({**MODERN, "mlp_dropout": 0.1}, "modern")
    with pytest.raises(Exception, match="mlp_dropout"):
        estimate(setting("masked-lm", {}), facts)
