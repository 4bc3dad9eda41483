"""The forms of encoders: what tapes are recorded from."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import LayerKind, Module, ModuleKind
from toolkit.memory.architecture.deberta_first import NORM as WRITTEN_OUT
from toolkit.memory.architecture.heads import BASE, MASKED, QUESTION, SEQUENCE, TOKENS
from toolkit.memory.forms.builder import Builder
from toolkit.memory.forms.layers import biased
from toolkit.memory.formula.attention.disentangled import PositionsForm
from toolkit.memory.formula.attention.encoder_attention import EncoderAttentionForm
from toolkit.memory.formula.attention.joined_attention import JoinedForm
from toolkit.memory.formula.embeddings import EmbeddingsForm
from toolkit.memory.formula.ends.classification import EACH, PooledForm
from toolkit.memory.formula.ends.masked_head import MaskedForm
from toolkit.memory.formula.families.encoder_layer import EncoderLayerForm
from toolkit.memory.formula.feed_forward import FeedForwardForm
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.layouts.encoders import ENCODERS, EncoderLayout
from toolkit.memory.libraries.unfused_attention import ALL
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.weights.numerics import Numerics
from toolkit.spec.fields.kernel_names import MATH

ADDED = ("position_embeddings", "token_type_embeddings")

COUNTED_FROM_IDS = frozenset({"camembert", "mpnet", "roberta", "xlm-roberta"})
"""Families whose positions are counted from the token ids of each sequence (create_position_ids_from_input_ids)."""
"""Embeddings that are added to those of the tokens."""

WHOLE = "cross-entropy"

EncoderHead = PooledForm | MaskedForm


def embeddings_form(build: Builder) -> EmbeddingsForm:
    """The form of the operations before the first layer."""
    kind = build.architecture.layers[0]
    masked = ENCODERS[build.architecture.family].disentangled
    summed = sum(module.path.endswith(ADDED) for module in build.architecture.modules) > 0
    trained = build.numerics.trains_base or build.adaptation.embeds or build.adaptation.looks_up
    leaf = build.numerics.first_grad and not trained
    kept = leaf and not summed and kind.norm == WRITTEN_OUT
    form = EmbeddingsForm(
        embedding_width(build), build.norm(kind.norm), kind.dropout > 0, masked, leaf and summed, kept
    )
    return replace(form, tables=_tables(build), project=_projection(build))


def _tables(build: Builder) -> tuple[bool, ...]:
    """The embeddings that are added to the tokens', in order, by whether each sequence has its own.

    Types come first. Positions that are counted from the token ids, as RoBERTa's and MPNet's, are each sequence's.
    """
    family = build.architecture.family
    if ENCODERS[family].disentangled:
        return ()
    types = any(module.path.endswith(ADDED[1]) for module in build.architecture.modules)
    positions = any(module.path.endswith(ADDED[0]) for module in build.architecture.modules)
    own = family in COUNTED_FROM_IDS
    return (*((True,) if types else ()), *((own,) if positions else ()))


def embedding_width(build: Builder) -> int:
    """The width of the embeddings, which may differ from that of the layers."""
    return next(m.out_features for m in build.architecture.modules if m.kind is ModuleKind.EMBEDDING)


def _projection(build: Builder) -> LinearForm | None:
    """The linear between embeddings and layers, where there is one."""
    path = ENCODERS[build.architecture.family].projects
    found = (m for m in build.architecture.modules if path is not None and m.path.endswith(path))
    return next(map(build.form_of, found), None)


def encoder_layer_form(build: Builder, kind: LayerKind) -> EncoderLayerForm:
    """The form of one kind of layer."""
    layout = ENCODERS[build.architecture.family]
    part = kind.feed_forward
    return EncoderLayerForm(
        hidden=build.architecture.hidden,
        attention=_attention(build, kind, layout),
        feed_forward=FeedForwardForm(build.linear(layout.up), build.linear(layout.down), part.activation),
        norm=build.norm(kind.norm),
        dropout=kind.dropout > 0,
        compact=layout.compact,
        shares=layout.shares,
        names_probabilities=not build.numerics.adds_masks or build.version.returns_probabilities,
        boxed=layout.biases,
    )


def kernel(build: Builder) -> str:
    """The kernel of encoders' attention: sdpa without a mask is a flash kernel; before 5 a mask was a bias."""
    dtypes = build.numerics
    if ENCODERS[build.architecture.family].biases or dtypes.attention == "eager":
        return "eager"
    if not dtypes.padded:
        return MATH if dtypes.unfused == ALL else "flash"
    if dtypes.attention == "flash":
        return "varying"
    return biased(dtypes, build.sequence) if dtypes.adds_masks else "masked"


