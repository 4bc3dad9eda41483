"""ELECTRA: BERT's layers after embeddings of a width of their own, for discriminator and generator alike."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.bert import BERT_DEFAULTS, encoder_kind, encoder_layers
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.heads import CAUSAL, MASKED, SEQUENCE, TOKENS, Body, Head, assemble
from toolkit.memory.architecture.model import Architecture, Module

ELECTRA_DEFAULTS = {
    **BERT_DEFAULTS,
    "embedding_size": 128,
    "hidden_size": 256,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
}


def electra(config: Config, head: Head) -> Architecture:
    """ELECTRA with the generator's masked head, or a classifier of two layers."""
    if config.flag("add_cross_attention"):
        raise config.refuse("cross-attention (add_cross_attention) is not covered")
    hidden, width = config.size("hidden_size"), config.size("embedding_size")
    vocabulary, positions = config.size("vocab_size"), config.size("max_position_embeddings")
    count = config.layers("num_hidden_layers")
    modules = (
        *narrow_embeddings(config, vocabulary, positions, width),
        *((parts.linear("embeddings_project", width, hidden, bias=True),) if width != hidden else ()),
        *encoder_layers(config, ("self.query", "self.key", "self.value"), parts.layer_names(0, count)),
    )
    kind = encoder_kind(config, count, hidden)
    body = Body(modules, (kind,), hidden, vocabulary, "electra", positions, is_decoder=False)
    return assemble(config, head, body, *_head(config, head, hidden, width, vocabulary))


def narrow_embeddings(config: Config, vocabulary: int, positions: int, width: int) -> tuple[Module, ...]:
    """Embeddings of tokens, positions and token types, and their norm, of a width that the layers may not have."""
    return (
        parts.embedding("embeddings.word_embeddings", vocabulary, width),
        parts.embedding("embeddings.position_embeddings", positions, width),
        parts.embedding("embeddings.token_type_embeddings", config.size("type_vocab_size"), width),
        parts.layer_norm("embeddings.LayerNorm", width),
    )


def _head(
    config: Config, head: Head, hidden: int, width: int, vocabulary: int
) -> tuple[tuple[Module, ...], tuple[str, ...]]:
    if head.kind in (MASKED, CAUSAL):
        tied = config.flag("tie_word_embeddings")
        modules = (
            parts.layer_norm("generator_predictions.LayerNorm", width),
            parts.linear("generator_predictions.dense", hidden, width, bias=True),
            parts.head("generator_lm_head", width, vocabulary, bias=True, tied=tied),
        )
        return modules, ("generator_lm_head.weight",) if tied else ()
    if head.kind == SEQUENCE:
        dense = parts.head("classifier.dense", hidden, hidden, bias=True)
        return (dense, parts.head("classifier.out_proj", hidden, head.labels, bias=True)), ()
    if head.kind == TOKENS:
        return (parts.head("classifier", hidden, head.labels, bias=True),), ()
    return (), ()
