"""How the layers of each family are put together: the names of their linears, and in what they differ from LLaMA's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from toolkit.frozen import frozen
from toolkit.memory.architecture import Architecture
from toolkit.memory.refusal import UnsupportedRow


@frozen
class Layout:
    """The linears of a layer by the ends of their paths, and the form of what lies between them.

    With `fused` q, k and v come from one linear, with `gate_up` gate and up. `rotary` is none, whole, joined (the
    turned part is put together with the rest in a new tensor) or wide (so too, in float32). `parallel_norms` says that
    a parallel feed-forward has a norm of its own; `holds` which names of the layer's code stay bound to its end: none,
    attention (its result) or normed (that, and its input);
    `weighs_as_routed` that a mixture casts its weights back to the router's dtype;
    `embeddings` counts those that the model's code holds beside the first layer's input, where positions are learned;
    `positions` says that it holds those of the positions too, which are the same for all sequences;
    `narrow_softmax` that eager attention takes the softmax in the dtype of the scores;
    `embedding_norm` that the embeddings are normed, `norm_by_head` that each head of queries and keys has its own norm,
    `holds_turned` that the parts of a joined rotary embedding have names to the end of attention,
    `names_products` that gate and up have names to the end of the feed-forward, up first, `masks_itself` that each
    layer makes its mask, `wide_router` that a router works in float32, `multiplied` that embeddings, the results of
    attention and feed-forward, and logits are multiplied by numbers of the config, `routes_chosen` that a router takes
    the softmax of the chosen logits alone.
    """

    query: str = "self_attn.q_proj"
    key: str = "self_attn.k_proj"
    value: str = "self_attn.v_proj"
    output: str = "self_attn.o_proj"
    fused: str | None = None
    gate: str = "mlp.gate_proj"
    up: str = "mlp.up_proj"
    down: str = "mlp.down_proj"
    gate_up: str | None = None
    rotary: str = "whole"
    scaled_query: bool = False
    unit_offset_norm: bool = False
    parallel_norms: bool = False
    holds: str = "none"
    weighs_as_routed: bool = False
    embeddings: int = 0
    positions: bool = False
    narrow_softmax: bool = False
    embedding_norm: bool = False
    norm_by_head: bool = False
    holds_turned: bool = False
    names_products: bool = False
    masks_itself: bool = False
    wide_router: bool = False
    multiplied: bool = False
    routes_chosen: bool = False


LLAMA = Layout()
GEMMA = replace(LLAMA, unit_offset_norm=True)
ROUTED = replace(LLAMA, weighs_as_routed=True)

LAYOUTS: Mapping[str, Layout] = {
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
    "gemma": GEMMA,
    "gemma2": GEMMA,
    "gemma3": GEMMA,
    "gemma3_text": GEMMA,
    "mixtral": LLAMA,
    "qwen3_moe": ROUTED,
    "granite": replace(LLAMA, multiplied=True),
    "granitemoe": replace(ROUTED, multiplied=True, routes_chosen=True),
    "gpt_oss": replace(ROUTED, unit_offset_norm=True),
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
    "t5": replace(LLAMA, rotary="none"),
    "deepseek_v2": replace(LLAMA, wide_router=True),
    "deepseek_v3": replace(LLAMA, wide_router=True),
    "stablelm": replace(LLAMA, rotary="joined", holds="normed", norm_by_head=True, holds_turned=True),
    "phi3": replace(LLAMA, fused="self_attn.qkv_proj", gate_up="mlp.gate_up_proj", rotary="joined"),
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
    "litgpt": replace(LLAMA, rotary="joined", holds="normed", names_products=True),
    "opt": replace(
        LLAMA, output="self_attn.out_proj", up="fc1", down="fc2", rotary="none", scaled_query=True, embeddings=2
    ),
}
"""The families whose layers are followed operation by operation."""


def layout_of(architecture: Architecture) -> Layout:
    """The layout of an architecture; refuses by name what none describes."""
    layout = LAYOUTS.get(architecture.family)
    if layout is None:
        raise UnsupportedRow("activations", f"no formula for the layers of {architecture.family} yet")
    if architecture.family == "opt" and not any(
        "final_layer_norm" in m.path and "{}" not in m.path for m in architecture.modules
    ):
        raise UnsupportedRow("norm_states", "no formula for OPT with its norms after the sums (350M) yet")
    return layout
