"""What is reserved and what the card shows, from what is allocated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.memory.settings import facts_of, records, setting_of
from toolkit.facts.gpu import Gpu
from toolkit.facts.gpus import find_gpu
from toolkit.memory.device import CONTEXT, DEFAULT_WORKSPACE, device_interval, segment_rounding, workspace_bytes
from toolkit.memory.estimate import estimate

MIB = 1 << 20
TRAINED = next(record for record in records("traced") if "backward" in record)


def test_a_tensor_of_10_mib_or_more_has_a_segment_of_whole_2_mib() -> None:
    assert segment_rounding(10 * MIB + 1) == 2 * MIB - 1
    assert segment_rounding(12 * MIB) == 0


def test_smaller_tensors_share_a_segment_of_20_mib() -> None:
    assert segment_rounding(8 * MIB) == 2 * MIB  # two of them leave 4
    assert segment_rounding(5 * MIB) == 0
    assert segment_rounding(MIB) == 0


def test_hopper_has_a_larger_workspace() -> None:
    assert workspace_bytes("H100") == 32 * MIB
    assert workspace_bytes("RTX 4090") == DEFAULT_WORKSPACE == workspace_bytes(None)


def test_a_card_brings_its_context() -> None:
    card = find_gpu("RTX 4090")
    assert isinstance(card, Gpu)
    assert device_interval((100, 200), "RTX 4090") == (100 + card.context_low, 200 + card.context_high)
    assert device_interval((100, 200), None) == (100 + CONTEXT[0], 200 + CONTEXT[1])


def test_a_larger_workspace_is_in_every_phase_that_multiplies() -> None:
    setting = setting_of(TRAINED)
    small, large = (estimate(replace(setting, gpu=gpu), facts_of(TRAINED)) for gpu in (None, "H100"))
    assert large.allocated - small.allocated == 2 * (32 * MIB - DEFAULT_WORKSPACE)
    assert large.ledger.phases[0] == small.ledger.phases[0]


@pytest.mark.parametrize(
    ("index", "shown"),
    # nvidia-smi's peak less its first reading, in MiB, of the same runs; about 450 MiB of it is the CUDA context.
    [(-2, 46_050), (-3, 26_056)],
)
def test_the_reserved_interval_holds_what_the_card_showed(index: int, shown: int) -> None:
    record = records("published")[index]
    low, high = estimate(setting_of(record), facts_of(record)).reserved
    assert low <= shown * MIB - 450 * MIB <= high
