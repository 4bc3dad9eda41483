"""ALBERT: narrow embeddings, and layers that share one set of weights, or one for each group of layers."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.bert import encoder_kind
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.electra import narrow_embeddings
from toolkit.memory.architecture.heads import BASE, MASKED, SEQUENCE, TOKENS, Body, Head, assemble
from toolkit.memory.architecture.model import Architecture, Module, Tensor

ALBERT_DEFAULTS = {
    "vocab_size": 30000,
    "embedding_size": 128,
    "hidden_size": 4096,
    "num_hidden_layers": 12,
    "num_hidden_groups": 1,
    "num_attention_heads": 64,
    "intermediate_size": 16384,
    "inner_group_num": 1,
    "hidden_act": "gelu_new",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "classifier_dropout_prob": 0.1,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "tie_word_embeddings": True,
}


def albert(config: Config, head: Head) -> Architecture:
    """ALBERT with its masked head, or a classifier that reads the pooler."""
    hidden, width = config.size("hidden_size"), config.size("embedding_size")
    vocabulary, positions = config.size("vocab_size"), config.size("max_position_embeddings")
    count, groups = config.layers("num_hidden_layers"), config.layers("num_hidden_groups")
    if config.layers("inner_group_num") != 1 or count % groups:
        raise config.refuse("several layers in a group (inner_group_num), or of different lengths, are not covered")
    modules = (
        *narrow_embeddings(config, vocabulary, positions, width),
        parts.linear("encoder.embedding_hidden_mapping_in", width, hidden, bias=True),
        *_layers(config, hidden, parts.layer_names(0, groups)),
        *((parts.linear("pooler", hidden, hidden, bias=True),) if head.kind in (BASE, SEQUENCE) else ()),
    )
    kind = encoder_kind(config, count, hidden)
    body = Body(modules, (kind,), hidden, vocabulary, "albert", positions, is_decoder=False)
    return assemble(config, head, body, *_head(config, head, hidden, width, vocabulary))


def _layers(config: Config, hidden: int, groups: tuple[str, ...]) -> tuple[Module, ...]:
    layer, inner = "encoder.albert_layer_groups.{}.albert_layers.0", config.size("intermediate_size")
    names = ("query", "key", "value", "dense")
    return (
        parts.layer_norm(f"{layer}.full_layer_layer_norm", hidden, groups),
        *(parts.linear(f"{layer}.attention.{name}", hidden, hidden, groups, bias=True) for name in names),
        parts.layer_norm(f"{layer}.attention.LayerNorm", hidden, groups),
        parts.linear(f"{layer}.ffn", hidden, inner, groups, bias=True),
        parts.linear(f"{layer}.ffn_output", inner, hidden, groups, bias=True),
    )


def _head(
    config: Config, head: Head, hidden: int, width: int, vocabulary: int
) -> tuple[tuple[Module, ...], tuple[str, ...]]:
    if head.kind == MASKED:
        tied = config.flag("tie_word_embeddings")
        modules = (
            parts.bare("predictions", (Tensor("bias", (vocabulary,)),)),
            parts.layer_norm("predictions.LayerNorm", width),
            parts.linear("predictions.dense", hidden, width, bias=True),
            parts.head("predictions.decoder", width, vocabulary, bias=not tied, tied=tied),
        )
        return modules, ("predictions.decoder.weight", "predictions.decoder.bias") if tied else ()
    if head.kind in (SEQUENCE, TOKENS):
        return (parts.head("classifier", hidden, head.labels, bias=True),), ()
    return (), ()
