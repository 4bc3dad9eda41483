"""EuroBERT: LLaMA's layers, whose attention goes both ways."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import dimensions, gated, norms, projections
from toolkit.memory.architecture.heads import BASE, MASKED, SEQUENCE, Body, Head, assemble
from toolkit.memory.architecture.llama import LLAMA_DEFAULTS
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind, Module

EUROBERT_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 128256,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 8192,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "mlp_bias": False,
    "classifier_pooling": "late",
    "tie_word_embeddings": False,
}
POOLED_LATE = "late"


def eurobert(config: Config, head: Head) -> Architecture:
    """EuroBERT with the logits of words, or of the labels of tokens or sequences."""
    d = dimensions(config)
    attention, feeds = config.flag("attention_bias"), config.flag("mlp_bias")
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *projections("layers.{}.self_attn", d, d.indices, bias=attention, output_bias=attention),
        *gated("layers.{}.mlp", d.hidden, d.intermediate, d.indices, bias=feeds),
        *norms(d, "input_layernorm", "post_attention_layernorm"),
        parts.norm("norm", d.hidden),
    )
    kind = LayerKind(
        d.layers,
        Attention(d.heads, d.key_value_heads, d.head_dim, d.head_dim, dropout=config.share("attention_dropout")),
        FeedForward(d.intermediate, gated=True, activation=config.word("hidden_act")),
        stack="encoder",
    )
    body = Body(
        modules, (kind,), d.hidden, d.vocabulary, "model", config.size("max_position_embeddings"), is_decoder=False
    )
    pooling = config.word("classifier_pooling")
    whole = assemble(config, head, body, *_head(config, head, d.hidden, d.vocabulary))
    return replace(whole, activation="gelu", reads_mean=pooling == "mean", reads_late=pooling == POOLED_LATE)


def _head(config: Config, head: Head, hidden: int, vocabulary: int) -> tuple[tuple[Module, ...], tuple[str, ...]]:
    if head.kind == BASE:
        return (), ()
    if head.kind == MASKED:
        tied = config.flag("tie_word_embeddings")
        out = parts.head("lm_head", hidden, vocabulary, bias=config.flag("mlp_bias"), tied=tied)
        return (out,), ("lm_head.weight",) if tied else ()
    classifier = parts.head("classifier", hidden, head.labels, bias=True)
    if head.kind == SEQUENCE:
        return (parts.linear("dense", hidden, hidden, bias=True), classifier), ()
    return (classifier,), ()
