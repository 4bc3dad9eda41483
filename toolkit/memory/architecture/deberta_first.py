"""DeBERTa (v1): queries, keys and values of one product, and projections of relative positions in every layer."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.bert import encoder_kind, masked_head
from toolkit.memory.architecture.config import MAX_SIZE, Config
from toolkit.memory.architecture.deberta import classifier, position_terms, refuse_other_widths, table
from toolkit.memory.architecture.heads import MASKED, Body, Head, assemble
from toolkit.memory.architecture.model import Architecture, LayerKind, Module, Tensor

FAMILY = "deberta"
NORM = "deberta layer"
"""The norm of its layers, which is written out in float32 (formula/norms.py)."""

DEBERTA_FIRST_DEFAULTS = {
    "vocab_size": 50265,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 512,
    "type_vocab_size": 0,
    "relative_attention": False,
    "max_relative_positions": -1,
    "position_biased_input": True,
    "talking_head": False,
    "legacy": True,
    "tie_word_embeddings": True,
}


def deberta_first(config: Config, head: Head) -> Architecture:
    """The first DeBERTa; heads that talk to each other and a narrower embedding are refused."""
    refuse_other_widths(config)
    if config.flag("talking_head"):
        raise config.refuse("heads that are mixed with each other (talking_head) are not covered")
    hidden, vocabulary = config.size("hidden_size"), config.size("vocab_size")
    positions, count = config.size("max_position_embeddings"), config.layers("num_hidden_layers")
    biased = positions if config.flag("position_biased_input") else 0
    modules = (
        parts.embedding("embeddings.word_embeddings", vocabulary, hidden),
        *table(config, "embeddings.position_embeddings", biased),
        *table(config, "embeddings.token_type_embeddings", config.whole("type_vocab_size", 0, MAX_SIZE)),
        parts.layer_norm("embeddings.LayerNorm", hidden),
        *_layers(config, hidden, parts.layer_names(0, count)),
        *table(config, "encoder.rel_embeddings", _relative_positions(config) or 0),
    )
    kind = _kind(config, count, hidden)
    body = Body(modules, (kind,), hidden, vocabulary, "deberta", positions, is_decoder=False)
    if head.kind == MASKED:
        if not config.flag("legacy"):
            raise config.refuse("the newer masked head (legacy false) is not covered")
        return assemble(config, head, body, *masked_head(config, "cls.predictions", hidden, vocabulary))
    return assemble(config, head, body, classifier(config, head, hidden), ())


def _layers(config: Config, hidden: int, layers: tuple[str, ...]) -> tuple[Module, ...]:
    layer, inner = "encoder.layer.{}", config.size("intermediate_size")
    attention = f"{layer}.attention.self"
    terms = position_terms(config)
    return (
        parts.bare(attention, (Tensor("q_bias", (hidden,)), Tensor("v_bias", (hidden,))), layers),
        parts.linear(f"{attention}.in_proj", hidden, 3 * hidden, layers),
        *((parts.linear(f"{attention}.pos_proj", hidden, hidden, layers),) if "c2p" in terms else ()),
        *((parts.linear(f"{attention}.pos_q_proj", hidden, hidden, layers, bias=True),) if "p2c" in terms else ()),
        parts.linear(f"{layer}.attention.output.dense", hidden, hidden, layers, bias=True),
        parts.layer_norm(f"{layer}.attention.output.LayerNorm", hidden, layers),
        parts.linear(f"{layer}.intermediate.dense", hidden, inner, layers, bias=True),
        parts.linear(f"{layer}.output.dense", inner, hidden, layers, bias=True),
        parts.layer_norm(f"{layer}.output.LayerNorm", hidden, layers),
    )


def _relative_positions(config: Config) -> int | None:
    """The number of relative positions that have an embedding; None without relative attention."""
    if not config.flag("relative_attention"):
        return None
    furthest = config.whole("max_relative_positions", -1, MAX_SIZE)
    return 2 * (furthest if furthest > 0 else config.size("max_position_embeddings"))


def _kind(config: Config, count: int, hidden: int) -> LayerKind:
    kind, rows = encoder_kind(config, count, hidden), _relative_positions(config)
    attention = replace(kind.attention, relative_positions=rows, position_terms=position_terms(config))
    return replace(kind, attention=attention, norm=NORM)
