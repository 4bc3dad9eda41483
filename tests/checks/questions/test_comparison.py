"""A scenario before and after a change: rows, totals, cards."""

import pytest

from tests.checks.questions.asked import BASE, answered, decided, scenario
from toolkit.checks.questions.comparison import Comparison, changed_scenario, compare
from toolkit.memory.ledger import PhaseName
from toolkit.spec.load import fields_from_flags
from toolkit.spec.scenario import Scenario

PARAMETERS = 494_032_768
"""Of Qwen2.5-0.5B, the embedding that is its head, too, counted once."""


def change(one: Scenario, **fields: str) -> Comparison:
    said, findings = fields_from_flags({name.replace("__", "."): text for name, text in fields.items()})
    assert said is not None, findings
    found = compare(answered(one), changed_scenario(one, said), "a change", BASE)
    assert found is not None
    return found


def row(found: Comparison, phase: PhaseName, name: str) -> tuple[int, int]:
    rows = next(one.rows for one in found.phases() if one.phase is phase)
    changed = next((one for one in rows if one.name == name), None)
    return (changed.before, changed.after) if changed else (0, 0)


def test_rows_are_those_of_both_estimates() -> None:
    before, after = decided(), decided(gradient_checkpointing="true")
    found = change(before, gradient_checkpointing="true")
    for estimate, side in ((answered(before).largest, "before"), (answered(after).largest, "after")):
        for phase in estimate.ledger.phases:
            changed = next(one for one in found.phases() if one.phase is phase.name)
            sizes = {one.name: getattr(one, side) for one in changed.rows}
            assert {one.name: one.bytes for one in phase.rows}.items() <= sizes.items()
            assert getattr(changed.total, side) == phase.total
    assert found.peak.before == answered(before).largest.allocated
    assert found.peak.after == answered(after).largest.allocated


def test_eight_bit_states_by_hand() -> None:
    """Two float32 states of 4 bytes a parameter become two of 1 byte, with a float32 scale for every 256 of them.

    bitsandbytes leaves those of embeddings, 151,936 x 896 parameters here, in 32 bit (optim/optimizer.py).
    """
    embedding = 151_936 * 896
    found = change(decided(weights="fp32"), optimizer="adamw_8bit")
    before, after = row(found, PhaseName.OPTIMIZER_STEP, "optimizer_states")
    assert before == pytest.approx(8 * PARAMETERS, rel=1e-4)
    assert after == pytest.approx(8 * embedding + 2 * (1 + 4 / 256) * (PARAMETERS - embedding), rel=1e-3)


def test_what_was_said_of_the_old_optimizer_is_forgotten() -> None:
    one = decided(optimizer_implementation="foreach")
    found = change(one, optimizer="adamw_8bit")
    assert "optimizer_implementation" not in found.after.scenario.fields
    assert change(one, gradient_checkpointing="true").after.scenario.fields["optimizer_implementation"]


def test_half_the_weights_by_hand() -> None:
    found = change(decided(weights="fp32"), weights="bf16")
    assert row(found, PhaseName.LOAD, "weights") == (4 * PARAMETERS, 2 * PARAMETERS)


def test_no_change_changes_nothing() -> None:
    found = change(decided(), batch_size="2")
    assert all(one.difference == 0 for phase in found.phases() for one in (*phase.rows, phase.total))
    assert not found.newly()
    assert not found.no_longer()


def test_back_again_is_the_same_the_other_way_round() -> None:
    there = change(decided(), gradient_checkpointing="true", batch_size="4")
    back = change(
        decided(gradient_checkpointing="true", batch_size="4"), gradient_checkpointing="false", batch_size="2"
    )
    assert there.peak.difference == -back.peak.difference
    assert there.newly() == back.no_longer()
    assert there.no_longer() == back.newly()


def test_cards_that_newly_fit_did_not_and_do() -> None:
    found = change(decided(model="Qwen/Qwen2.5-Coder-7B"), optimizer="adamw_8bit", gradient_checkpointing="true")
    before = {fit.gpu: fit.verdict for fit in found.before.fits()}
    after = {fit.gpu: fit.verdict for fit in found.after.fits()}
    newly = found.newly()
    assert newly
    assert all(before[gpu] != "yes" and after[gpu] == "yes" for gpu in newly)
    assert set(newly) == {gpu for gpu in after if after[gpu] == "yes" and before[gpu] != "yes"}


def test_open_fields_are_decided_alike_on_both_sides() -> None:
    one = scenario(model="Qwen/Qwen2.5-0.5B", method="lora", weights="bf16")
    found = change(one, batch_size="1")
    assert "batch_size" in found.choice
    assert "batch_size" not in found.changed_choice
    assert found.changed_choice.items() <= found.choice.items()


def test_what_only_the_change_opens_is_taken_at_its_largest() -> None:
    found = change(decided(), method="lora")
    assert {"lora.rank", "lora.targets"} <= set(found.changed_choice)
    assert found.estimate_after.allocated == found.after.largest.allocated
