"""What loading and preparing a model asks for, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.replay.events import Events
from toolkit.memory.replay.loading import load
from toolkit.spec.settings.setting import Lora, Setting, Stack

MODEL = "Qwen/Qwen2.5-7B"
TABLE = 152064 * 3584
"""Elements of the embeddings, and of the output weight."""


def test_a_copy_of_a_weight_that_is_cast_back_is_wide_for_as_long() -> None:
    """TRL before 0.26: embeddings and output weight are made float32, the latter is copied, and all are cast back.

    peft's prepare_model_for_kbit_training, its copy for modules_to_save, and TRL's peft_module_casting_to_bf16.
    """
    facts = load_model(MODEL)
    assert isinstance(facts, ModelFacts)
    lora = Lora(8, 16, ("q_proj",), modules_to_save=("lm_head",))
    stack = Stack("trl", "cross-entropy", {"trl": "0.16.0"})
    setting = Setting(
        MODEL, "qlora", "nf4", lora=lora, stack=stack, amp=True, gradients="bf16", optimizer_states="bf16"
    )
    context = estimate(setting, facts).context
    assert context is not None
    events = Events()
    load(events, context)
    changes = [(event > 0, events.sizes[abs(event)]) for event in events.order[events.loaded :]]
    large = [size if made else -size for made, size in changes if size >= TABLE]
    wide, narrow = 4 * TABLE, 2 * TABLE
    assert large == [*(wide, -narrow) * 2, wide, *(narrow, -wide) * 3]


@pytest.mark.parametrize(("release", "is_beside"), [("4.57.1", False), ("5.5.0", True)])
def test_the_output_weight_lies_beside_the_embeddings_where_tensors_are_loaded_by_name(
    release: str, is_beside: bool
) -> None:
    """lm_head.weight, model.embed_tokens.weight, model.layers.0.mlp.down_proj.weight: dot_natural_key of transformers.

    Files of older releases hold modules in their order, the output weight last.
    """
    stack = Stack("transformers", versions={"transformers": release})
    setting = Setting(
        MODEL, "qlora", "nf4", lora=Lora(8, 16, ("q_proj",)), stack=stack, amp=True, gradients="fp32",
        optimizer_states="fp32",
    )  # fmt: skip
    events = _loaded(setting)
    places = [place for place, event in enumerate(events.order[: events.loaded]) if events.sizes[event] == 2 * TABLE]
    assert len(places) == 2
    assert (places[1] - places[0] == 1) is is_beside
    first = [events.sizes[event] for event in events.order[: events.loaded] if event not in (1, 2)]
    if is_beside:
        assert places == [0, 1]
        assert first[1] == GATE // 2, "the input norm's vector, then the product down"


def _loaded(setting: Setting) -> Events:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    context = estimate(setting, facts).context
    assert context is not None
    events = Events()
    load(events, context)
    return events


READ = Setting(
    MODEL, "inference", "nf4", double_quant=True, compute="fp16", gradients="none", optimizer="none",
    optimizer_states="none",
)  # fmt: skip
GATE = 3584 * 18944
"""Elements of the first layer's largest weight."""


def test_a_weight_to_be_quantized_is_there_in_16_bits_until_it_is() -> None:
    """bitsandbytes' Params4bit._quantize: a copy, the scales in float32, the packed weight and its scales in bytes."""
    events = _loaded(READ)
    changes = [events.sizes[event] if event > 0 else -events.sizes[-event] for event in events.order]
    at = changes.index(2 * GATE)
    scales = 4 * GATE // 64
    assert changes[at : at + 4] == [2 * GATE, scales, GATE // 2, GATE // 64]
    rest = changes[at + 4 :]
    assert rest[rest.index(-2 * GATE) + 1] == -scales
    assert rest.index(-2 * GATE) < rest.index(2 * GATE), "one copy at a time"
    packed, kept = 7_615_616_512 - 2 * TABLE, 2 * TABLE
    assert sum(changes) == pytest.approx(2 * kept + packed * (1 / 2 + 1 / 64), rel=0.001), "no copy is left"


@pytest.mark.parametrize(
    ("release", "weights", "bytes_of_a_value"),
    [("4.50.0", "nf4", 2), ("4.57.1", "nf4", 1), ("4.57.1", "int8", 1), ("5.5.0", "nf4", 0.5), ("5.5.0", "int8", 1)],
)
def test_the_block_before_quantized_weights_is_as_the_release_asks(
    release: str, weights: str, bytes_of_a_value: float
) -> None:
    """All in 16 bits, the half of that, or half a byte or a byte for what will be quantized and 2 for all else."""
    setting = replace(
        READ,
        weights=weights,
        double_quant=weights == "nf4",
        stack=Stack("transformers", versions={"transformers": release}),
    )
    kept = 2 * TABLE + 28 * (2 * 3584 + 3584 + 2 * 512) + 3584  # tables, norms and biases
    quantized = 7_615_616_512 - kept
    beside = {"4.50.0": 2, "4.57.1": 1, "5.5.0": 2}[release]
    assert _loaded(setting).block == bytes_of_a_value * quantized + beside * kept
