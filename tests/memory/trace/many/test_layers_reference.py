"""Models of few layers against whole ones: the same timeline, event by event, hence the same bytes of everything."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from toolkit.facts.models import ModelFacts, load_model, model_from_config
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.trace.many.layers import Layers, grow, layers_of, same, whole_run, with_layers
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Setting

pytestmark = pytest.mark.reference

LINEAR = Lora(8, 16, "all-linear", 0.05)
MIXED = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
CASES: dict[str, dict[str, Any]] = {
    "full, foreach": {"method": "full", "weights": "bf16", "optimizer_implementation": "foreach"},
    "full, autocast, checkpointed, accumulated": {
        "method": "full", "weights": "fp32", "gradient_checkpointing": "non-reentrant", "gradient_accumulation": 2,
        **MIXED,
    },
    "lora, reentrant": {
        "method": "lora", "weights": "bf16", "lora": Lora(8, 16, ("q_proj", "v_proj")),
        "gradient_checkpointing": "reentrant", **MIXED,
    },
    "lora, everything kept": {"method": "lora", "weights": "bf16", "lora": LINEAR, **MIXED},
    "qlora, nested, foreach, checkpointed": {
        "method": "qlora", "weights": "nf4", "double_quant": True, "lora": LINEAR,
        "gradient_checkpointing": "non-reentrant", "optimizer_implementation": "foreach", **MIXED,
    },
    "full, eager, plain sgd": {
        "method": "full", "weights": "bf16", "attention": "eager", "optimizer": "sgd",
        "optimizer_implementation": "for-loop",
    },
    "inference": {"method": "inference", "weights": "bf16", "generated_length": 3},
}  # fmt: skip


def facts(name: str) -> ModelFacts:
    found = load_model(name)
    assert isinstance(found, ModelFacts)
    return found


@pytest.mark.parametrize("fields", CASES.values(), ids=CASES)
def test_few_layers_give_every_event_of_all_of_them(fields: dict[str, Any]) -> None:
    setting = Setting(**{"model": "Qwen/Qwen2.5-0.5B", "batch_size": 2, "sequence_length": 256, **fields})
    model = facts(setting.model)
    layers = layers_of(model)
    assert layers == Layers("num_hidden_layers", nested=False, count=24, head=0, period=1)
    grown = grow(setting, model, layers)
    assert grown is not None
    assert grown.traced == (3, 4, 5, 6)
    expected = whole_run(setting, model)
    found = grown.run(24)
    assert same(found, expected)
    for warm in (False, True):
        assert found.timeline.replay(PhaseName.LOAD, warm=warm) == expected.timeline.replay(PhaseName.LOAD, warm=warm)


def test_a_whole_trace_and_one_of_few_layers_print_the_same_ledger() -> None:
    setting = Setting("Qwen/Qwen2.5-0.5B", "inference", "bf16", batch_size=2, sequence_length=64, gpu="T4")
    few, whole = (trace(setting, facts(setting.model), whole=whole) for whole in (False, True))
    assert (few.how, whole.how) == ("24 layers from 3, 4, 5, 6", "every layer")
    assert few.ledger == whole.ledger
    assert (few.blocks, few.reserved, few.card) == (whole.blocks, whole.reserved, whole.card)


def test_layers_in_turns_are_traced_by_their_period_where_they_differ() -> None:
    """Gemma 2 changes between full and sliding attention, which keeps a part of the cache only."""
    model = facts("google/gemma-2-9b")
    layers = layers_of(model)
    assert layers is not None
    assert (layers.count, layers.head, layers.period) == (42, 0, 2)
    small = with_layers(model, layers, 30)
    setting = Setting("google/gemma-2-9b", "inference", "bf16", sequence_length=4608, generated_length=2)
    grown = grow(setting, small, Layers(layers.key, layers.nested, 30, layers.head, layers.period))
    assert grown is not None
    assert same(grown.run(30), whole_run(setting, small))


def test_layers_of_a_kind_that_few_layers_never_show_are_not_extrapolated() -> None:
    """Every tenth layer of this model is wider in its memory; six layers know nothing of it."""
    model = facts("google/gemma-2-9b")
    kinds = ["full_attention" if layer % 10 == 9 else "sliding_attention" for layer in range(30)]
    config = {**model.config, "num_hidden_layers": 30, "layer_types": kinds}
    odd = model_from_config(config, "odd")
    layers = layers_of(odd)
    assert layers is not None
    assert (layers.head, layers.period) == (0, 10)
    setting = Setting("odd", "inference", "bf16", sequence_length=4608, generated_length=2)
    found = trace(setting, odd)
    whole = trace(setting, odd, whole=True)
    assert found.ledger == whole.ledger


def test_a_model_of_few_layers_is_traced_whole() -> None:
    setting = Setting("openai-community/gpt2", "inference", "bf16", sequence_length=64)
    assert trace(setting, facts(setting.model)).how == "every layer"


def test_layers_before_the_rhythm_are_counted_apart() -> None:
    """DeepSeek's first layers are dense; Gemma 3 stands in the text part of its config."""
    model = facts("google/gemma-3-27b-it")
    layers = layers_of(model)
    assert layers is not None
    assert (layers.nested, layers.count, layers.head, layers.period) == (True, 62, 0, 6)
    assert with_layers(model, layers, 8).config["text_config"]["num_hidden_layers"] == 8
    assert model.config["text_config"]["num_hidden_layers"] == 62


def test_adapters_that_only_some_kinds_of_layers_take_are_traced_all_the_same() -> None:
    """Three layers of Qwen3.5 are of linear attention: the fourth has the first queries to adapt."""
    text = {
        "model_type": "qwen3_5_text", "vocab_size": 512, "hidden_size": 128, "intermediate_size": 256,
        "num_hidden_layers": 8, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
        "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 32, "linear_value_head_dim": 32,
    }  # fmt: skip
    model = model_from_config(text, "small")
    lora = Lora(8, 16, ("q_proj",))
    setting = Setting("small", "lora", "bf16", lora=lora, batch_size=1, sequence_length=128, **MIXED)
    seen = trace(setting, model)
    assert seen.how == "every layer, linear attention by torch's operations, as without flash-linear-attention"
    adapters = sum(row.bytes for row in seen.ledger.peak.rows if row.category is Category.ADAPTERS)
    assert adapters == 2 * 8 * (128 + 2 * 4 * 32) * 4  # float32, in layers 4 and 8: A of 8 x 128, B of 256 x 8
