"""What the decoders since LLaMA share: dimensions, projections, gated feed-forwards, windows by layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import replace

from toolkit.frozen import frozen
from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind, Module

FULL = "full_attention"
SLIDING = "sliding_attention"


@frozen
class Dimensions:
    """The dimensions of a decoder."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    head_dim: int
    vocabulary: int
    max_positions: int | None

    @property
    def indices(self) -> tuple[str, ...]:
        """The indices of all layers."""
        return parts.layer_names(0, self.layers)


def dimensions(config: Config) -> Dimensions:
    """The dimensions by the keys that LLaMA uses. Without `head_dim` the heads share the hidden width."""
    hidden = config.size("hidden_size")
    heads = config.heads("num_attention_heads")
    key_value_heads = heads if config.value("num_key_value_heads") is None else config.heads("num_key_value_heads")
    head_dim = config.optional_size("head_dim") or split(config, hidden, heads)
    if heads % key_value_heads:
        raise config.malformed(f"{heads} attention heads cannot share {key_value_heads} key-value heads")
    return Dimensions(
        hidden=hidden,
        intermediate=config.size("intermediate_size"),
        layers=config.layers("num_hidden_layers"),
        heads=heads,
        key_value_heads=key_value_heads,
        head_dim=head_dim,
        vocabulary=config.size("vocab_size"),
        max_positions=config.optional_size("max_position_embeddings"),
    )


def split(config: Config, hidden: int, heads: int) -> int:
    """The width of a head where the heads share the hidden width."""
    if hidden % heads:
        raise config.malformed(f"a hidden size of {hidden} cannot be split into {heads} attention heads")
    return hidden // heads


def projections(
    path: str, d: Dimensions, layers: tuple[str, ...], *, bias: bool = False, output_bias: bool = False
) -> tuple[Module, ...]:
    """The q, k, v and o projections of an attention."""
    keys = d.key_value_heads * d.head_dim
    return (
        parts.linear(f"{path}.q_proj", d.hidden, d.heads * d.head_dim, layers, bias=bias),
        parts.linear(f"{path}.k_proj", d.hidden, keys, layers, bias=bias),
        parts.linear(f"{path}.v_proj", d.hidden, keys, layers, bias=bias),
        parts.linear(f"{path}.o_proj", d.heads * d.head_dim, d.hidden, layers, bias=output_bias),
    )


def gated(
    path: str, hidden: int, intermediate: int, layers: tuple[str, ...], *, bias: bool = False
) -> tuple[Module, ...]:
    """The gate, up and down projections of a gated feed-forward."""
    return (
        parts.linear(f"{path}.gate_proj", hidden, intermediate, layers, bias=bias),
        parts.linear(f"{path}.up_proj", hidden, intermediate, layers, bias=bias),
        parts.linear(f"{path}.down_proj", intermediate, hidden, layers, bias=bias),
    )


def ungated(
    path: str, hidden: int, intermediate: int, layers: tuple[str, ...], *, bias: bool = False
) -> tuple[Module, ...]:
    """The up and down projections of a feed-forward without a gate."""
    return (
        parts.linear(f"{path}.up_proj", hidden, intermediate, layers, bias=bias),
        parts.linear(f"{path}.down_proj", intermediate, hidden, layers, bias=bias),
    )


def norms(d: Dimensions, *names: str) -> tuple[Module, ...]:
    """The RMSNorms of every layer, by their names."""
    return tuple(parts.norm(f"layers.{{}}.{name}", d.hidden, d.indices) for name in names)


def query_key_norms(path: str, d: Dimensions, layers: tuple[str, ...]) -> tuple[Module, ...]:
    """The norms over the head width of queries and keys."""
    return (
        parts.norm(f"{path}.q_norm", d.head_dim, layers),
        parts.norm(f"{path}.k_norm", d.head_dim, layers),
    )


