"""BART and its kin: mBART, Pegasus, Marian, M2M100 (NLLB); and Whisper, whose encoder reads the frames of a sound."""

from __future__ import annotations

from dataclasses import replace

from toolkit.frozen import frozen
from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import split
from toolkit.memory.architecture.heads import BASE, SEQUENCE, Body, Head, assemble
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind, Module, Tensor

MBART_DEFAULTS = {
    "vocab_size": 50265,
    "max_position_embeddings": 1024,
    "encoder_layers": 12,
    "encoder_ffn_dim": 4096,
    "encoder_attention_heads": 16,
    "decoder_layers": 12,
    "decoder_ffn_dim": 4096,
    "decoder_attention_heads": 16,
    "activation_function": "gelu",
    "d_model": 1024,
    "dropout": 0.1,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "tie_word_embeddings": True,
}
BART_DEFAULTS = PEGASUS_DEFAULTS = MBART_DEFAULTS
MARIAN_DEFAULTS = {**MBART_DEFAULTS, "vocab_size": 58101, "share_encoder_decoder_embeddings": True}
M2M_DEFAULTS = {
    **MBART_DEFAULTS,
    "vocab_size": 128112,
    "activation_function": "relu",
    "attention_dropout": 0.1,
}
WHISPER_DEFAULTS = {
    **MBART_DEFAULTS,
    "vocab_size": 51865,
    "num_mel_bins": 80,
    "encoder_layers": 4,
    "encoder_ffn_dim": 1536,
    "encoder_attention_heads": 6,
    "decoder_layers": 4,
    "decoder_ffn_dim": 1536,
    "decoder_attention_heads": 6,
    "d_model": 384,
    "dropout": 0.0,
    "max_source_positions": 1500,
    "max_target_positions": 448,
}

BART_ALIASES = {
    "d_model": "hidden_size",
    "encoder_layers": "num_hidden_layers",
    "encoder_attention_heads": "num_attention_heads",
}

STACKS = ("encoder", "decoder")
LEARNED_OFFSET = 2
"""Rows that BART's table of learned positions has beside them (BartLearnedPositionalEmbedding)."""
CONVOLUTION = 3
"""The kernel of both convolutions before Whisper's encoder."""


@frozen
class Kin:
    """What a family has: `learned` positions or frozen ones, or none that are parameters; norms; a bias of keys.

    `normed` says that embeddings pass through a norm, `ends` that each stack ends in one.
    """

    positions: str = "learned"  # learned | frozen | computed
    normed: bool = False
    ends: bool = True


KIN = {
    "bart": Kin(normed=True, ends=False),
    "mbart": Kin(normed=True),
    "pegasus": Kin("frozen"),
    "marian": Kin("frozen", ends=False),
    "m2m_100": Kin("computed"),
}


def bart(config: Config, head: Head) -> Architecture:
    """An encoder and a decoder with one table of embeddings for both, and for the output."""
    if not config.flag("tie_word_embeddings"):
        raise config.refuse("embeddings that are not shared (tie_word_embeddings) are not covered")
    if config.value("share_encoder_decoder_embeddings") is False or _other_words(config):
        raise config.refuse("vocabularies of their own for encoder and decoder are not covered")
    kin = KIN[config.model_type]
    hidden, vocabulary = config.size("d_model"), config.size("vocab_size")
    tables = ("shared", *(f"{stack}.embed_tokens" for stack in STACKS))
    shared, *tied = (parts.embedding(path, vocabulary, hidden, tied=path != "shared") for path in tables)
    modules = (shared, *(module for stack, table in zip(STACKS, tied, strict=True) for module in (
        table, *_positions(config, stack, kin), *_layers(config, stack),
        *((parts.layer_norm(f"{stack}.layernorm_embedding", hidden),) if kin.normed else ()),
        *((parts.layer_norm(f"{stack}.layer_norm", hidden),) if kin.ends else ()),
    )))  # fmt: skip
    body = Body(modules, _kinds(config), hidden, vocabulary, "model", config.size("max_position_embeddings"))
    prefix = "" if head.kind == BASE else "model."
    names = tuple(f"{prefix}{module.path}.weight" for module in tied)
    if head.kind == BASE:
        return assemble(config, head, body, (), names)
    if head.kind == SEQUENCE:
        return assemble(config, head, body, _classifier(hidden, head.labels), names)
    extra = (parts.head("lm_head", hidden, vocabulary, tied=True),)
    return assemble(config, head, body, extra, (*names, "lm_head.weight"))


