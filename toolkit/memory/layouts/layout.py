"""What tells the layers of one family from those of another: names of linears, and the order of operations."""

from __future__ import annotations

from toolkit.frozen import frozen


@frozen
class Layout:
    """The linears of a layer by the ends of their paths, and the form of what lies between them.

    With `fused` q, k and v come from one linear, with `gate_up` gate and up. `rotary` is none, own (each layer has its
    angles), whole, joined (the turned part is put together with the rest in a new tensor), wide (so too, in float32) or
    another (formula/rotary.py). `parallel_norms` says that a parallel feed-forward has a norm of its own; `holds` which
    names of the layer's code stay bound to its end: none, attention (its result) or normed (that, and its input);
    `weighs_as_routed` that a mixture casts its weights back to the router's dtype; `embeddings` counts those that the
    model's code holds beside the first layer's input, where positions are learned; `positions` says that it holds
    those of the positions too, which are the same for all sequences; `narrow_softmax` that eager attention takes the
    softmax in the dtype of the scores; `embedding_norm` that the embeddings are normed, `norm_by_head` that each head
    of queries and keys has its own norm, `holds_turned` that the parts of a joined rotary embedding have names to the
    end of attention, `names_products` that gate and up have names to the end of the feed-forward, up first,
    `masks_itself` that each layer makes its mask, `wide_router` that a router works in float32, `multiplied` that
    embeddings, the results of attention and feed-forward, and logits are multiplied by numbers of the config,
    `routes_chosen` that a router takes the softmax of the chosen logits alone; `shared` is the expert of a mixture
    that every token passes through, and `shared_gate` the layer whose sigmoid its result is multiplied by. With
    `norms_after` what attention and feed-forward give is normed, and not what they are given, with `normed_sums` the
    sums of that and the stream; `norms_turned` says that queries and keys are normed once they are turned,
    `scales_turned` that queries then are multiplied by a number, `scales_logits` that logits are; `masks_all` that the
    model makes a mask of all positions, whether or not a layer attends to all. A mixture's `router` is a name, where it
    is a linear; `shared_first` says that the shared expert runs before the others; `routes_by` is what makes shares of
    a router's logits (formula/router.py).
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
    shared: str = "mlp.shared_experts"
    shared_gate: str | None = None
    norms_after: bool = False
    normed_sums: bool = False
    norms_turned: bool = False
    scales_turned: bool = False
    scales_logits: bool = False
    masks_all: bool = False
    router: str | None = None
    mamba: str = "mamba"
    shared_first: bool = False
    routes_by: str = "float32 softmax"


LLAMA = Layout()
"""That of LLaMA."""
