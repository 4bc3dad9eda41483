"""MPNet: BERT's layers with a bias for each pair of positions, which all of them share."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.bert import BERT_DEFAULTS, encoder_kind
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.heads import BASE, MASKED, SEQUENCE, TOKENS, Body, Head, assemble
from toolkit.memory.architecture.model import Architecture, Module, Tensor

MPNET_DEFAULTS = {**BERT_DEFAULTS, "vocab_size": 30527, "relative_attention_num_buckets": 32}


def mpnet(config: Config, head: Head) -> Architecture:
    """MPNet with RoBERTa's heads; without one it ends in a pooler."""
    hidden, vocabulary = config.size("hidden_size"), config.size("vocab_size")
    positions, count = config.size("max_position_embeddings"), config.layers("num_hidden_layers")
    biases = parts.embedding(
        "encoder.relative_attention_bias", config.size("relative_attention_num_buckets"),
        config.heads("num_attention_heads"),
    )  # fmt: skip
    modules = (
        parts.embedding("embeddings.word_embeddings", vocabulary, hidden),
        parts.embedding("embeddings.position_embeddings", positions, hidden),
        parts.layer_norm("embeddings.LayerNorm", hidden),
        *_layers(config, hidden, parts.layer_names(0, count)),
        biases,
        *((parts.linear("pooler.dense", hidden, hidden, bias=True),) if head.kind == BASE else ()),
    )
    kind = encoder_kind(config, count, hidden)
    body = Body(modules, (kind,), hidden, vocabulary, "mpnet", positions, is_decoder=False)
    return assemble(config, head, body, *_head(config, head, hidden, vocabulary))


def _layers(config: Config, hidden: int, layers: tuple[str, ...]) -> tuple[Module, ...]:
    layer, inner = "encoder.layer.{}", config.size("intermediate_size")
    return (
        *(parts.linear(f"{layer}.attention.attn.{name}", hidden, hidden, layers, bias=True) for name in "qkvo"),
        parts.layer_norm(f"{layer}.attention.LayerNorm", hidden, layers),
        parts.linear(f"{layer}.intermediate.dense", hidden, inner, layers, bias=True),
        parts.linear(f"{layer}.output.dense", inner, hidden, layers, bias=True),
        parts.layer_norm(f"{layer}.output.LayerNorm", hidden, layers),
    )


def _head(config: Config, head: Head, hidden: int, vocabulary: int) -> tuple[tuple[Module, ...], tuple[str, ...]]:
    if head.kind == MASKED:
        tied = config.flag("tie_word_embeddings")
        modules = (
            parts.bare("lm_head", (Tensor("bias", (vocabulary,)),)),
            parts.linear("lm_head.dense", hidden, hidden, bias=True),
            parts.layer_norm("lm_head.layer_norm", hidden),
            parts.head("lm_head.decoder", hidden, vocabulary, bias=not tied, tied=tied),
        )
        return modules, ("lm_head.decoder.weight", "lm_head.decoder.bias") if tied else ()
    if head.kind == SEQUENCE:
        dense = parts.head("classifier.dense", hidden, hidden, bias=True)
        return (dense, parts.head("classifier.out_proj", hidden, head.labels, bias=True)), ()
    return ((parts.head("classifier", hidden, head.labels, bias=True),) if head.kind == TOKENS else ()), ()
