"""What stands on top of a model: the heads, and how they name and extend the modules of the body."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from toolkit.frozen import frozen
from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.model import Architecture, LayerKind, Module

CAUSAL = "causal-lm"
MASKED = "masked-lm"
SEQUENCE = "sequence-classification"
TOKENS = "token-classification"
QUESTION = "question-answering"
BASE = "base"

HEADS = (CAUSAL, SEQUENCE, TOKENS, QUESTION, MASKED, BASE)
"""The heads that a scenario may name."""
SPAN = 2
"""Numbers of a token that answer a question: whether the answer starts there, and whether it ends there."""


@frozen
class Head:
    """Which head, with how many labels (0: none), and the transformers class that has it."""

    kind: str
    labels: int
    class_name: str


@frozen
class Body:
    """A model without its head. Paths are those inside it; `prefix` is its name inside a class with a head.

    `output_width` is the width that the head reads (the hidden width by default).
    """

    modules: tuple[Module, ...]
    layers: tuple[LayerKind, ...]
    hidden: int
    vocabulary: int
    prefix: str
    max_positions: int | None = None
    output_width: int | None = None
    logit_softcap: bool = False
    is_decoder: bool = True
    embedding_dropout: float = 0.0
    notes: tuple[str, ...] = ()
    order: tuple[int, ...] = ()


def classes(stem: str, *, token: bool = True, **names: str) -> Mapping[str, str]:
    """The transformers classes of a decoder by head, from the stem of their names; `names` are exceptions."""
    table = {
        CAUSAL: f"{stem}ForCausalLM",
        SEQUENCE: f"{stem}ForSequenceClassification",
        BASE: f"{stem}Model",
    }
    if token:
        table[TOKENS] = f"{stem}ForTokenClassification"
    if "causal" in names:
        table[CAUSAL] = names["causal"]
    if "sequence" in names:
        table[SEQUENCE] = names["sequence"]
    if "base" in names:
        table[BASE] = names["base"]
    return table


def prefixed(modules: Iterable[Module], prefix: str) -> tuple[Module, ...]:
    """The same modules inside a module of that name."""
    return tuple(replace(module, path=f"{prefix}.{module.path}" if module.path else prefix) for module in modules)


def assemble(config: Config, head: Head, body: Body, extra: tuple[Module, ...], tied: tuple[str, ...]) -> Architecture:
    """The architecture of a body with the modules of a head; what answers questions has one name in all families."""
    if head.kind == QUESTION:
        extra = (parts.head("qa_outputs", body.output_width or body.hidden, head.labels, bias=True),)
    inside = body.modules if head.kind == BASE else prefixed(body.modules, body.prefix)
    return Architecture(
        family=config.model_type,
        class_name=head.class_name,
        head=head.kind,
        modules=inside + extra,
        layers=body.layers,
        hidden=body.hidden,
        vocabulary=body.vocabulary,
        max_positions=body.max_positions,
        tied=tied,
        labels=head.labels,
        logit_softcap=body.logit_softcap and head.kind == CAUSAL,
        is_decoder=body.is_decoder,
        embedding_dropout=body.embedding_dropout,
        notes=body.notes,
        order=body.order,
    )


def decoder(config: Config, head: Head, body: Body, *, head_bias: bool = False, tagger: str = "score") -> Architecture:
    """A decoder with `lm_head`, `score` or no head; `lm_head` is tied where the config says so."""
    width = body.output_width or body.hidden
    extra: tuple[Module, ...] = ()
    tied: tuple[str, ...] = ()
    if head.kind == CAUSAL:
        is_tied = config.flag("tie_word_embeddings")
        extra = (parts.head("lm_head", width, body.vocabulary, bias=head_bias, tied=is_tied),)
        tied = ("lm_head.weight",) if is_tied else ()
    elif head.kind == SEQUENCE:
        extra = (parts.head("score", width, head.labels),)
    elif head.kind == TOKENS:
        extra = (parts.head(tagger, width, head.labels, bias=True),)
    return assemble(config, head, body, extra, tied)
