"""How the layers of mixtures beside the well-known ones are put together. Read in transformers 5.23."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from toolkit.memory.formula.rotary import FLOATED_PAIRS
from toolkit.memory.formula.router import CAST_SOFTMAX, SIGMOID, SOFTMAX
from toolkit.memory.layouts.layout import LLAMA, Layout

SIGMOIDS = replace(LLAMA, wide_router=True, routes_by=SIGMOID)
"""DeepSeek V3's mixture."""

ROUTED_LAYOUTS: Mapping[str, Layout] = {
    "dots1": SIGMOIDS,
    "ernie4_5_moe": replace(LLAMA, rotary=FLOATED_PAIRS, weighs_as_routed=True, shared_first=True),
    "exaone_moe": SIGMOIDS,
    "glm4_moe_lite": SIGMOIDS,
    "hunyuan_v1_moe": replace(
        LLAMA,
        norms_turned=True,
        router="mlp.gate.wg",
        routes_by=CAST_SOFTMAX,
        shared="mlp.shared_mlp",
        shared_first=True,
    ),
    "solar_open": SIGMOIDS,
    "mistral4": replace(LLAMA, scales_turned=True, routes_by=SOFTMAX),
}
"""The families, each as in the table of all."""
