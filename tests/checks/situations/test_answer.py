"""What an answer says of the fields that a scenario leaves open."""

from __future__ import annotations

import pytest

from tests.checks.questions.asked import BASE, decided
from toolkit.checks.situations.answer import Answer, answer
from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.memory.estimate import Estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.replay import on_card
from toolkit.memory.replay.reserved import counted
from toolkit.report.estimate import estimate_text


def answered(**fields: str) -> Answer:
    found = answer(decided(**fields), BASE)
    assert found is not None
    return found


def test_what_a_field_lowers_is_what_saying_it_lowers() -> None:
    """The same scenario with one field said, all others as at the largest peak, has so much less."""
    found = answered(batch_size="{from: 1, to: 4}", gradient_checkpointing="[true, false]")
    peak = found.largest.allocated
    fewer = answered(batch_size="1", gradient_checkpointing="false")
    again = answered(batch_size="4", gradient_checkpointing="true")
    assert found.lowers == {
        "batch_size": peak - fewer.largest.allocated,
        "gradient_checkpointing": peak - again.largest.allocated,
    }
    assert min(found.lowers.values()) > 0


def test_the_strongest_comes_first() -> None:
    for ends in ("[1, 64]", "[63, 64]"):
        found = answered(batch_size=ends, gradient_accumulation="[1, 2]")
        assert list(found.lowers.values()) == sorted(found.lowers.values(), reverse=True)
        assert set(found.lowers) == {"batch_size", "gradient_accumulation"}


def test_one_open_field_lowers_as_much_as_the_peak_is_wide() -> None:
    found = answered(sequence_length="{from: 128, to: 1024}")
    assert found.lowers == {"sequence_length": found.allocated[1] - found.allocated[0]}


FALCON = {"model": "tiiuae/falcon-7b", "batch_size": "1", "sequence_length": "64"}


def test_what_no_formula_follows_is_left_out_and_named() -> None:
    found = answered(**FALCON, attention="[sdpa, eager]")
    [(reason, taken)] = found.left_out.items()
    assert reason.startswith("attention_scores: ")
    assert taken == {"attention": "eager"}
    alone = answered(**FALCON, attention="sdpa")
    assert found.allocated == alone.allocated
    assert alone.left_out == {}


def test_where_nothing_is_followed_the_reason_is_the_answer() -> None:
    with pytest.raises(UnsupportedRow, match="attention_scores"):
        answered(**FALCON, attention="eager")


def test_what_torch_does_not_count_is_told_apart() -> None:
    """The context is that of the card; NCCL is there where several GPUs are."""
    card = find_gpu("A100 SXM4 40GB")
    assert not isinstance(card, UnknownName)
    alone = answered(gpu='"A100 SXM4 40GB"')
    assert alone.context == (card.context_low, card.context_high)
    assert alone.communicators == (0, 0)
    assert "of it the CUDA context" in estimate_text(alone)
    assert "NCCL" not in estimate_text(alone)
    two = answered(gpu='"A100 SXM4 40GB"', parallel__gpus="2", parallel__strategy="ddp")
    assert two.communicators == (0, 688 << 20)
    assert "of it NCCL" in estimate_text(two)


def test_whole_blocks_are_those_of_the_least_and_the_largest_of_many_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 24 settings few are replayed, and their hull is that of all, each asked by itself."""
    asked: list[int] = []

    def noted(one: Estimate) -> tuple[int, int]:
        asked.append(one.allocated)
        return counted(one)

    monkeypatch.setattr(on_card, "counted", noted)
    found = answered(
        batch_size="[1, 4]", gradient_checkpointing="[true, false]", optimizer_implementation="[fused, foreach]",
        gradient_accumulation="[1, 2, 4]",
    )  # fmt: skip
    ends = [counted(one) for one in found.estimates]
    assert len(ends) == 24
    assert found.counted == (min(low for low, _ in ends), max(high for _, high in ends))
    assert len(set(asked)) <= 2 * on_card.TRIED


def test_other_answers_of_a_card_are_those_of_an_answer_made_anew() -> None:
    """What is kept of an answer, for those who ask again, is what it says at first."""
    found = answered(gradient_checkpointing="[true, false]")
    assert found.fits() is found.fits()
    assert found.fits() == answered(gradient_checkpointing="[true, false]").fits()
