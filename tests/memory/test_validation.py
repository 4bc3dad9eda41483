"""What passes without gradients between two steps need, by arithmetic from a model's config."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.formula.ends.predictions import predictions
from toolkit.memory.ledger import Phase, PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.replay.reserved import replayed
from toolkit.spec.settings.setting import Parallel, Setting, Stack, Validation

LLAMA = "meta-llama/Llama-3.2-1B"
VOCABULARY, WIDTH, PARAMETERS = 128_256, 2048, 1_235_814_400
BF16, FP32, INT64 = 2, 4, 8
FULL = Setting(LLAMA, "full", "bf16", batch_size=1, sequence_length=512)


def found(setting: Setting) -> Estimate:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def validated(batch: int = 8, length: int = 512, kept: int = 0, **changes: Any) -> Phase:
    known = found(replace(FULL, validation=Validation(batch, length, kept), **changes))
    phase = known.ledger.phase(PhaseName.VALIDATION)
    assert phase is not None
    return phase


def predictions_of(one: Estimate) -> list[tuple[int, ...]]:
    assert one.context is not None
    return [predictions(seen) for seen in (one.context.validated,) if seen is not None]


def rows_of(phase: Phase) -> dict[str, int]:
    return {row.name: row.bytes for row in phase.rows}


def test_at_the_loss_there_are_logits_in_two_dtypes_and_their_probabilities() -> None:
    """Beside them weights and both of AdamW's states, what the last norm gave, and no gradient."""
    tokens, rows = 8 * 512, rows_of(validated())
    assert rows["logits"] == tokens * VOCABULARY * BF16
    assert rows["logits_float32"] == rows["log_probabilities"] == tokens * VOCABULARY * FP32
    assert rows["norm_states"] == tokens * WIDTH * BF16
    assert rows["weights"] == PARAMETERS * BF16
    assert rows["optimizer_states"] == 2 * PARAMETERS * BF16
    assert "gradients" not in rows
    assert "layer_inputs" not in rows


def test_what_is_kept_is_there_twice_while_it_is_joined() -> None:
    """49 batches joined and one beside them, and all 50 in a new tensor: logits and labels of each token."""
    rows = rows_of(validated(4, 256, kept=50))
    assert rows["predictions"] == 2 * 50 * 4 * 256 * (VOCABULARY * BF16 + INT64)
    assert "log_probabilities" not in rows


def test_of_one_batch_nothing_is_joined() -> None:
    """The second of two is made beside the first alone; joined, they are less than what its loss needs."""
    assert validated(4, 256, kept=1).total == validated(4, 256).total
    kept = validated(4, 256, kept=2).total - validated(4, 256).total
    assert kept == 4 * 256 * (VOCABULARY * BF16 + INT64)


def test_every_gpu_keeps_what_all_have_predicted() -> None:
    """gather_for_metrics gives each process the logits and labels of all, which it joins."""
    alone, copied = (
        rows_of(validated(4, 256, kept=50, parallel=parallel)) for parallel in (Parallel(), Parallel(8, "ddp"))
    )
    assert copied["predictions"] == 8 * alone["predictions"]


def test_of_words_that_are_sorted_labels_are_kept() -> None:
    bert = {"model": "google-bert/bert-base-uncased", "head": "token-classification", "labels": 9}
    [kept] = predictions_of(found(replace(FULL, validation=Validation(8, 128, 1), **bert)))
    assert kept == (8 * 128 * 9 * BF16, 8 * 128 * INT64)


def test_gradients_stay_before_torch_2() -> None:
    """zero_grad left zeros in their place."""
    older, newer = (rows_of(validated(stack=Stack(versions={"torch": torch}))) for torch in ("1.13.1", "2.0.0"))
    assert older["gradients"] == PARAMETERS * BF16
    assert "gradients" not in newer


def test_each_join_leaves_a_segment_that_fits_no_later_one() -> None:
    """Of k batches of 128 MiB or so, k - 1 tensors, each larger than all that is free but the last two."""
    few, many = (found(replace(FULL, validation=Validation(1, 512, kept))) for kept in (16, 64))
    each = 512 * VOCABULARY * BF16
    more = replayed(many)[0] - replayed(few)[0]
    assert more > 0.25 * each * (64 * 64 - 16 * 16) / 2


def test_autocast_keeps_a_cast_of_every_trained_matrix() -> None:
    """Until the pass is over: all but the norms, for the output weight is the embedding, which a product uses too."""
    mixed = {"weights": "fp32", "amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
    norms = (2 * 16 + 1) * WIDTH
    assert rows_of(validated(**mixed))["autocast_copies"] == (PARAMETERS - norms) * BF16


@given(batch=st.integers(1, 64), length=st.integers(1, 2048), kept=st.integers(0, 200))
def test_no_other_phase_is_another(batch: int, length: int, kept: int) -> None:
    alone = found(FULL)
    both = found(replace(FULL, validation=Validation(batch, length, kept)))
    assert both.phases[:-1] == alone.phases
    assert both.allocated == max(alone.allocated, both.phases[-1].total)
    assert both.reserved[0] >= alone.reserved[0]


def test_what_is_reserved_covers_what_is_allocated() -> None:
    one = found(replace(FULL, validation=Validation(8, 512, 10)))
    low, high = replayed(one)
    assert one.allocated <= low <= high


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"stack": Stack("litgpt")}, "by litgpt"),
        ({"stack": Stack("transformers", "fused")}, "with the loss fused"),
        ({"parallel": Parallel(4, "fsdp2")}, "under fsdp2"),
        ({"stack": Stack("trl", "chunked"), "validation": Validation(8, 512, 4)}, "that keeps the predictions of trl"),
        ({"objective": "reward", "stack": Stack("trl"), "head": "sequence-classification", "labels": 1}, "of reward"),
    ],
)
def test_what_is_not_followed_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=f"validation {reason}"):
        found(replace(FULL, **{"validation": Validation(8, 512), **changes}))
