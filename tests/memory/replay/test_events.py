"""The events of formulas: they peak where estimates do, and leave what stays from step to step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.replay import reserved
from toolkit.memory.replay.events import Events
from toolkit.memory.replay.generation import generation_events
from toolkit.memory.replay.orders import peak
from toolkit.memory.replay.reserved import held_on_card, replayed, reserved_on_card, shown_by_card
from toolkit.memory.replay.training import Run
from toolkit.memory.tape.recording import programs_of
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack

MODEL = "Qwen/Qwen2.5-0.5B"
LORA = Lora(8, 16, ("q_proj", "v_proj"))
MIXED = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
CASES: dict[str, dict[str, Any]] = {
    "full": {"method": "full", "weights": "bf16"},
    "full, checkpoints": {"method": "full", "weights": "bf16", "gradient_checkpointing": "non-reentrant"},
    "full, reentrant": {"method": "full", "weights": "bf16", "gradient_checkpointing": "reentrant"},
    "full, autocast": {"method": "full", "weights": "fp32", **MIXED},
    "full, two micro-batches": {"method": "full", "weights": "bf16", "gradient_accumulation": 4},
    "full, 8-bit states": {"method": "full", "weights": "bf16", "optimizer": "adamw_8bit"},
    "lora": {"method": "lora", "weights": "bf16", "lora": LORA, **MIXED},
    "lora, checkpoints": {
        "method": "lora", "weights": "bf16", "lora": LORA, **MIXED, "gradient_checkpointing": "non-reentrant"
    },
    "qlora": {"method": "qlora", "weights": "nf4", "lora": LORA, **MIXED},
    "qlora, reentrant": {
        "method": "qlora", "weights": "nf4", "lora": LORA, **MIXED, "gradient_checkpointing": "reentrant"
    },
    "prompt": {"method": "inference", "weights": "bf16", "generated_length": 1},
    "generation": {"method": "inference", "weights": "bf16", "generated_length": 40},
    "generation, 4 bit": {"method": "inference", "weights": "nf4", "generated_length": 8},
    "generation, adapters": {"method": "inference", "weights": "bf16", "lora": Lora(64), "generated_length": 40},
    "generation, adapters in 4 bit": {"method": "inference", "weights": "nf4", "lora": Lora(64), "generated_length": 8},
}  # fmt: skip


def _facts() -> ModelFacts:
    facts = load_model(MODEL)
    assert isinstance(facts, ModelFacts)
    return facts


def _setting(**fields: Any) -> Setting:
    return Setting(**{"model": MODEL, "batch_size": 2, "sequence_length": 512, **fields})


def _events(known: Estimate) -> Events:
    assert known.context is not None
    programs = programs_of(known.context)
    return Run(known.context, programs).events() if known.setting.trains else generation_events(known.context, programs)


@pytest.mark.parametrize("fields", CASES.values(), ids=CASES)
def test_events_peak_where_the_ledger_does(fields: dict[str, Any]) -> None:
    """The ledger takes its peak from moments, events from the order: they share the tape and no sum."""
    known = estimate(_setting(**fields), _facts())
    assert peak(_events(known)) == pytest.approx(known.allocated, rel=0.005)


@pytest.mark.parametrize("fields", CASES.values(), ids=CASES)
def test_what_is_reserved_is_at_least_what_is_allocated(fields: dict[str, Any]) -> None:
    known = estimate(_setting(**fields), _facts())
    low, high = replayed(known)
    assert known.allocated <= low <= high


@pytest.mark.parametrize("fields", [CASES[name] for name in ("full", "full, reentrant", "lora", "qlora")])
def test_training_leaves_what_stays_and_nothing_else(fields: dict[str, Any]) -> None:
    known = estimate(_setting(**fields), _facts())
    events = _events(known)
    gone = {-event for event in events.order if event < 0}
    left = sum(size for block, size in enumerate(events.sizes) if block and block not in gone)
    step = known.ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    kept = (Category.WEIGHTS, Category.ADAPTERS, Category.OPTIMIZER_STATES, Category.WORKSPACE)
    assert left == pytest.approx(step.of(*kept), rel=0.001)


@pytest.mark.parametrize("fields", CASES.values(), ids=CASES)
def test_no_block_is_released_twice_or_before_it_is_there(fields: dict[str, Any]) -> None:
    alive: set[int] = set()
    for event in _events(estimate(_setting(**fields), _facts())).order:
        if event > 0:
            alive.add(event)
        else:
            alive.remove(-event)


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_more_tokens_reserve_no_less(method: str) -> None:
    found = [replayed(estimate(_setting(**{**CASES[method], "batch_size": batch}), _facts())) for batch in (1, 2, 4)]
    assert found == sorted(found)
    assert [high for _, high in found] == sorted(high for _, high in found)


def test_a_loop_of_ones_own_may_hold_the_logits() -> None:
    fields = CASES["full"]
    own = replayed(estimate(_setting(**fields, stack=Stack("plain")), _facts()))
    trainer = replayed(estimate(_setting(**fields, stack=Stack("transformers")), _facts()))
    logits = 2 * 512 * 151_936 * 2
    assert own[0] == trainer[0]
    assert 0 < own[1] - trainer[1] < 4 * logits


def test_the_logits_that_a_loop_holds_are_there_through_backward() -> None:
    known = estimate(_setting(**CASES["full"]), _facts())
    assert known.context is not None
    held, freed = (Run(known.context, programs_of(known.context), holds=holds).events() for holds in (True, False))
    assert peak(held) - peak(freed) == 2 * 512 * 151_936 * 2  # those of the step before, in 16 bit


def test_a_full_card_gives_back_what_it_caches() -> None:
    known = estimate(_setting(**CASES["full"], gpu="RTX 3060 12GB"), _facts())
    anywhere, there = replayed(known), reserved_on_card(known)
    assert there == anywhere  # it has room
    full = estimate(_setting(**{**CASES["full"], "batch_size": 5, "gpu": "RTX 3060 12GB"}), _facts())
    low, high = held_on_card(full)
    assert low == full.allocated
    assert high <= replayed(full)[1]
    assert high <= 12 << 30
    assert reserved_on_card(full)[1] == high
    too_small = replace(full, setting=replace(full.setting, gpu="RTX 3060 8GB"))
    assert reserved_on_card(too_small) == replayed(too_small)  # it does not fit, whatever is given back


@pytest.mark.parametrize("batch", [2, 5, 6])
def test_a_full_card_is_known_by_as_much_as_fills_it(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    known = estimate(_setting(**{**CASES["full"], "batch_size": batch, "gpu": "RTX 3060 12GB"}), _facts())
    monkeypatch.setattr(reserved, "_KNOWN", {})
    short = reserved_on_card(known)
    monkeypatch.setattr(reserved, "_KNOWN", {})
    monkeypatch.setattr(reserved, "_limit_of", lambda _known: None)
    assert reserved_on_card(known) == short


def test_what_was_followed_to_a_limit_is_not_taken_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reserved, "_KNOWN", {})
    known = estimate(_setting(**CASES["full"]), _facts())
    short = replayed(known, 1 << 30)
    all_of_it = replayed(known)
    assert short[1] < all_of_it[1]
    assert replayed(known, 1 << 30) == all_of_it


def test_the_card_shows_the_context_too() -> None:
    known = estimate(_setting(**CASES["lora"]), _facts())
    (low, high), (shown_low, shown_high) = replayed(known), shown_by_card(known)
    assert low < shown_low
    assert high < shown_high


def test_what_is_spread_otherwise_keeps_its_bounds() -> None:
    spread = Parallel(gpus=2, strategy="tensor")
    known = estimate(_setting(**CASES["prompt"], parallel=spread), _facts())
    assert replayed(known) == known.reserved


def test_units_of_fsdp_are_a_pool_of_their_own() -> None:
    alone = estimate(_setting(**CASES["lora"]), _facts())
    spread = estimate(replace(alone.setting, parallel=Parallel(gpus=2, strategy="fsdp")), _facts())
    assert spread.allocated <= replayed(spread)[0] < replayed(alone)[1]
