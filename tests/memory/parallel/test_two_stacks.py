"""An encoder and a decoder shared out: their units by hand, and the order in which ZeRO 3 goes through them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from toolkit.facts.models import ModelFacts, load_model, model_from_config
from toolkit.memory.architecture import architecture_of
from toolkit.memory.estimate import estimate
from toolkit.memory.parallel.two_stacks import of_rows, of_units
from toolkit.memory.parallel.units import units_of
from toolkit.memory.parallel.zero import gathering
from toolkit.memory.parallel.zero_gather import gathered
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack, Zero

NAME, GPUS = "google-t5/t5-small", 2
WIDTH, INNER, HEADS, BUCKETS, EACH = 512, 2048, 8, 32, 6
FEED = 2 * WIDTH * INNER
ENCODER = 4 * WIDTH * WIDTH + FEED + 2 * WIDTH
DECODER = 8 * WIDTH * WIDTH + FEED + 3 * WIDTH
BIAS = BUCKETS * HEADS
ROOT = 32_128 * WIDTH + 2 * WIDTH
SETTING = Setting(NAME, "full", "bf16", sequence_length=64, stack=Stack("plain"))


def facts(name: str) -> ModelFacts:
    found = load_model(name)
    assert isinstance(found, ModelFacts)
    return found


def test_an_encoders_layers_are_units_before_its_decoders() -> None:
    """Biases of relative positions are in the first layer of each stack; embedding and last norms are the root."""
    setting = replace(SETTING, parallel=Parallel(GPUS, "fsdp"))
    architecture = architecture_of(facts(NAME), "causal-lm", 0)
    flat = of_units(architecture, units_of(architecture, setting, GPUS))
    rows = of_rows(architecture, setting)
    for stacks in (flat, rows):
        assert stacks.encoder == EACH
        assert stacks.layers == (ENCODER + BIAS, *[ENCODER] * 5, DECODER + BIAS, *[DECODER] * 5)
        assert stacks.root == ROOT


TINY: dict[str, Any] = {
    "model_type": "t5", "d_model": 96, "d_kv": 32, "d_ff": 160, "num_layers": 3, "num_decoder_layers": 4,
    "num_heads": 3, "vocab_size": 2_000, "relative_attention_num_buckets": 32, "dropout_rate": 0.0,
    "feed_forward_proj": "relu", "tie_word_embeddings": True,
}  # fmt: skip
SHARED = 2_000 * 96
ALL = 814_656
"""DeepSpeed 0.19.8's own counts of this model, of which 192 are norms outside the layers."""


def most(config: Mapping[str, Any], ahead: int) -> Mapping[str, int]:
    architecture = architecture_of(model_from_config(config, "tiny"), "causal-lm", 0)
    sizes = Zero(prefetch_bucket_size=ahead, max_reuse_distance=ahead, param_persistence_threshold=0)
    parallel = Parallel(GPUS, "zero3", zero=sizes)
    setting = Setting("tiny", "full", "bf16", parallel=parallel, gradient_checkpointing="false")
    of = gathering(architecture, setting)
    return gathered(of.order, of.sizes, of.held)


@pytest.mark.parametrize("tied", [True, False])
def test_zero_3_gathers_an_embedding_for_each_stack(*, tied: bool) -> None:
    """With nothing ahead DeepSpeed 0.19.8 had 192,000 elements at most in forward: the embedding, alone.

    In backward it stays from the decoder's on, beside both matrices of a feed-forward, of which one is looked at early.
    """
    found = most({**TINY, "tie_word_embeddings": tied}, 0)
    assert found["decoder's embedding"] == found["embedding"] == found["logits"] == SHARED
    assert found["layer 2 forward"] == found["layer 3 backward"] == 2 * 96 * 160
    assert max(found.values()) == found["layer 2 backward"] == SHARED + 2 * 96 * 160


def test_with_all_of_it_ahead_everything_is_there() -> None:
    """DeepSpeed had all 814,656 elements then, of a model whose output weight is the embedding."""
    assert most(TINY, 10**9)["loss"] == pytest.approx(ALL, rel=1e-3)


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (replace(SETTING, parallel=Parallel(2, "fsdp"), method="lora", lora=Lora(8)), "adapters of an encoder"),
        (replace(SETTING, parallel=Parallel(2, "zero3"), method="lora", lora=Lora(8)), "adapters of an encoder"),
        (replace(SETTING, model="openai/whisper-small", parallel=Parallel(2, "fsdp")), "units of whisper"),
        (replace(SETTING, model="openai/whisper-small", parallel=Parallel(2, "zero3")), "units of whisper"),
        (replace(SETTING, parallel=Parallel(2, "fsdp2"), stack=Stack("transformers")), "both stacks share"),
    ],
    ids=["lora under fsdp", "lora under zero3", "whisper", "whisper under zero3", "accelerate"],
)
def test_what_is_not_known_is_refused_by_name(setting: Setting, reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=reason):
        estimate(setting, facts(setting.model))


@pytest.mark.parametrize("strategy", ["fsdp", "fsdp2", "zero2", "zero3"])
@pytest.mark.parametrize("model", [NAME, "google/flan-t5-small", "facebook/bart-base"])
def test_more_gpus_hold_less_each(model: str, strategy: str) -> None:
    """Beside parts there is no more on each of eight than on each of two."""
    two, eight = (
        estimate(replace(SETTING, model=model, parallel=Parallel(gpus, strategy)), facts(model)) for gpus in (2, 8)
    )
    assert eight.allocated < two.allocated
