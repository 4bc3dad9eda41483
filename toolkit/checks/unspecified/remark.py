"""Remarks: the verdicts of checks without a spec."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from toolkit.checks.judgement import Verdict
from toolkit.frozen import frozen

CODE_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "peak_memory": "M301", "weights": "M302", "gradients": "M303", "optimizer_states": "M304",
        "activations": "M305",
        "kv_cache": "M306", "overhead": "M307", "fits": "M308", "gpu_memory": "M309", "adapters": "M310",
        "master_weights": "M311", "parameters": "P401", "trainable_parameters": "P402", "trainable_share": "P403",
        "arithmetic": "A501", "change": "A502", "disk": "R604", "host_memory": "R605",
    }
)  # fmt: skip
"""The code of each quantity that is judged without a spec."""


@frozen
class Remark:
    """A verdict on the statement at `start` to `end`, offsets of the text as it was meant."""

    start: int
    end: int
    quantity: str
    verdict: Verdict
    reason: str
    repair: str | None = None
