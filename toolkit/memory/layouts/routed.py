"""The layouts of less known mixtures of experts. Read in transformers 5.23."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from toolkit.memory.formula.attention.complex_rotary import COMPLEX
from toolkit.memory.formula.attention.rotary import FLOATED_PAIRS
from toolkit.memory.formula.experts.router import CAST_SOFTMAX, SIGMOID, SOFTMAX
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
"""Layouts by family, part of the table in `families`."""

ROUTED_BY_LINEARS: Mapping[str, Layout] = {
    "llama4_text": replace(
        LLAMA,
        gate="feed_forward.gate_proj",
        up="feed_forward.up_proj",
        down="feed_forward.down_proj",
        rotary=COMPLEX,
        norms_turned=True,
        narrow_softmax=True,
        leaves_softmax=True,
        holds="attention",
        router="feed_forward.router",
        shared="feed_forward.shared_expert",
    ),
    "phimoe": replace(LLAMA, router="mlp.router", routes_by=SOFTMAX),
}
"""Families whose routers are linear layers that return several tensors, at which peft's adapters fail."""
