"""Refuses by name what no formula covers of vLLM."""

from __future__ import annotations

from toolkit.memory.refusal import FLOATS, UnsupportedRow
from toolkit.spec.fields.process import NONE
from toolkit.spec.fields.sampling import GREEDY
from toolkit.spec.settings.setting import Setting

SERVED_STORAGE = FLOATS | {"fp8", "nf4", "mxfp4", "gptq-int4", "gptq-int8", "awq-int4"}
"""Stored forms for which vLLM's own form is known."""


def refuse_serving(setting: Setting, *, generates: bool) -> None:
    """Raise where no formula says what vLLM holds."""
    if setting.trains:
        raise UnsupportedRow("engine_pool", "vLLM does not train")
    if setting.padding:
        raise UnsupportedRow("engine_pool", "vLLM pads no rows")
    if setting.warmup:
        raise UnsupportedRow("engine_pool", "vLLM warms up by itself")
    if setting.earlier_passes != NONE:
        raise UnsupportedRow("engine_pool", "vLLM profiles what it takes itself, not what its process ran before")
    if setting.sampling != GREEDY:
        raise UnsupportedRow("engine_pool", "no formula for how vLLM draws tokens yet")
    if setting.weights not in SERVED_STORAGE:
        raise UnsupportedRow("weights", f"no formula for how vLLM packs {setting.weights} weights yet")
    if not generates:
        raise UnsupportedRow("engine_pool", "no formula for vLLM with models that do not generate yet")
