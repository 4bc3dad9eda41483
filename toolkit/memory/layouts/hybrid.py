"""The layouts of models in which most layers have no attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from toolkit.memory.architecture.mamba import FAMILIES as MAMBAS
from toolkit.memory.formula.experts.router import FLOAT_OF_CHOSEN, SIGMOID
from toolkit.memory.layouts.layout import LLAMA, Layout

_QWEN = replace(LLAMA, unit_offset_norm=True, rotary="joined")
_ROUTED = replace(_QWEN, weighs_as_routed=True, shared="mlp.shared_expert", shared_gate="mlp.shared_expert_gate")

_LFM2 = replace(
    LLAMA, output="self_attn.out_proj", gate="feed_forward.w1", up="feed_forward.w3", down="feed_forward.w2"
)

_BAMBA = replace(
    LLAMA,
    gate="feed_forward.gate_proj",
    up="feed_forward.up_proj",
    down="feed_forward.down_proj",
    rotary="joined",
)
_GRANITE = replace(
    LLAMA,
    gate_up="shared_mlp.input_linear",
    down="shared_mlp.output_linear",
    rotary="none",
    multiplied=True,
    weighs_as_routed=True,
    routes_by=FLOAT_OF_CHOSEN,
)

_NEMOTRON = replace(
    LLAMA,
    query="mixer.q_proj",
    key="mixer.k_proj",
    value="mixer.v_proj",
    output="mixer.o_proj",
    up="mixer.up_proj",
    down="mixer.down_proj",
    shared="mixer.shared_experts",
    mamba="mixer",
    rotary="none",
    unit_offset_norm=True,
    wide_router=True,
    routes_by=SIGMOID,
)

HYBRID_LAYOUTS: Mapping[str, Layout] = {
    "bamba": _BAMBA,
    "falcon_h1": replace(_BAMBA, rotary="whole", multiplied=True),
    "granitemoehybrid": _GRANITE,
    "lfm2": _LFM2,
    "lfm2_moe": replace(_LFM2, routes_by=SIGMOID),
    **dict.fromkeys(MAMBAS, replace(LLAMA, mamba="mixer", rotary="none")),
    "nemotron_h": _NEMOTRON,
    "qwen3_5": _QWEN,
    "qwen3_5_text": _QWEN,
    "qwen3_5_moe": _ROUTED,
    "qwen3_5_moe_text": _ROUTED,
    "qwen3_next": _ROUTED,
}
"""Layouts by family, part of the table in `families`."""
