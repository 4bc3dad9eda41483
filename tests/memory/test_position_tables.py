"""What layers of older transformers kept for every position, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.memory.architecture.samples import small_facts
from tests.memory.test_refusal import facts
from toolkit.memory.architecture import architecture_of
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.libraries.layer_tables import layer_tables
from toolkit.spec.settings.setting import Setting, Stack

GENERATION = Setting(
    "EleutherAI/pythia-410m-deduped",
    "inference",
    "fp16",
    compute="fp16",
    generated_length=100,
    sequence_length=128,
    attention="sdpa",
)
MASKS = 24 * 2048**2
ANGLES = 24 * 2 * 2048 * 16  # a quarter of 64 values a head is turned (rotary_pct)


def of(model: str, transformers: str) -> Estimate:
    versions = {"transformers": transformers} if transformers else {}
    setting = replace(GENERATION, model=model, stack=Stack(versions=versions))
    return estimate(setting, facts(model))


def tables(model: str, transformers: str) -> int:
    held = of(model, transformers).ledger.phase(PhaseName.LOAD)
    assert held is not None
    return sum(row.bytes for row in held.rows if row.name == "rotary_caches")


@pytest.mark.parametrize(
    ("model", "transformers", "expected"),
    [
        (GENERATION.model, "4.44.2", MASKS + 4 * ANGLES),  # in float32, whatever the weights are
        (GENERATION.model, "4.48.3", MASKS),
        (GENERATION.model, "4.49.0", 0),
        (GENERATION.model, "", 0),
        ("openai-community/gpt2-large", "5.1.0", 36 * 1024**2),
        ("openai-community/gpt2-large", "5.2.0", 0),
        ("microsoft/phi-2", "4.44.2", 32 * 2 * 2048 * 32 * 2),
        ("microsoft/phi-2", "4.45.2", 0),
    ],
)
def test_each_layer_kept_a_mask_or_angles_of_all_positions(model: str, transformers: str, expected: int) -> None:
    assert tables(model, transformers) == expected


def test_gpt_neox_cached_keys_in_float32_before_4_45() -> None:
    """As its tables of angles were, with which queries and keys were multiplied."""

    def cached(transformers: str) -> int:
        held = of(GENERATION.model, transformers).ledger.phase(PhaseName.DECODE)
        assert held is not None
        return sum(row.bytes for row in held.rows if row.name == "kv_cache")

    tokens = 128 + 100 - 1
    assert cached("4.44.2") == 24 * tokens * 1024 * (4 + 2)
    assert cached("4.45.2") == 24 * tokens * 1024 * (2 + 2)


def test_gpt_neox_took_an_eager_softmax_in_the_dtype_of_its_scores() -> None:
    """Two 16-bit copies of 16 heads' scores; then one, float32 probabilities, and those in 16 bit."""
    older, newer = (
        estimate(
            replace(GENERATION, attention="eager", sequence_length=2048, stack=Stack(versions={"transformers": v})),
            facts(GENERATION.model),
        ).ledger.phase(PhaseName.PREFILL)
        for v in ("4.48.3", "4.49.0")
    )
    assert older is not None
    assert newer is not None
    scores = [sum(row.bytes for row in one.rows if row.name == "attention_scores") for one in (older, newer)]
    each = 16 * 2048**2 * 2
    assert scores == [2 * each, (1 + 2 + 1) * each]


# Buffers of the second layer but for `inv_freq` and the scalar `masked_bias`, read off models that transformers 4.44.2
# built of the same configs with bfloat16 as the default.
@pytest.mark.parametrize(
    ("model_type", "expected"),
    [
        ("falcon", (262_144, 262_144)),
        ("gpt2", (1_048_576,)),
        ("gpt_neox", (262_144, 16_384, 16_384)),
        ("llama", ()),
        ("mistral", ()),
        ("mixtral", (8_388_608, 8_388_608)),
        ("opt", ()),
        ("persimmon", (262_144, 262_144)),
        ("phi", (131_072, 131_072)),
        ("qwen2", (4_194_304, 4_194_304)),
        ("qwen2_moe", (2_097_152, 2_097_152)),
        ("stablelm", (327_680, 327_680)),
        ("starcoder2", (524_288, 524_288)),
    ],
)
def test_a_layer_has_the_buffers_that_transformers_gave_it(model_type: str, expected: tuple[int, ...]) -> None:
    architecture = architecture_of(small_facts(model_type))
    setting = replace(GENERATION, stack=Stack(versions={"transformers": "4.44.2"}))
    assert layer_tables(architecture, setting, "bf16") == expected
    assert layer_tables(architecture, replace(setting, stack=Stack()), "bf16") == ()
