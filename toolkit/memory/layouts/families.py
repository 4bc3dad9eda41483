"""The layout of each family's layers: the names of their linears, and how they differ from LLaMA's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from toolkit.memory.architecture import Architecture
from toolkit.memory.formula.experts.router import FLOAT_OF_CHOSEN, OF_CHOSEN
from toolkit.memory.layouts.dense import DENSE_LAYOUTS
from toolkit.memory.layouts.hybrid import HYBRID_LAYOUTS
from toolkit.memory.layouts.layout import LLAMA, Layout
from toolkit.memory.layouts.routed import ROUTED_BY_LINEARS, ROUTED_LAYOUTS, SIGMOIDS
from toolkit.memory.refusal import UnsupportedRow

GEMMA = replace(LLAMA, unit_offset_norm=True)
ROUTED = replace(LLAMA, weighs_as_routed=True)

LAYOUTS: Mapping[str, Layout] = {
    **DENSE_LAYOUTS,
    "llama": LLAMA,
    "mistral": LLAMA,
    "mllama": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
    "gemma": GEMMA,
    "gemma2": GEMMA,
    "gemma3": GEMMA,
    "gemma3_text": GEMMA,
    "gemma3n_text": replace(GEMMA, masks_all=True),
    "mixtral": LLAMA,
    "qwen2_moe": replace(ROUTED, shared="mlp.shared_expert", shared_gate="mlp.shared_expert_gate"),
    "qwen3_moe": ROUTED,
    "minimax_m2": replace(LLAMA, rotary="joined", heads_last=True, norm_of_all=True),
    "olmoe": replace(ROUTED, heads_last=True, norm_of_all=True),
    "granite": replace(LLAMA, multiplied=True),
    "granitemoe": replace(ROUTED, multiplied=True, routes_by=FLOAT_OF_CHOSEN),
    "gpt_oss": replace(ROUTED, unit_offset_norm=True, rotary="halves", routes_by=OF_CHOSEN),
    "eurobert": LLAMA,
    "nomic_bert": replace(
        LLAMA, normed_sums=True, embedding_norm=True, narrow_softmax=True, leaves_softmax=True, holds="attention"
    ),
    "modernbert": replace(
        LLAMA,
        fused="attn.Wqkv",
        output="attn.Wo",
        gate_up="mlp.Wi",
        down="mlp.Wo",
        rotary="floated twice",
        holds="attention",
        embedding_norm=True,
    ),
    "qwen": replace(
        LLAMA,
        fused="attn.c_attn",
        output="attn.c_proj",
        gate="mlp.w2",
        up="mlp.w1",
        down="mlp.c_proj",
        rotary="wide",
        holds="attention",
        names_products=True,
        masks_itself=True,
    ),
    **dict.fromkeys(
        ("t5", "mt5", "umt5", "bart", "mbart", "pegasus", "marian", "m2m_100", "whisper"), replace(LLAMA, rotary="none")
    ),
    "deepseek_v2": replace(LLAMA, wide_router=True),
    "deepseek_v3": SIGMOIDS,
    "deepseek_v32": SIGMOIDS,
    "glm_moe_dsa": SIGMOIDS,
    "glm4_moe": replace(SIGMOIDS, rotary="joined"),
    **ROUTED_BY_LINEARS,
    **ROUTED_LAYOUTS,
    **HYBRID_LAYOUTS,
    "stablelm": replace(LLAMA, rotary="joined", holds="normed", norm_by_head=True, holds_turned=True, heads_last=True),
    "phi3": replace(
        LLAMA, fused="self_attn.qkv_proj", gate_up="mlp.gate_up_proj", rotary="joined in turn", slices=True
    ),
    "phi": replace(LLAMA, output="self_attn.dense", up="mlp.fc1", down="mlp.fc2", rotary="joined", holds_turned=True),
    "gpt2": replace(
        LLAMA,
        fused="attn.c_attn",
        output="attn.c_proj",
        up="mlp.c_fc",
        down="mlp.c_proj",
        rotary="none",
        holds="attention",
        embeddings=1,
        positions=True,
        narrow_softmax=True,
    ),
    "gpt_bigcode": replace(
        LLAMA,
        fused="attn.c_attn",
        output="attn.c_proj",
        up="mlp.c_fc",
        down="mlp.c_proj",
        rotary="none",
        holds="attention",
        embeddings=1,
        positions=True,
    ),
    "gpt_neox": replace(
        LLAMA,
        fused="attention.query_key_value",
        output="attention.dense",
        up="mlp.dense_h_to_4h",
        down="mlp.dense_4h_to_h",
        rotary="joined",
        parallel_norms=True,
    ),
    "bloom": replace(
        LLAMA, up="mlp.dense_h_to_4h", down="mlp.dense_4h_to_h", rotary="none", embeddings=1, embedding_norm=True
    ),
    "falcon": replace(
        LLAMA,
        fused="self_attention.query_key_value",
        output="self_attention.dense",
        up="mlp.dense_h_to_4h",
        down="mlp.dense_4h_to_h",
    ),
    "autoawq": replace(LLAMA, rotary="none"),  # its angles are a table, which it keeps
    "torchtune_paired": LLAMA,
    "torchtune_halved": LLAMA,
    "torchtitan_repeated": LLAMA,
    "torchtitan_shared": LLAMA,
    "megatron": replace(LLAMA, rotary="none"),
    "litgpt": replace(LLAMA, rotary="joined", holds="normed", names_products=True),
    "biogpt": replace(
        LLAMA,
        output="self_attn.out_proj",
        up="fc1",
        down="fc2",
        rotary="none",
        embeddings=1,
        positions=True,
        narrow_softmax=True,
        leaves_softmax=True,
    ),
    "opt": replace(
        LLAMA,
        output="self_attn.out_proj",
        up="fc1",
        down="fc2",
        rotary="none",
        scaled_query=True,
        embeddings=2,
        flattens=True,
    ),
}
"""The families whose layers are followed operation by operation."""


def layout_of(architecture: Architecture) -> Layout:
    """The layout of an architecture; refuses by name a family without one."""
    layout = LAYOUTS.get(architecture.family)
    if layout is None:
        raise UnsupportedRow("activations", f"no formula for the layers of {architecture.family} yet")
    if architecture.family == "opt" and not any(
        "final_layer_norm" in m.path and "{}" not in m.path for m in architecture.modules
    ):
        return replace(layout, normed_sums=True)
    return layout
