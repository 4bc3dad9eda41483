"""BERT, RoBERTa and XLM-RoBERTa."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import split
from toolkit.memory.architecture.heads import BASE, CAUSAL, MASKED, SEQUENCE, TOKENS, Body, Head, assemble
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind, Module, Tensor

BERT_DEFAULTS = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}

ROBERTA_DEFAULTS = {**BERT_DEFAULTS, "vocab_size": 50265}
XLM_ROBERTA_DEFAULTS = BERT_DEFAULTS
CAMEMBERT_DEFAULTS = BERT_DEFAULTS


def bert(config: Config, head: Head) -> Architecture:
    """BERT: classification reads a pooler, the masked head transforms before the tied decoder."""
    hidden, vocabulary = config.size("hidden_size"), config.size("vocab_size")
    pooled = head.kind in (BASE, SEQUENCE)
    body = _body(config, "bert", pooler=pooled)
    if head.kind in (MASKED, CAUSAL):
        extra, tied = masked_head(config, "cls.predictions", hidden, vocabulary)
        return assemble(config, head, body, extra, tied)
    return assemble(config, head, body, _classifier(head, hidden), ())


def roberta(config: Config, head: Head) -> Architecture:
    """RoBERTa and XLM-RoBERTa: classification has a layer of its own instead of the pooler."""
    hidden, vocabulary = config.size("hidden_size"), config.size("vocab_size")
    body = _body(config, "roberta", pooler=head.kind == BASE)
    if head.kind in (MASKED, CAUSAL):
        extra, tied = _roberta_head(config, hidden, vocabulary)
        return assemble(config, head, body, extra, tied)
    if head.kind == SEQUENCE:
        dense = parts.head("classifier.dense", hidden, hidden, bias=True)
        out = parts.head("classifier.out_proj", hidden, head.labels, bias=True)
        return assemble(config, head, body, (dense, out), ())
    return assemble(config, head, body, _classifier(head, hidden), ())


def masked_head(config: Config, path: str, hidden: int, vocabulary: int) -> tuple[tuple[Module, ...], tuple[str, ...]]:
    """BERT's masked-language head: a transform and a tied decoder, and the names that are tied."""
    tied = config.flag("tie_word_embeddings")
    modules = (
        parts.bare(path, (Tensor("bias", (vocabulary,)),)),
        parts.linear(f"{path}.transform.dense", hidden, hidden, bias=True),
        parts.layer_norm(f"{path}.transform.LayerNorm", hidden),
        parts.head(f"{path}.decoder", hidden, vocabulary, bias=not tied, tied=tied),
    )
    return modules, (f"{path}.decoder.weight", f"{path}.decoder.bias") if tied else ()


def _roberta_head(config: Config, hidden: int, vocabulary: int) -> tuple[tuple[Module, ...], tuple[str, ...]]:
    tied = config.flag("tie_word_embeddings")
    modules = (
        parts.bare("lm_head", (Tensor("bias", (vocabulary,)),)),
        parts.linear("lm_head.dense", hidden, hidden, bias=True),
        parts.layer_norm("lm_head.layer_norm", hidden),
        parts.head("lm_head.decoder", hidden, vocabulary, bias=not tied, tied=tied),
    )
    return modules, ("lm_head.decoder.weight", "lm_head.decoder.bias") if tied else ()


def _classifier(head: Head, hidden: int) -> tuple[Module, ...]:
    if head.kind in (SEQUENCE, TOKENS):
        return (parts.head("classifier", hidden, head.labels, bias=True),)
    return ()


def _body(config: Config, prefix: str, *, pooler: bool) -> Body:
    if config.flag("add_cross_attention"):
        raise config.refuse("cross-attention (add_cross_attention) is not covered")
    hidden, count = config.size("hidden_size"), config.layers("num_hidden_layers")
    vocabulary, positions = config.size("vocab_size"), config.size("max_position_embeddings")
    modules = (
        parts.embedding("embeddings.word_embeddings", vocabulary, hidden),
        parts.embedding("embeddings.position_embeddings", positions, hidden),
        parts.embedding("embeddings.token_type_embeddings", config.size("type_vocab_size"), hidden),
        parts.layer_norm("embeddings.LayerNorm", hidden),
        *encoder_layers(config, ("self.query", "self.key", "self.value"), parts.layer_names(0, count)),
        *((parts.linear("pooler.dense", hidden, hidden, bias=True),) if pooler else ()),
    )
    kind = encoder_kind(config, count, hidden)
    return Body(modules, (kind,), hidden, vocabulary, prefix, positions, is_decoder=False)


def encoder_kind(config: Config, count: int, hidden: int) -> LayerKind:
    """What the activations of BERT's layers depend on, by the names of its config."""
    heads = config.heads("num_attention_heads")
    head_dim = split(config, hidden, heads)
    return LayerKind(
        count,
        Attention(heads, heads, head_dim, head_dim, dropout=config.share("attention_probs_dropout_prob")),
        FeedForward(config.size("intermediate_size"), gated=False, activation=config.word("hidden_act")),
        norm="layer",
        dropout=config.share("hidden_dropout_prob"),
        stack="encoder",
    )


def encoder_layers(config: Config, inputs: tuple[str, ...], layers: tuple[str, ...]) -> tuple[Module, ...]:
    """The layers of BERT and DeBERTa, which differ in the names of the projections into attention."""
    hidden, inner = config.size("hidden_size"), config.size("intermediate_size")
    layer = "encoder.layer.{}"
    return (
        *(parts.linear(f"{layer}.attention.{name}", hidden, hidden, layers, bias=True) for name in inputs),
        parts.linear(f"{layer}.attention.output.dense", hidden, hidden, layers, bias=True),
        parts.layer_norm(f"{layer}.attention.output.LayerNorm", hidden, layers),
        parts.linear(f"{layer}.intermediate.dense", hidden, inner, layers, bias=True),
        parts.linear(f"{layer}.output.dense", inner, hidden, layers, bias=True),
        parts.layer_norm(f"{layer}.output.LayerNorm", hidden, layers),
    )
