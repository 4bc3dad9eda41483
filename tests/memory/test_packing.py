"""Packed rows by formula: what one row of a whole batch takes, what its mask does, and what is refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import Phase, PhaseName
from toolkit.memory.packing import laid_out
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Lora, Setting, Stack

LLAMA, NEOX = "meta-llama/Llama-2-7b-hf", "EleutherAI/pythia-1b"
BATCH, LENGTH = 4, 1024
TOKENS = BATCH * LENGTH
ROWS = Setting(LLAMA, "full", "bf16", attention="flash", batch_size=BATCH, sequence_length=LENGTH)
FREE = replace(ROWS, packing="padding-free")
CHECKPOINTED = replace(FREE, gradient_checkpointing="non-reentrant")


def of(setting: Setting) -> Estimate:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def rows(setting: Setting, phase: PhaseName) -> dict[str, int]:
    found = of(setting).ledger.phase(phase)
    assert isinstance(found, Phase)
    return {row.name: row.bytes for row in found.rows}


def test_without_padding_a_batch_is_one_row_with_angles_of_its_own() -> None:
    """128 cosines and sines of 2 bytes for each of 4,096 tokens; whole rows share those of 1,024."""
    free, whole = (rows(one, PhaseName.FORWARD_END) for one in (FREE, ROWS))
    assert free["position_embeddings"] == 2 * 128 * TOKENS * 2 == BATCH * whole["position_embeddings"]
    assert {name for name in whole if whole[name] != free[name]} == {"position_embeddings"}


@pytest.mark.parametrize(("samples", "tokens"), [(400, TOKENS + 128 * 1600), (800, TOKENS + 128 * 3200)])
def test_flash_attention_sums_over_128_tokens_more_for_each_sample(samples: int, tokens: int) -> None:
    """32 heads of 128 and a sum of each row, in float32; so many short samples make it the fullest moment."""
    setting = replace(CHECKPOINTED, samples_per_row=samples)
    assert rows(setting, PhaseName.BACKWARD)["attention_backward"] == tokens * 32 * (128 + 1) * 4


def test_samples_move_nothing_else() -> None:
    few, many = (rows(replace(CHECKPOINTED, samples_per_row=n), PhaseName.FORWARD_END) for n in (1, 50))
    assert few == many


@pytest.mark.parametrize(("packing", "pairs"), [("padding-free", TOKENS**2), ("rows", BATCH * LENGTH**2), ("none", 0)])
def test_sdpa_has_a_mask_of_every_pair_of_its_rows(packing: str, pairs: int) -> None:
    """A byte for each: of 4,096 x 4,096 where all lie in one row, and four times 1,024 x 1,024 where they do not."""
    setting = replace(CHECKPOINTED, packing=packing, attention="sdpa")
    assert rows(setting, PhaseName.FORWARD_END).get("attention_mask", 0) == pairs


def test_sdpa_keeps_a_16_bit_bias_of_each_pair_in_each_layer() -> None:
    kept = rows(replace(FREE, attention="sdpa"), PhaseName.FORWARD_END)["attention_scores"]
    assert kept == 32 * TOKENS**2 * 2 == 4 * rows(replace(FREE, attention="sdpa", packing="rows"),
                                                  PhaseName.FORWARD_END)["attention_scores"]  # fmt: skip


@pytest.mark.parametrize("version", ["4.40", "4.53"])
def test_before_positions_made_masks_sdpa_saw_one_long_sample(version: str) -> None:
    old = replace(FREE, attention="sdpa", stack=Stack(versions={"transformers": version}))
    one = replace(old, packing="none", batch_size=1, sequence_length=TOKENS)
    assert rows(old, PhaseName.FORWARD_END) == rows(one, PhaseName.FORWARD_END)


def test_before_positions_made_masks_rows_had_positions_alone() -> None:
    old = replace(FREE, packing="rows", attention="sdpa", stack=Stack(versions={"transformers": "4.53"}))
    found = rows(old, PhaseName.FORWARD_END)
    assert found.get("attention_scores", 0) == 0
    assert found["position_embeddings"] == 2 * 128 * TOKENS * 2


def test_checkpoints_of_older_releases_see_samples_too() -> None:
    """They end the cache beside which transformers 4.54 to 4.57 did not look at positions."""
    old = replace(CHECKPOINTED, attention="sdpa", stack=Stack(versions={"transformers": "4.57"}))
    assert rows(old, PhaseName.FORWARD_END)["attention_mask"] == TOKENS**2


def test_a_kernel_that_goes_by_positions_copies_parts_of_one_projection() -> None:
    """GPT-NeoX: q, k and v lie in one tensor, and q and k are joined anew: three copies stay, and the tensor goes.

    Whole rows keep the tensor and the two that were joined.
    """
    free, whole = (rows(replace(one, model=NEOX), PhaseName.FORWARD_END)["attention_states"] for one in (FREE, ROWS))
    assert (free, whole) == (16 * TOKENS * 3 * 2048 * 2, 16 * TOKENS * 5 * 2048 * 2)


def test_trl_hands_lengths_over_beside_the_batch() -> None:
    """Since 1.16: a 32-bit number for each token, and twice where each of four samples ends."""
    trl = replace(FREE, stack=Stack("trl", "chunked"))
    older = replace(trl, stack=Stack("trl", "chunked", {"trl": "1.15"}))
    more = rows(trl, PhaseName.FORWARD_END)["token_ids"] - rows(older, PhaseName.FORWARD_END)["token_ids"]
    assert more == TOKENS * 4 + 2 * (BATCH + 1) * 4


@given(
    setting=st.sampled_from((FREE, CHECKPOINTED, replace(FREE, method="lora", lora=Lora(8)))),
    attention=st.sampled_from(("sdpa", "eager", "flash")),
    batch=st.integers(1, 8),
    length=st.integers(1, 1024),
)
@settings(max_examples=30, deadline=None)
def test_only_the_number_of_tokens_counts(setting: Setting, attention: str, batch: int, length: int) -> None:
    """Eight rows of some length are one row of eight times as many samples."""
    free = replace(setting, attention=attention, batch_size=batch, sequence_length=length, samples_per_row=2)
    one = replace(free, batch_size=1, sequence_length=batch * length, samples_per_row=2 * batch)
    assert of(free).allocated == of(one).allocated
    assert laid_out(free) == laid_out(one)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"stack": Stack("unsloth")}, "transformers' Trainer"),
        ({"head": "sequence-classification", "labels": 2}, "a causal language model"),
        ({"model": "google-bert/bert-base-uncased", "head": "masked-lm"}, "a causal language model"),
        ({"model": "google-t5/t5-small", "attention": "sdpa"}, "a causal language model"),
        ({"model": "bigscience/bloom-560m", "attention": "sdpa"}, "turn positions in"),
        ({"attention": "sdpa", "stack": Stack(versions={"transformers": "4.57"})}, "checkpoints before transformers 5"),
        ({"padding": True}, "rows that are not padded"),
        ({"model": "tiiuae/falcon-7b"}, "Falcon's own FlashAttention"),
    ],
)
def test_what_is_not_followed_is_refused_by_name(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=reason):
        of(replace(FREE, **fields))
