"""A stranger's config is read or refused by name; it neither crashes nor costs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.memory.architecture.samples import TYPES, facts_of, small_config
from tests.work import calls
from toolkit.facts.models import MODEL_IDS, model_from_config
from toolkit.memory.architecture import FAMILIES, SAME_CODE, UnsupportedModel, architecture_of

HOSTILE = [
    {"hidden_size": "a"},
    {"hidden_size": 10**30},
    {"hidden_size": -4096},
    {"hidden_size": 0},
    {"hidden_size": True},
    {"hidden_size": 2048.0},
    {"hidden_size": None},
    {"hidden_size": {"a": 1}},
    {"hidden_size": "x" * 100_000},
    {"num_hidden_layers": 10**9},
    {"num_hidden_layers": 0},
    {"num_attention_heads": 10**9},
    {"num_attention_heads": 7},
    {"num_key_value_heads": 7},
    {"vocab_size": []},
    {"vocab_size": float("inf")},
    {"hidden_act": 3},
    {"attention_bias": "yes"},
    {"attention_dropout": 2},
    {"tie_word_embeddings": "true"},
]


@pytest.mark.parametrize("changes", HOSTILE, ids=lambda changes: json.dumps(changes)[:40])
def test_a_senseless_value_is_refused_by_its_key(changes: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedModel) as refused:
        architecture_of(model_from_config(small_config("llama", changes), "a/stranger"))
    assert refused.value.name == "a/stranger"
    words = {*changes, *(key.replace("num_", "").replace("_", " ") for key in changes)}
    assert any(word in refused.value.reason for word in words) or "key-value heads" in refused.value.reason
    assert len(str(refused.value)) < 200


def test_an_unknown_type_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnsupportedModel, match="nearest: llama"):
        architecture_of(model_from_config({"model_type": "llama4x"}, "a/b"))
    with pytest.raises(UnsupportedModel, match="no model_type"):
        architecture_of(model_from_config({}, "a/b"))
    with pytest.raises(UnsupportedModel, match="no model_type"):
        architecture_of(model_from_config({"model_type": ["llama"]}, "a/b"))


def test_a_head_that_does_not_exist_is_refused() -> None:
    facts = model_from_config(small_config("llama"), "a/b")
    with pytest.raises(UnsupportedModel, match="no masked-lm head for llama"):
        architecture_of(facts, "masked-lm")
    with pytest.raises(UnsupportedModel, match="unknown head"):
        architecture_of(facts, "regression")
    with pytest.raises(UnsupportedModel, match="labels"):
        architecture_of(facts, "sequence-classification", 10**12)


@pytest.mark.parametrize(
    ("model_type", "changes"),
    [
        ("gpt_oss", {"layer_types": ["full_attention"]}),
        ("gpt_oss", {"layer_types": ["linear_attention"] * 3}),
        ("gpt_oss", {"num_experts_per_tok": 64}),
        ("gpt_oss", {"sliding_window": "wide"}),
        ("qwen3_moe", {"mlp_only_layers": "all"}),
        ("gpt2", {"add_cross_attention": True}),
        ("bert", {"add_cross_attention": True}),
        ("deberta", {"embedding_size": 128}),
        ("nomic_bert", {"n_embd": 768}),
        ("nomic_bert", {"hidden_dropout_prob": 0.1}),
        ("deberta", {"talking_head": True}),
        ("deberta-v2", {"conv_kernel_size": 3}),
        ("deberta-v2", {"embedding_size": 128}),
        ("gemma3", {"vision_config": None}),
        ("gemma3", {"vision_config": {}}),
        ("opt", {"layer_norm_elementwise_affine": False}),
        ("t5", {"feed_forward_proj": 1}),
    ],
)
def test_what_a_family_does_not_cover_is_refused(model_type: str, changes: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedModel):
        architecture_of(model_from_config(small_config(model_type, changes), "a/b"), default_head(model_type))


def default_head(model_type: str) -> str:
    return next(head for head in ("causal-lm", "masked-lm") if head in FAMILIES[model_type].classes)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-3, max_value=70_000),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.one_of(st.integers(), st.text(max_size=5)), max_size=4),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)


@settings(max_examples=400, deadline=2_000)
@given(st.sampled_from(sorted(TYPES)), st.data())
def test_any_change_of_values_is_read_or_refused(model_type: str, data: st.DataObject) -> None:
    config = small_config(model_type)
    keys = sorted({*config, *FAMILIES[model_type].defaults} - {"model_type"})
    for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=4)):
        config[key] = data.draw(VALUES)
    facts = model_from_config(config, "a/b")
    reasons = []
    for head in FAMILIES[model_type].classes:
        try:
            assert architecture_of(facts, head).parameters > 0
        except UnsupportedModel as refused:
            reasons.append(refused.reason)
    assert all(reasons)


def test_the_largest_config_that_is_taken_costs_little() -> None:
    changes = {
        "num_hidden_layers": 4096,
        "num_attention_heads": 4096,
        "num_key_value_heads": 4096,
        "qk_layernorm": True,
    }
    config = small_config("stablelm", changes | {"hidden_size": 1 << 20})
    assert calls(lambda: architecture_of(model_from_config(config, "a/b"))) < 100_000
    assert architecture_of(model_from_config(config, "a/b")).parameters > 10**12


def test_families_are_listed_once_each_and_every_verified_model_has_one() -> None:
    assert list(FAMILIES) == sorted(FAMILIES)
    assert set(TYPES) | {"qwen"} == set(FAMILIES)
    for name in MODEL_IDS:
        facts = facts_of(name)
        kind = facts.config["model_type"]
        assert architecture_of(facts, default_head(SAME_CODE.get(kind, kind))).parameters