def _other_words(config: Config) -> bool:
    return config.value("decoder_vocab_size") not in (None, config.value("vocab_size"))


def whisper(config: Config, head: Head) -> Architecture:
    """Two convolutions over the bins of a sound's frames, an encoder of a fixed length, and a decoder of text."""
    if not config.flag("tie_word_embeddings"):
        raise config.refuse("an output weight of its own (tie_word_embeddings) is not covered")
    hidden, vocabulary = config.size("d_model"), config.size("vocab_size")
    frames, positions = config.size("max_source_positions"), config.size("max_target_positions")
    bins = config.size("num_mel_bins")
    table = parts.embedding("encoder.embed_positions", frames, hidden)
    modules = (
        _convolution("encoder.conv1", bins, hidden),
        _convolution("encoder.conv2", hidden, hidden),
        replace(table, trainable=False),
        *_layers(config, "encoder", key_bias=False),
        parts.layer_norm("encoder.layer_norm", hidden),
        parts.embedding("decoder.embed_tokens", vocabulary, hidden),
        parts.embedding("decoder.embed_positions", positions, hidden),
        *_layers(config, "decoder", key_bias=False),
        parts.layer_norm("decoder.layer_norm", hidden),
    )
    body = Body(modules, _kinds(config), hidden, vocabulary, "model", positions)
    if head.kind == BASE:
        return replace(assemble(config, head, body, (), ()), frames=frames, bins=bins)
    extra = (parts.head("proj_out", hidden, vocabulary, tied=True),)
    return replace(assemble(config, head, body, extra, ("proj_out.weight",)), frames=frames, bins=bins)


def _convolution(path: str, inputs: int, outputs: int) -> Module:
    tensors = (Tensor("weight", (outputs, inputs, CONVOLUTION)), Tensor("bias", (outputs,)))
    return parts.bare(path, tensors)


def _positions(config: Config, stack: str, kin: Kin) -> tuple[Module, ...]:
    """The table of positions; those of M2M100 are no parameters."""
    rows, hidden = config.size("max_position_embeddings"), config.size("d_model")
    if kin.positions == "computed":
        return ()
    if kin.positions == "learned":
        return (parts.embedding(f"{stack}.embed_positions", rows + LEARNED_OFFSET, hidden),)
    return (replace(parts.embedding(f"{stack}.embed_positions", rows, hidden), trainable=False),)


def _layers(config: Config, stack: str, *, key_bias: bool = True) -> tuple[Module, ...]:
    hidden, inner = config.size("d_model"), config.size(f"{stack}_ffn_dim")
    layers = parts.layer_names(0, config.layers(f"{stack}_layers"))
    layer = f"{stack}.layers.{{}}"
    attentions = ("self_attn", "encoder_attn") if stack == "decoder" else ("self_attn",)
    return (
        *(
            parts.linear(f"{layer}.{name}.{part}_proj", hidden, hidden, layers, bias=key_bias or part != "k")
            for name in attentions
            for part in ("k", "v", "q", "out")
        ),
        *(parts.layer_norm(f"{layer}.{name}_layer_norm", hidden, layers) for name in (*attentions, "final")),
        parts.linear(f"{layer}.fc1", hidden, inner, layers, bias=True),
        parts.linear(f"{layer}.fc2", inner, hidden, layers, bias=True),
    )


def _kinds(config: Config) -> tuple[LayerKind, ...]:
    return tuple(_kind(config, stack) for stack in STACKS)


def _kind(config: Config, stack: str) -> LayerKind:
    heads = config.heads(f"{stack}_attention_heads")
    width = split(config, config.size("d_model"), heads)
    own = Attention(heads, heads, width, width, dropout=config.share("attention_dropout"))
    inner = config.size(f"{stack}_ffn_dim")
    decodes = stack == "decoder"
    return LayerKind(
        config.layers(f"{stack}_layers"),
        own,
        FeedForward(
            inner,
            gated=False,
            activation=config.word("activation_function"),
            dropout=config.share("activation_dropout"),
        ),
        own if decodes else None,
        norm="layer",
        norms=3 if decodes else 2,
        dropout=config.share("dropout"),
        stack=stack,
    )


def _classifier(hidden: int, labels: int) -> tuple[Module, ...]:
    """The classifier. peft knows its name neither as a head to skip nor as one to train in full."""
    return (
        parts.linear("classification_head.dense", hidden, hidden, bias=True),
        parts.linear("classification_head.out_proj", hidden, labels, bias=True),
    )