def attention(config: Config, d: Dimensions, window: int | None, **more: bool) -> Attention:
    """The attention of layers with one window; `more` sets `query_norm` and other switches."""
    return Attention(
        query_heads=d.heads,
        key_value_heads=d.key_value_heads,
        head_dim=d.head_dim,
        value_head_dim=d.head_dim,
        window=window,
        rope_dim=turned_width(config, "partial_rotary_factor", d.head_dim),
        dropout=config.share("attention_dropout"),
        query_norm=more.get("query_norm", False),
        sinks=more.get("sinks", False),
        softcap=more.get("softcap", False),
        recurrent=more.get("recurrent", False),
        turned=more.get("turned", True),
        clips=more.get("clips", False),
        gated=more.get("gated", False),
        scaled=more.get("scaled", False),
        shares_keys=more.get("shares_keys", False),
    )


def turned_width(config: Config, key: str, head_dim: int) -> int | None:
    """The part of a head that rotary embedding turns, where the config gives its share of the head.

    Since version 5 transformers writes it among the `rope_parameters`.
    """
    inside = config.value("rope_parameters")
    if isinstance(inside, dict) and key in inside:
        config = replace(config, values={**config.values, key: inside[key]})
    return None if config.value(key) is None else int(head_dim * config.share(key))


def layer_windows(config: Config, count: int, pattern: tuple[str, ...] | None = None) -> tuple[int | None, ...]:
    """The window of each layer: by the config's `layer_types`, else by `pattern`; None is full attention."""
    types = config.words("layer_types") or pattern
    if types is None:
        return (None,) * count
    if len(types) != count:
        raise config.refuse(f"layer_types names {len(types)} layers, and the model has {count}")
    unknown = sorted(set(types) - {FULL, SLIDING})
    if unknown:
        raise config.refuse(f"layer_types names {unknown[0][:40]!r}, which no formula here covers")
    window = config.size("sliding_window") if SLIDING in types else None
    return tuple(window if kind == SLIDING else None for kind in types)


def order_of(forms: Sequence[Hashable]) -> tuple[int, ...]:
    """The place of each layer's form among all that there are, in the order in which they first come."""
    places = {form: place for place, form in enumerate(dict.fromkeys(forms))}
    return tuple(places[form] for form in forms)


def layer_kinds(
    config: Config,
    d: Dimensions,
    windows: tuple[int | None, ...],
    feed_forwards: FeedForward | tuple[FeedForward, ...],
    *,
    norm: str = "rms",
    norms: int = 2,
    dropout: float = 0.0,
    turned: tuple[bool, ...] | None = None,
    parallel: bool = False,
    **more: bool,
) -> tuple[LayerKind, ...]:
    """The kinds of layers of a decoder: by window, by feed-forward and by rotary embedding where these differ."""
    each = feed_forwards if isinstance(feed_forwards, tuple) else (feed_forwards,) * d.layers
    turns = (True,) * d.layers if turned is None else turned
    return tuple(
        LayerKind(
            count,
            attention(config, d, window, turned=turn, **more),
            feed_forward,
            norm=norm,
            norms=norms,
            parallel_residual=parallel,
            dropout=dropout,
        )
        for (window, feed_forward, turn), count in Counter(zip(windows, each, turns, strict=True)).items()
    )


def stacked(
    config: Config,
    head: Head,
    d: Dimensions,
    inner: tuple[Module, ...],
    kinds: tuple[LayerKind, ...],
    last: Module | None = None,
    *,
    logit_softcap: bool = False,
    embedding_dropout: float = 0.0,
    order: tuple[int, ...] = (),
) -> Architecture:
    """A decoder of an embedding, what its layers have (`inner`), and a last norm: an RMSNorm unless it is given."""
    embedding = parts.embedding("embed_tokens", d.vocabulary, d.hidden)
    modules = (embedding, *inner, last or parts.norm("norm", d.hidden))
    body = Body(
        modules,
        kinds,
        d.hidden,
        d.vocabulary,
        "model",
        d.max_positions,
        logit_softcap=logit_softcap,
        embedding_dropout=embedding_dropout,
        order=order,
    )
    return with_head(config, head, body)
