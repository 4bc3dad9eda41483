"""ModernBERT: norms before attention and feed-forward, rotary embedding, and windows in most layers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import MAX_LAYERS, MAX_SIZE, Config
from toolkit.memory.architecture.decoder import FULL, SLIDING, split
from toolkit.memory.architecture.heads import BASE, MASKED, Body, Head, assemble
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind, Module

MODERNBERT_DEFAULTS = {
    "vocab_size": 50368,
    "hidden_size": 768,
    "intermediate_size": 1152,
    "num_hidden_layers": 22,
    "num_attention_heads": 12,
    "hidden_activation": "gelu",
    "max_position_embeddings": 8192,
    "norm_bias": False,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "global_attn_every_n_layers": 3,
    "local_attention": 128,
    "embedding_dropout": 0.0,
    "mlp_bias": False,
    "mlp_dropout": 0.0,
    "decoder_bias": True,
    "classifier_pooling": "cls",
    "classifier_dropout": 0.0,
    "classifier_bias": False,
    "classifier_activation": "gelu",
    "sparse_prediction": False,
    "tie_word_embeddings": True,
}


def modernbert(config: Config, head: Head) -> Architecture:
    """ModernBERT: the first layer has no norm before its attention, as the embeddings have one."""
    for dropout in ("attention_dropout", "embedding_dropout", "mlp_dropout", "classifier_dropout"):
        if config.share(dropout):
            raise config.refuse(f"dropout ({dropout}) is not covered")
    hidden, vocabulary, count = (
        config.size("hidden_size"),
        config.size("vocab_size"),
        config.layers("num_hidden_layers"),
    )
    kinds, order = _kinds(config, count)
    modules = (
        parts.embedding("embeddings.tok_embeddings", vocabulary, hidden),
        _norm(config, "embeddings.norm", hidden),
        *_layers(config, hidden, count),
        _norm(config, "final_norm", hidden),
    )
    body = Body(
        modules,
        kinds,
        hidden,
        vocabulary,
        "model",
        config.size("max_position_embeddings"),
        is_decoder=False,
        order=order,
    )
    whole = assemble(config, head, body, *_head(config, head, hidden, vocabulary))
    mean = config.word("classifier_pooling") == "mean"
    return replace(whole, activation=config.word("classifier_activation"), reads_mean=mean)


def _norm(config: Config, path: str, width: int, layers: tuple[str, ...] = parts.ONCE) -> Module:
    return parts.norm(path, width, layers, bias=config.flag("norm_bias"))


def _layers(config: Config, hidden: int, count: int) -> tuple[Module, ...]:
    layers, inner = parts.layer_names(0, count), config.size("intermediate_size")
    attention, feeds = config.flag("attention_bias"), config.flag("mlp_bias")
    later = parts.layer_names(1, count)
    return (
        *((_norm(config, "layers.{}.attn_norm", hidden, later),) if later else ()),
        parts.linear("layers.{}.attn.Wqkv", hidden, 3 * hidden, layers, bias=attention),
        parts.linear("layers.{}.attn.Wo", hidden, hidden, layers, bias=attention),
        _norm(config, "layers.{}.mlp_norm", hidden, layers),
        parts.linear("layers.{}.mlp.Wi", hidden, 2 * inner, layers, bias=feeds),
        parts.linear("layers.{}.mlp.Wo", inner, hidden, layers, bias=feeds),
    )


def _kinds(config: Config, count: int) -> tuple[tuple[LayerKind, ...], tuple[int, ...]]:
    """The kinds of layers (the first, and those with and without a window), and which layer is of which."""
    names = config.words("layer_types")
    if names is None:
        every = config.whole("global_attn_every_n_layers", 1, MAX_LAYERS)
        names = tuple(SLIDING if index % every else FULL for index in range(count))
    if len(names) != count or set(names) - {FULL, SLIDING}:
        raise config.refuse(f"layer_types does not name the {count} layers as {FULL} or {SLIDING}")
    window = config.whole("local_attention", 2, MAX_SIZE) // 2
    keys = [(index == 0, name) for index, name in enumerate(names)]
    found = Counter(keys)
    order = {key: number for number, key in enumerate(found)}
    kinds = tuple(
        _kind(config, number, window if name == SLIDING else None, first=first)
        for (first, name), number in found.items()
    )
    return kinds, tuple(order[key] for key in keys)


def _kind(config: Config, count: int, window: int | None, *, first: bool) -> LayerKind:
    heads = config.heads("num_attention_heads")
    width = split(config, config.size("hidden_size"), heads)
    return LayerKind(
        count,
        Attention(heads, heads, width, width, window=window),
        FeedForward(config.size("intermediate_size"), gated=True, activation=config.word("hidden_activation")),
        norm="layer",
        norms=1 if first else 2,
        stack="encoder",
    )


def _head(config: Config, head: Head, hidden: int, vocabulary: int) -> tuple[tuple[Module, ...], tuple[str, ...]]:
    if head.kind == BASE:
        return (), ()
    before = (
        parts.linear("head.dense", hidden, hidden, bias=config.flag("classifier_bias")),
        _norm(config, "head.norm", hidden),
    )
    if head.kind == MASKED:
        if config.flag("sparse_prediction"):
            raise config.refuse("logits of masked tokens alone (sparse_prediction) are not covered")
        tied = config.flag("tie_word_embeddings")
        out = parts.head("decoder", hidden, vocabulary, bias=config.flag("decoder_bias"), tied=tied)
        return (*before, out), ("decoder.weight",) if tied else ()
    return (*before, parts.head("classifier", hidden, head.labels, bias=True)), ()
