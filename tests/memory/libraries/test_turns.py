"""Where other kernels take over as a batch or a sequence grows."""

from dataclasses import replace

import pytest

from toolkit.memory.libraries.turns import turns
from toolkit.spec.settings.setting import Setting

SETTING = Setting(model="m", method="inference", weights="awq-int4", batch_size=3, sequence_length=96)


@pytest.mark.parametrize(
    ("weights", "field", "expected"),
    [
        ("awq-int4", "batch_size", (11,)),  # 10 x 96 < 1,024 <= 11 x 96
        ("awq-int4", "sequence_length", (342,)),  # 3 x 341 < 1,024 <= 3 x 342
        ("gptq-int8", "batch_size", (2,)),  # 96 < 128 <= 2 x 96
        ("awq-int4", "lora.rank", ()),
        ("bf16", "batch_size", ()),
    ],
)
def test_turns(weights: str, field: str, expected: tuple[int, ...]) -> None:
    assert turns(replace(SETTING, weights=weights), field) == expected
