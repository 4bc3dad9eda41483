"""BioGPT: OPT's layers, with a tied output projection of another name."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.bert import encoder_kind
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.heads import CAUSAL, SEQUENCE, TOKENS, Body, Head, assemble
from toolkit.memory.architecture.model import Architecture, Module
from toolkit.memory.architecture.opt import POSITION_OFFSET

BIOGPT_DEFAULTS = {
    "vocab_size": 42384,
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "activation_dropout": 0.0,
    "layerdrop": 0.0,
    "max_position_embeddings": 1024,
    "scale_embedding": True,
    "tie_word_embeddings": True,
}


def biogpt(config: Config, head: Head) -> Architecture:
    """BioGPT and what has its layers."""
    if config.share("layerdrop") or config.share("activation_dropout"):
        raise config.refuse("layers that are left out by chance (layerdrop), or activation_dropout, are not covered")
    hidden, vocabulary = config.size("hidden_size"), config.size("vocab_size")
    positions, count = config.size("max_position_embeddings"), config.layers("num_hidden_layers")
    modules = (
        parts.embedding("embed_tokens", vocabulary, hidden),
        parts.embedding("embed_positions", positions + POSITION_OFFSET, hidden),
        *_layers(config, hidden, parts.layer_names(0, count)),
        parts.layer_norm("layer_norm", hidden),
    )
    kind = replace(encoder_kind(config, count, hidden), stack="decoder")  # its config has the names of BERT's
    body = Body(
        modules, (kind,), hidden, vocabulary, "biogpt", positions,
        embedding_dropout=config.share("hidden_dropout_prob"),
    )  # fmt: skip
    return assemble(config, head, body, *_head(config, head, hidden, vocabulary))


def _layers(config: Config, hidden: int, layers: tuple[str, ...]) -> tuple[Module, ...]:
    inner = config.size("intermediate_size")
    names = ("k_proj", "v_proj", "q_proj", "out_proj")
    return (
        *(parts.linear(f"layers.{{}}.self_attn.{name}", hidden, hidden, layers, bias=True) for name in names),
        parts.layer_norm("layers.{}.self_attn_layer_norm", hidden, layers),
        parts.linear("layers.{}.fc1", hidden, inner, layers, bias=True),
        parts.linear("layers.{}.fc2", inner, hidden, layers, bias=True),
        parts.layer_norm("layers.{}.final_layer_norm", hidden, layers),
    )


def _head(config: Config, head: Head, hidden: int, vocabulary: int) -> tuple[tuple[Module, ...], tuple[str, ...]]:
    if head.kind == CAUSAL:
        tied = config.flag("tie_word_embeddings")
        return (parts.head("output_projection", hidden, vocabulary, tied=tied),), (
            ("output_projection.weight",) if tied else ()
        )
    if head.kind == SEQUENCE:
        return (parts.head("score", hidden, head.labels),), ()
    if head.kind == TOKENS:
        return (parts.head("classifier", hidden, head.labels, bias=True),), ()
    return (), ()
