"""DistilBERT."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import split
from toolkit.memory.architecture.heads import MASKED, QUESTION, SEQUENCE, TOKENS, Body, Head, assemble
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind, Module

DISTILBERT_DEFAULTS = {
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "n_layers": 6,
    "n_heads": 12,
    "dim": 768,
    "hidden_dim": 3072,
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "qa_dropout": 0.1,
    "activation": "gelu",
    "tie_word_embeddings": True,
}

DISTILBERT_ALIASES = {"dim": "hidden_size", "n_heads": "num_attention_heads", "n_layers": "num_hidden_layers"}


def distilbert(config: Config, head: Head) -> Architecture:
    """DistilBERT with its masked or classification head, both of two layers."""
    hidden, heads, count = config.size("dim"), config.heads("n_heads"), config.layers("n_layers")
    inner, vocabulary = config.size("hidden_dim"), config.size("vocab_size")
    positions, head_dim = config.size("max_position_embeddings"), split(config, hidden, heads)
    layers = parts.layer_names(0, count)
    layer = "transformer.layer.{}"
    names = ("q_lin", "k_lin", "v_lin", "out_lin")
    modules = (
        parts.embedding("embeddings.word_embeddings", vocabulary, hidden),
        parts.embedding("embeddings.position_embeddings", positions, hidden),
        parts.layer_norm("embeddings.LayerNorm", hidden),
        *(parts.linear(f"{layer}.attention.{name}", hidden, hidden, layers, bias=True) for name in names),
        parts.layer_norm(f"{layer}.sa_layer_norm", hidden, layers),
        parts.linear(f"{layer}.ffn.lin1", hidden, inner, layers, bias=True),
        parts.linear(f"{layer}.ffn.lin2", inner, hidden, layers, bias=True),
        parts.layer_norm(f"{layer}.output_layer_norm", hidden, layers),
    )
    kind = LayerKind(
        count,
        Attention(heads, heads, head_dim, head_dim, dropout=config.share("attention_dropout")),
        FeedForward(inner, gated=False, activation=config.word("activation")),
        norm="layer",
        dropout=config.share("dropout"),
        stack="encoder",
    )
    if head.kind == QUESTION and (config.share("qa_dropout") > 0) != (kind.dropout > 0):
        raise config.refuse("dropout before the answers alone, or everywhere but there (qa_dropout), is not covered")
    body = Body(modules, (kind,), hidden, vocabulary, "distilbert", positions, is_decoder=False)
    return assemble(config, head, body, *_head(config, head, hidden, vocabulary))


def _head(config: Config, head: Head, hidden: int, vocabulary: int) -> tuple[tuple[Module, ...], tuple[str, ...]]:
    if head.kind == MASKED:
        tied = config.flag("tie_word_embeddings")
        modules = (
            parts.linear("vocab_transform", hidden, hidden, bias=True),
            parts.layer_norm("vocab_layer_norm", hidden),
            parts.head("vocab_projector", hidden, vocabulary, bias=True, tied=tied),
        )
        return modules, ("vocab_projector.weight",) if tied else ()
    if head.kind == SEQUENCE:
        first = parts.linear("pre_classifier", hidden, hidden, bias=True)
        return (first, parts.head("classifier", hidden, head.labels, bias=True)), ()
    if head.kind == TOKENS:
        return (parts.head("classifier", hidden, head.labels, bias=True),), ()
    return (), ()
