"""Estimates against published readings of torch.cuda.max_memory_allocated on an A100.

Source: foundation-model-stack/fms-acceleration, scripts/benchmarks/refs; each record names commit and file. Stock
transformers ("none") and bitsandbytes under TRL ("baseline-peft-bnb"), packed rows, so the lengths are exact.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.memory.settings import facts_of, name_of, records, setting_of
from toolkit.memory.estimate import estimate

CLOSE = 0.0005
OLD_BITSANDBYTES = 0.02
"""bitsandbytes 0.43.1 keeps inputs in a way that is not wholly explained: 16 + 4 KiB a token are missing."""
UNEVEN_ROUTING = 0.05
"""A mixture's experts get unequal shares of the tokens; the estimate spreads them evenly."""


def tolerance(record: dict[str, Any]) -> float:
    if "Mixtral" in record["model"]:
        return UNEVEN_ROUTING
    old = record["setting"]["stack"]["versions"].get("bitsandbytes") == "0.43.1"
    return OLD_BITSANDBYTES if old and record["setting"]["method"] == "qlora" else CLOSE


@pytest.mark.parametrize("record", records("published"), ids=name_of)
def test_the_peak_is_the_one_that_was_read(record: dict[str, Any]) -> None:
    found = estimate(setting_of(record), facts_of(record)).allocated
    assert found == pytest.approx(record["allocated"], rel=tolerance(record)), (
        f"{found - record['allocated']:+,} bytes to {record['source']}"
    )
