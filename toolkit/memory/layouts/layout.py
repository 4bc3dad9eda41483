"""What distinguishes the layers of one family from those of another: names of linears, and the order of operations."""

from __future__ import annotations

from toolkit.frozen import frozen


@frozen
class Layout:
    """The linears of a layer by the ends of their paths, and the order and form of the operations between them."""

    query: str = "self_attn.q_proj"
    key: str = "self_attn.k_proj"
    value: str = "self_attn.v_proj"
    output: str = "self_attn.o_proj"
    fused: str | None = None  # one linear for q, k and v
    gate: str = "mlp.gate_proj"
    up: str = "mlp.up_proj"
    down: str = "mlp.down_proj"
    gate_up: str | None = None  # one linear for gate and up
    # none; own: each layer has its angles; whole; joined: the rotated part is concatenated with the rest in a new
    # tensor; wide: the same in float32; or another one of formula/attention/rotary.py
    rotary: str = "whole"
    scaled_query: bool = False  # projected queries are multiplied by a number
    unit_offset_norm: bool = False  # norms multiply float32 values by their weight (Gemma: plus one), and cast last
    parallel_norms: bool = False  # a parallel feed-forward has a norm of its own
    # names in the layer's code that stay bound to its end: none; attention: its result; normed: that, and its input
    holds: str = "none"
    weighs_as_routed: bool = False  # a mixture casts its weights back to the router's dtype
    embeddings: int = 0  # those that the model's code holds beside the first layer's input, with learned positions
    positions: bool = False  # the code holds those of the positions as well, which all sequences share
    narrow_softmax: bool = False  # eager attention takes the softmax in the dtype of the scores
    leaves_softmax: bool = False  # and nothing casts the result
    embedding_norm: bool = False  # the embeddings are normalized
    norm_by_head: bool = False  # each head of queries and keys has its own norm
    norm_of_all: bool = False  # one norm of all heads of queries at once, and one of all of keys
    holds_turned: bool = False  # the parts of a joined rotary embedding stay named to the end of attention
    names_products: bool = False  # gate and up stay named to the end of the feed-forward; up runs first
    masks_itself: bool = False  # each layer makes its own mask
    wide_router: bool = False  # the router works in float32
    multiplied: bool = False  # embeddings, results of attention and feed-forward, and logits: by numbers of the config
    shared: str = "mlp.shared_experts"  # the expert of a mixture that every token passes through
    shared_gate: str | None = None  # the layer whose sigmoid multiplies the shared expert's result
    norms_after: bool = False  # norms apply to the results of attention and feed-forward, not to their inputs
    normed_sums: bool = False  # norms apply to the stream after each result is added
    slices: bool = False  # queries, keys and values are slices of one projection, not a split or chunks of it
    heads_last: bool = False  # queries, keys and values become heads once all three are made
    flattens: bool = False  # rows of all sequences are one matrix while the feed-forward runs
    norms_turned: bool = False  # queries and keys are normalized after rotation
    scales_turned: bool = False  # queries are multiplied by a number after rotation
    scales_logits: bool = False  # logits are multiplied by a number
    masks_all: bool = False  # the model makes a mask of all positions, whether or not a layer attends to all
    router: str | None = None  # a mixture's router, where it is a linear
    mamba: str = "mamba"
    shared_first: bool = False  # the shared expert runs before the others
    routes_by: str = "float32 softmax"  # how a router's logits become weights (formula/experts/router.py)


LLAMA = Layout()
"""The layout of LLaMA."""
