"""An optimizer that steps inside of backward: which gradients are there at once, and what is refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Galore, Parallel, Setting, Stack

MODEL = "meta-llama/Llama-3.1-8B"
WIDTH, INNER, VOCABULARY = 4096, 14_336, 128_256
"""Its hidden and feed-forward widths, and its vocabulary."""
STEPS = Setting(
    MODEL, "full", "bf16", optimizer="paged_adamw_8bit", optimizer_states="int8", optimizer_in_backward=True,
    gradient_checkpointing="non-reentrant", stack=Stack("torchtune", "chunked"),
)  # fmt: skip


def facts() -> ModelFacts:
    found = load_model(MODEL)
    assert isinstance(found, ModelFacts)
    return found


def rows(setting: Setting, phase: PhaseName) -> dict[str, int]:
    found = estimate(setting, facts()).ledger.phase(phase)
    assert found is not None
    return {row.name: row.bytes for row in found.rows}


def test_one_gradient_at_a_time_is_there() -> None:
    """All gradients are two bytes for each of 8,030,261,248 parameters; of one tensor the output weight's are most."""
    together = rows(replace(STEPS, optimizer_in_backward=False), PhaseName.BACKWARD)
    each = rows(replace(STEPS, batch_size=1, sequence_length=64), PhaseName.BACKWARD)
    assert together["gradients"] <= 8_030_261_248 * 2
    assert "gradients" not in each
    assert WIDTH * INNER * 2 <= each["new_gradient"] <= 2 * VOCABULARY * WIDTH * 2


def test_the_step_has_no_gradients_and_nothing_else_changes() -> None:
    together, each = (
        rows(replace(STEPS, optimizer_in_backward=said), PhaseName.OPTIMIZER_STEP) for said in (False, True)
    )
    assert together.pop("gradients") == 8_030_261_248 * 2
    assert together == each


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (replace(STEPS, stack=Stack("transformers")), "a plain loop or torchtune"),
        (replace(STEPS, optimizer="adamw", optimizer_states="bf16", parallel=Parallel(2, "fsdp2")), "one GPU"),
        (replace(STEPS, gradient_accumulation=2), "gradient_accumulation 1"),
        (
            replace(STEPS, optimizer="adamw", optimizer_states="fp32", optimizer_implementation="foreach"),
            "states as the gradients",
        ),
        (replace(STEPS, optimizer="adafactor", optimizer_states="fp32"), "AdamW or fused steps"),
        (replace(STEPS, optimizer="galore_adamw", optimizer_states="bf16", galore=Galore(4)), "AdamW or fused steps"),
        (replace(STEPS, optimizer="none"), "no other copy"),
    ],
    ids=["trainer", "several", "accumulated", "foreach", "adafactor", "galore", "none"],
)
def test_what_is_not_followed_is_refused_by_name(setting: Setting, reason: str) -> None:
    with pytest.raises(
        UnsupportedRow, match=f"gradients: no formula for an optimizer in backward yet, except with {reason}"
    ):
        estimate(setting, facts())


def test_a_weight_that_chunks_share_waits_for_the_last_of_them() -> None:
    """The engine sums what each eighth gives the output weight: a sum and one more, before the step takes its root."""
    chunks = replace(STEPS, optimizer="adamw", optimizer_states="bf16", batch_size=1, sequence_length=64)
    fused, lists = (
        rows(replace(chunks, optimizer_implementation=form), PhaseName.BACKWARD) for form in ("fused", "foreach")
    )
    whole = VOCABULARY * WIDTH * 2
    assert fused["new_gradient"] == 2 * whole
    assert "optimizer_temporary" not in fused
    assert lists["new_gradient"] + lists.get("optimizer_temporary", 0) == 2 * whole
