"""DeBERTa v2 and v3: disentangled attention to contents and relative positions."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.bert import encoder_layers, masked_head
from toolkit.memory.architecture.config import MAX_SIZE, Config
from toolkit.memory.architecture.decoder import split
from toolkit.memory.architecture.heads import MASKED, SEQUENCE, TOKENS, Body, Head, assemble
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind, Module

DEBERTA_DEFAULTS = {
    "vocab_size": 128100,
    "hidden_size": 1536,
    "intermediate_size": 6144,
    "num_hidden_layers": 24,
    "num_attention_heads": 24,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 512,
    "type_vocab_size": 0,
    "relative_attention": False,
    "max_relative_positions": -1,
    "position_buckets": -1,
    "position_biased_input": True,
    "share_att_key": False,
    "norm_rel_ebd": "none",
    "conv_kernel_size": 0,
    "legacy": True,
    "tie_word_embeddings": True,
}


def deberta(config: Config, head: Head) -> Architecture:
    """DeBERTa v2 and v3; v2's convolution and a narrower embedding are refused."""
    if config.whole("conv_kernel_size", 0, MAX_SIZE):
        raise config.refuse("a convolution beside the first layer (conv_kernel_size) is not covered")
    refuse_other_widths(config)
    hidden, vocabulary = config.size("hidden_size"), config.size("vocab_size")
    positions = config.size("max_position_embeddings")
    types = config.whole("type_vocab_size", 0, MAX_SIZE)
    modules = (
        parts.embedding("embeddings.word_embeddings", vocabulary, hidden),
        *table(config, "embeddings.position_embeddings", positions if config.flag("position_biased_input") else 0),
        *table(config, "embeddings.token_type_embeddings", types),
        parts.layer_norm("embeddings.LayerNorm", hidden),
        *_layers(config),
        *table(config, "encoder.rel_embeddings", _relative_positions(config) or 0),
        *((parts.layer_norm("encoder.LayerNorm", hidden),) if _norms_positions(config) else ()),
    )
    body = Body(modules, (_kind(config),), hidden, vocabulary, "deberta", positions, is_decoder=False)
    if head.kind == MASKED:
        if not config.flag("legacy"):
            raise config.refuse("the newer masked head (legacy false) is not covered")
        return assemble(config, head, body, *masked_head(config, "cls.predictions", hidden, vocabulary))
    return assemble(config, head, body, classifier(config, head, hidden), ())


def refuse_other_widths(config: Config) -> None:
    """Raise where embeddings or heads have a width of their own."""
    if config.value("embedding_size") not in (None, config.value("hidden_size")):
        raise config.refuse("an embedding narrower than the model (embedding_size) is not covered")
    if config.value("attention_head_size") is not None:
        raise config.refuse("a head width of its own (attention_head_size) is not covered")


def table(config: Config, path: str, rows: int) -> tuple[Module, ...]:
    """An embedding of so many rows; none of no rows."""
    return (parts.embedding(path, rows, config.size("hidden_size")),) if rows else ()


def _layers(config: Config) -> tuple[Module, ...]:
    inputs = ["self.query_proj", "self.key_proj", "self.value_proj"]
    if config.flag("relative_attention") and not config.flag("share_att_key"):
        kinds = _position_attention(config)
        inputs += ["self.pos_key_proj"] if "c2p" in kinds else []
        inputs += ["self.pos_query_proj"] if "p2c" in kinds else []
    return encoder_layers(config, tuple(inputs), parts.layer_names(0, config.layers("num_hidden_layers")))


def _position_attention(config: Config) -> tuple[str, ...]:
    """The kinds of attention to positions: a list, or text with bars as in the first files."""
    value = config.value("pos_att_type")
    if isinstance(value, str):
        return tuple(part.strip() for part in config.word("pos_att_type").lower().split("|"))
    return config.words("pos_att_type") or ()


def position_terms(config: Config) -> tuple[str, ...]:
    """The terms of attention to positions that DeBERTa has; other words are passed over as there."""
    kinds = _position_attention(config) if config.flag("relative_attention") else ()
    return tuple(term for term in ("c2p", "p2c") if term in kinds)


def _relative_positions(config: Config) -> int | None:
    """The number of relative positions that have an embedding; None without relative attention."""
    if not config.flag("relative_attention"):
        return None
    buckets = config.whole("position_buckets", -1, MAX_SIZE)
    if buckets > 0:
        return 2 * buckets
    furthest = config.whole("max_relative_positions", -1, MAX_SIZE)
    return 2 * (furthest if furthest > 0 else config.size("max_position_embeddings"))


def _norms_positions(config: Config) -> bool:
    return "layer_norm" in (part.strip() for part in config.word("norm_rel_ebd").lower().split("|"))


def _kind(config: Config) -> LayerKind:
    heads = config.heads("num_attention_heads")
    width = split(config, config.size("hidden_size"), heads)
    dropout = config.share("attention_probs_dropout_prob")
    return LayerKind(
        config.layers("num_hidden_layers"),
        Attention(
            heads,
            heads,
            width,
            width,
            relative_positions=_relative_positions(config),
            position_terms=position_terms(config),
            dropout=dropout,
        ),
        FeedForward(config.size("intermediate_size"), gated=False, activation=config.word("hidden_act")),
        norm="layer",
        dropout=config.share("hidden_dropout_prob"),
        stack="encoder",
    )


def classifier(config: Config, head: Head, hidden: int) -> tuple[Module, ...]:
    """The modules of a classifier: of a sequence with a pooler of its own."""
    if head.kind == SEQUENCE:
        # transformers gives the pooler the hidden size where the file has none.
        width = config.optional_size("pooler_hidden_size") or hidden
        pooler = parts.linear("pooler.dense", width, width, bias=True)
        return (pooler, parts.head("classifier", width, head.labels, bias=True))
    if head.kind == TOKENS:
        return (parts.head("classifier", hidden, head.labels, bias=True),)
    return ()