def mask_dtype(dtypes: Numerics) -> str | None:
    """The dtype of the mask that eager attention adds: that of the embeddings, whose norm autocast runs in float32."""
    if not dtypes.padded:
        return None
    return "fp32" if dtypes.autocast is not None else dtypes.stream


def _attention(build: Builder, kind: LayerKind, layout: EncoderLayout) -> EncoderAttentionForm:
    a, n = kind.attention, build.numerics
    names = (layout.joined,) * 3 if layout.joined else (layout.query, layout.key, layout.value)
    query, key, value = (build.linear(name) for name in names)
    if layout.joined:
        return _joined(build, kind, query, build.linear(layout.output))
    positions = None
    if layout.disentangled:
        positions, query, key = _positions(build, kind, query, key)
    return EncoderAttentionForm(
        heads=a.query_heads,
        width=a.query_heads * a.head_dim,
        query=query,
        key=key,
        value=value,
        output=build.linear(layout.output),
        kernel=kernel(build),
        mask=n.embedding if n.adds_masks and not (layout.compact or layout.disentangled) else mask_dtype(n),
        autocast=n.autocast,
        narrows=n.loaded if n.storage != "plain" and n.attention == "flash" else None,
        dropout=a.dropout > 0,
        keeps_scores=n.keeps_scores,
        positions=positions,
        names_scores=n.adds_masks or layout.biases,
        bias=n.embedding if layout.biases else None,
        trains_bias=layout.biases and n.trains_base,
    )


def reaches_all(kind: LayerKind, sequence: int) -> bool:
    """Whether a sequence reaches all relative positions; the first DeBERTa uses no positions beyond its length."""
    return kind.norm != WRITTEN_OUT or 2 * sequence >= (kind.attention.relative_positions or 0)


def _joined(build: Builder, kind: LayerKind, joined: LinearForm, output: LinearForm) -> EncoderAttentionForm:
    """The form of the first DeBERTa's attention."""
    a, n = kind.attention, build.numerics
    _refuse_without_positions(build, kind)
    if n.autocast is not None:
        # Queries with their biases are float32, and 16-bit scores cannot be filled with float32's lowest number.
        reason = "transformers' code of the first DeBERTa fails under autocast (modeling_deberta.py, masked_fill)"
        raise UnsupportedRow("attention_scores", reason)
    own = {name: build.by_suffix.get(f"attention.self.{name}") for name in ("pos_proj", "pos_q_proj")}
    of_key, of_query = (build.form_of(module) if module else None for module in own.values())
    width = build.architecture.hidden
    positions = PositionsForm(
        rows=a.relative_positions or 0,
        width=width,
        heads=a.query_heads,
        dtype=n.stream,
        grad=n.trains_base,
        terms=a.position_terms,
        key=of_key,
        query=of_query,
        shared=False,
        dropout=kind.dropout > 0,
    )
    form = JoinedForm(
        heads=a.query_heads,
        width=width,
        joined=joined,
        positions=positions,
        biases=n.norm,
        trains=n.trains_base,
        cut=not reaches_all(kind, build.sequence),
        dropout=a.dropout > 0,
    )
    return EncoderAttentionForm(a.query_heads, width, joined, joined, joined, output, "eager", joined=form)


