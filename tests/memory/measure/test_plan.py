"""The order of a campaign, and what each part of it is expected to take."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.memory.measure.jobs import job
from toolkit.memory.measure.plan import expected_seconds, planned

GIB = 1 << 30


def test_claims_settled_in_a_second_decide_the_order() -> None:
    few_fast = replace(job("few-fast"), claims=2, seconds=10.0)
    many_slow = replace(job("many-slow"), claims=10, seconds=100.0)
    none_fast = replace(job("none-fast"), claims=0, seconds=10.0)
    names = [one.job.scenario for one in planned([none_fast, many_slow, few_fast], None)]
    assert names == ["few-fast", "many-slow", "none-fast"]


def test_what_the_card_is_computed_not_to_hold_comes_last() -> None:
    large = replace(job("large"), claims=50, bytes=(90 * GIB, 95 * GIB))
    unknown = replace(job("unknown"), claims=1, bytes=None)
    edge = replace(job("edge"), claims=2, bytes=(79 * GIB, 82 * GIB))
    plan = planned([large, unknown, edge], 80 * GIB)
    assert [(one.job.scenario, one.fits) for one in plan] == [("edge", True), ("unknown", None), ("large", False)]


def test_the_model_of_time_by_hand() -> None:
    seven = 7 * 10**9
    setting = replace(job().setting, batch_size=4, sequence_length=4096)
    # 15 s to start; 14 GB of weights at 50 GB/s; 6 x 7e9 operations for 16,384 tokens at 1e14 a second: 6.9 s a pass,
    # of which four show the peaks and three are timed, as the third begins before 15 s are over
    once = 6 * 7e9 * 16384 / 1e14
    assert expected_seconds(setting, seven) == pytest.approx(15.28 + 4 * once + (15 + once))
    again = replace(setting, gradient_checkpointing="reentrant")
    assert expected_seconds(again, seven) == pytest.approx(15.28 + 8 / 6 * 5 * once + 15)
    infers = replace(setting, method="inference", generated_length=101, batch_size=1, sequence_length=512)
    prompt = 2 * 7e9 * 512 / 1e14
    assert expected_seconds(infers, seven) == pytest.approx(15.28 + prompt + 100 * 0.05 + 7 * (prompt + 8 * 0.05))
