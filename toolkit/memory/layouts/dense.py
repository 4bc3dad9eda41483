"""The layouts of less known dense decoders. Read in transformers 5.23."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from toolkit.memory.formula.attention.rotary import FLOATED, FLOATED_PAIRS, JOINED_PAIRS, PAIRS, PROMOTED
from toolkit.memory.layouts.layout import LLAMA, Layout

_AFTER = replace(LLAMA, norms_after=True)
_OLMO2 = replace(_AFTER, rotary=PROMOTED, unit_offset_norm=True, heads_last=True, norm_of_all=True)
_COHERE = replace(LLAMA, rotary=FLOATED, scales_logits=True)
_GEMMA4 = replace(LLAMA, unit_offset_norm=True, masks_all=True, router="router.proj", shared="mlp")
_GLM = replace(LLAMA, rotary=JOINED_PAIRS, gate_up="mlp.gate_up_proj")

DENSE_LAYOUTS: Mapping[str, Layout] = {
    "apertus": LLAMA,
    "arcee": LLAMA,
    "codegen": replace(
        LLAMA, fused="attn.qkv_proj", output="attn.out_proj", up="mlp.fc_in", down="mlp.fc_out", rotary="own"
    ),
    "cohere": _COHERE,
    "cohere2": replace(_COHERE, masks_all=True),
    "cwm": replace(LLAMA, masks_all=True),
    "ernie4_5": replace(LLAMA, rotary=FLOATED_PAIRS),
    "exaone4": replace(_AFTER, masks_all=True),
    "gemma4_text": _GEMMA4,
    "gemma4_unified_text": _GEMMA4,
    "glm": _GLM,
    "glm4": _GLM,
    "gpt_neo": replace(
        LLAMA,
        query="attn.attention.q_proj",
        key="attn.attention.k_proj",
        value="attn.attention.v_proj",
        output="attn.attention.out_proj",
        up="mlp.c_fc",
        down="mlp.c_proj",
        rotary="none",
        embeddings=1,
        positions=True,
    ),
    "gptj": replace(
        LLAMA,
        query="attn.q_proj",
        key="attn.k_proj",
        value="attn.v_proj",
        output="attn.out_proj",
        up="mlp.fc_in",
        down="mlp.fc_out",
        rotary="own",
    ),
    "helium": replace(LLAMA, rotary=PAIRS, unit_offset_norm=True),
    "hunyuan_v1_dense": replace(LLAMA, norms_turned=True),
    "hyperclovax": replace(LLAMA, multiplied=True),
    "internlm3": LLAMA,
    "iquestcoder": LLAMA,
    "jais2": LLAMA,
    "ministral": replace(LLAMA, masks_all=True),
    "ministral3": replace(LLAMA, scales_turned=True),
    "mpt": replace(
        LLAMA, fused="attn.Wqkv", output="attn.out_proj", up="ffn.up_proj", down="ffn.down_proj", rotary="none"
    ),
    "nemotron": replace(LLAMA, rotary="joined"),
    "olmo": replace(LLAMA, rotary=PROMOTED, heads_last=True),
    "olmo2": _OLMO2,
    "olmo3": replace(_OLMO2, masks_all=True),
    "persimmon": replace(
        LLAMA,
        fused="self_attn.query_key_value",
        output="self_attn.dense",
        up="mlp.dense_h_to_4h",
        down="mlp.dense_4h_to_h",
        rotary="joined",
        holds_turned=True,
        slices=True,
    ),
    "seed_oss": LLAMA,
    "smollm3": replace(LLAMA, masks_all=True),
    "starcoder2": replace(LLAMA, up="mlp.c_fc", down="mlp.c_proj"),
    "vaultgemma": replace(LLAMA, unit_offset_norm=True, masks_all=True),
}
"""Layouts by family, part of the table in `families`."""