def _refuse_without_positions(build: Builder, kind: LayerKind) -> None:
    if kind.attention.relative_positions is None or not kind.attention.position_terms:
        raise UnsupportedRow("attention_scores", "no formula for DeBERTa without attention to relative positions yet")
    if build.numerics.attention == "flash":
        raise UnsupportedRow("attention_scores", "transformers has no flash attention for DeBERTa, only its own")


def _positions(
    build: Builder, kind: LayerKind, query: LinearForm, key: LinearForm
) -> tuple[PositionsForm, LinearForm, LinearForm]:
    """The form of DeBERTa's relative positions, and the projections of contents, named where positions share them."""
    a, n = kind.attention, build.numerics
    _refuse_without_positions(build, kind)
    own = {name: build.by_suffix.get(f"attention.self.pos_{name}_proj") for name in ("key", "query")}
    shared = not any(own.values())
    if shared:
        query, key = replace(query, shared="query"), replace(key, shared="key")
    of_key, of_query = (build.form_of(module) if module else None for module in own.values())
    positions = PositionsForm(
        rows=a.relative_positions or 0,
        width=build.architecture.hidden,
        heads=a.query_heads,
        dtype=n.stream,
        grad=n.trains_base,
        terms=a.position_terms,
        key=key if shared else of_key,
        query=query if shared else of_query,
        shared=shared,
        dropout=kind.dropout > 0,
        autocast=n.autocast,
    )
    return positions, query, key


def encoder_head_form(build: Builder, loss: str, *, trains: bool) -> EncoderHead:
    """The form of an encoder's end; refuses by name what has none."""
    architecture = build.architecture
    layout = ENCODERS[architecture.family]
    kind = architecture.layers[0]
    if architecture.head == MASKED:
        activation = layout.head_activation or kind.feed_forward.activation
        widens = build.numerics.autocast is not None
        return MaskedForm(
            _head_linear(build, layout.transform),
            build.norm(layout.head_norm or kind.norm),
            _decoder(build, layout),
            activation,
            widens,
            loss,
            wide_result=build.numerics.widens_results,
        )
    drops = kind.dropout > 0
    if architecture.head == SEQUENCE:
        dense, out = _head_linear(build, layout.dense), _head_linear(build, layout.out)
        pools = ".pooler" in layout.dense
        return PooledForm(dense, out, layout.activation, drops and layout.drops_first, drops, loss, pools=pools)
    if architecture.head == TOKENS:
        return PooledForm(None, _head_linear(build, "classifier"), drops_last=drops, loss=loss, reads=EACH)
    if architecture.head == QUESTION:
        if loss != WHOLE:
            raise UnsupportedRow("logits", f"no formula for the loss {loss!r} of a head that answers questions yet")
        out = _head_linear(build, "qa_outputs")
        return PooledForm(None, out, drops_last=drops and layout.compact, loss=loss, reads=EACH, answers=True)
    if architecture.head == BASE and not trains:
        return PooledForm(_head_linear(build, layout.pooler) if layout.pooler else None)
    if architecture.head == BASE:
        raise UnsupportedRow("logits", "a model without a head has no loss to train it by")
    heads = f"{MASKED}, {SEQUENCE}, {TOKENS}, {QUESTION} or, without training, {BASE}"
    raise UnsupportedRow("logits", f"no formula for a {architecture.head} head of an encoder yet; say head: {heads}")


def _decoder(build: Builder, layout: EncoderLayout) -> LinearForm:
    """The output embedding, whose weight may be that of the input embedding, and whose bias is a tensor of its own."""
    form = _head_linear(build, layout.decoder)
    return replace(form, outputs=build.architecture.vocabulary, dtype=build.numerics.head, bias=True)


def _head_linear(build: Builder, path: str) -> LinearForm:
    """A linear of the head; a copy of it that peft trains has its dtype."""
    module = _module(build, path)
    form = build.form_of(module)
    dtypes = build.numerics
    if dtypes.adapter is None or module.path not in build.adaptation.saved:
        return form
    return replace(form, dtype=dtypes.head, gradient=dtypes.head, trains=True, storage="plain", branch=None)


def _module(build: Builder, path: str) -> Module:
    return next(module for module in build.architecture.modules if module.path == path)
