"""NomicBERT: LLaMA's attention, both ways, and its gated feed-forward, normed after the stream is added (BERT)."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import dimensions, gated, projections
from toolkit.memory.architecture.heads import BASE, MASKED, SEQUENCE, Body, Head, assemble
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind, Module, Tensor

FAMILY = "nomic_bert"

NOMIC_DEFAULTS = {
    "vocab_size": 30528,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_act": "silu",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "classifier_dropout": None,
    "max_position_embeddings": 2048,
    "type_vocab_size": 2,
    "tie_word_embeddings": True,
}
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")


def nomic_bert(config: Config, head: Head) -> Architecture:
    """NomicBERT as transformers 5 has it; a config of the code beside its first weights, and dropout, are refused."""
    if config.value("n_embd") is not None:
        raise config.refuse("a config of the code beside the weights (n_embd) is not that of transformers' nomic_bert")
    for dropout in DROPOUTS:
        if config.share(dropout):
            raise config.refuse(f"dropout ({dropout}) is not covered")
    d = dimensions(config)
    modules = (
        parts.embedding("embeddings.word_embeddings", d.vocabulary, d.hidden),
        parts.embedding("embeddings.token_type_embeddings", config.size("type_vocab_size"), d.hidden),
        parts.layer_norm("embeddings.LayerNorm", d.hidden),
        *((parts.linear("pooler.dense", d.hidden, d.hidden, bias=True),) if head.kind == SEQUENCE else ()),
        parts.layer_norm("layers.{}.post_attention_layernorm", d.hidden, d.indices),
        *gated("layers.{}.mlp", d.hidden, d.intermediate, d.indices),
        *projections("layers.{}.self_attn", d, d.indices),
        parts.layer_norm("layers.{}.post_mlp_layernorm", d.hidden, d.indices),
    )
    kind = LayerKind(
        d.layers,
        Attention(d.heads, d.key_value_heads, d.head_dim, d.head_dim),
        FeedForward(d.intermediate, gated=True, activation=config.word("hidden_act")),
        norm="layer",
        stack="encoder",
    )
    body = Body(modules, (kind,), d.hidden, d.vocabulary, FAMILY, d.max_positions, is_decoder=False)
    return assemble(config, head, body, *_head(config, head, d.hidden, d.vocabulary))


def _head(config: Config, head: Head, hidden: int, vocabulary: int) -> tuple[tuple[Module, ...], tuple[str, ...]]:
    if head.kind == BASE:
        return (), ()
    if head.kind != MASKED:
        return (parts.head("classifier", hidden, head.labels, bias=True),), ()
    tied, path = config.flag("tie_word_embeddings"), "cls.predictions"
    modules = (
        parts.bare(path, (Tensor("bias", (vocabulary,)),)),
        parts.linear(f"{path}.transform.dense", hidden, hidden, bias=True),
        parts.layer_norm(f"{path}.transform.layer_norm", hidden),
        parts.head(f"{path}.decoder", hidden, vocabulary, bias=not tied, tied=tied),
    )
    return modules, (f"{path}.decoder.weight", f"{path}.decoder.bias") if tied else ()
