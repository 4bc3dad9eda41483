"""The embeddings that a model's code holds while its layers run, and what embeddings save for backward."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.memory.architecture.model import Architecture, ModuleKind
from toolkit.memory.forms.builder import Builder
from toolkit.memory.formula.attention.attention_form import SCORES
from toolkit.memory.formula.embeddings import ROW as EMBEDDINGS
from toolkit.memory.formula.embeddings import EmbeddingsForm
from toolkit.memory.formula.inputs import STRIDE
from toolkit.memory.formula.layer import RESIDUAL
from toolkit.memory.packing import has_positions
from toolkit.memory.programs.programs import Opening
from toolkit.memory.size import BYTES, NOTHING, Parts, Size


def held_embeddings(build: Builder, embedding: Size, *, trains: bool) -> Size:
    """The embeddings that the model's code holds while its layers run; those of positions once for all sequences.

    In generation from padded rows, and in packed rows, each sequence has its own positions (formula/inputs.py).
    """
    layout = build.layout
    tokens = embedding.times(layout.embeddings or int(build.numerics.checkpointing == "false"))
    kept = build.numerics.trains_base and build.numerics.autocast is None  # the first layer's products save them
    if trains and layout.normed_sums and layout.embedding_norm and kept:
        tokens = Size()
    if trains and layout.rotary == "own" and build.architecture.embedding_dropout:
        tokens = embedding  # beside the result of dropout
    if trains and layout.embeddings and build.numerics.first_grad and _leaf(build):
        tokens = tokens.minus(embedding)  # which the graph holds anyway
    if not layout.positions:
        return tokens
    each = (build.numerics.padded and not trains) or has_positions(build.numerics.packing)
    return tokens.plus(embedding if each else Size(position=embedding.token))


def held_scores(build: Builder, *, trains: bool) -> Mapping[str, Size]:
    """The previous layer's probabilities, where the model's code holds a layer's output until the next has run.

    Without checkpoints the graph holds them anyway.
    """
    if trains and build.numerics.checkpointing == "false":
        return {}
    kind, *others = build.architecture.layers
    if not (kind.attention.alibi or kind.attention.written) or (kind.count == 1 and not others):
        return {}
    n = build.numerics
    values = n.autocast or n.stream
    if n.storage != "plain" and n.autocast is not None:  # products in the dtype of the norm's result
        values = "fp32"
    each = kind.attention.query_heads * BYTES[values]
    return {SCORES: Size(pair=each)}


def first_dtype(build: Builder) -> str:
    """The dtype of the first layer's input: autocast runs the norm of embeddings in float32."""
    wide = build.layout.embedding_norm and build.numerics.autocast is not None
    return "fp32" if wide else build.numerics.stream


def front_of(build: Builder) -> Mapping[str, Parts]:
    """What embeddings save for backward: the mask of their dropout, the input of their norm, and embeddings as a leaf.

    Frozen embeddings are made to require a gradient for checkpoints; the graph holds them where others are added.
    An adapter of theirs saves what it looked up (peft, tuners/lora/layer.py, Embedding.forward).
    """
    dtypes, width = build.numerics, build.architecture.hidden
    if not dtypes.first_grad:
        return {}
    mask = width * BYTES["bool"] if build.architecture.embedding_dropout else 0
    norm = width * BYTES[first_dtype(build)] + 2 * BYTES["fp32"] if build.layout.embedding_norm else 0
    leaf = _leaf(build)
    alone = norm and first_dtype(build) == dtypes.stream and not _adds_types(build)
    kept = mask + norm + (0 if alone else leaf) + _narrow(build)
    saved = Size(token=kept).plus(_looked_up(build))
    return {EMBEDDINGS: saved.parts()} if saved != NOTHING else {}


def _looked_up(build: Builder) -> Size:
    """What an adapter of the token embedding looked up, and autocast's copy of what that is multiplied by."""
    dtypes, rank = build.numerics, build.adaptation.rank
    if not build.adaptation.looks_up:
        return NOTHING
    if dtypes.autocast is None:
        return Size(token=rank * BYTES[dtypes.adapter or dtypes.stream])
    item = BYTES[dtypes.autocast]
    return Size(token=rank * item, fixed=rank * build.architecture.hidden * item)


def opening_of(build: Builder, held: Mapping[str, Size]) -> Opening | None:
    """How the embeddings come to be, where learned positions are added to them, and both keep their names (GPT-2).

    Not where their norm follows, or the code holds something else.
    """
    layout, n = build.layout, build.numerics
    if not layout.positions or layout.embedding_norm or set(held) != {RESIDUAL} or _narrow(build):
        return None
    each = n.padded or has_positions(n.packing)
    drops = build.architecture.embedding_dropout > 0
    width = build.architecture.hidden
    form = EmbeddingsForm(width, None, drops, leaf=n.first_grad and _leaf(build) > 0, tables=(each,), names=True)
    return Opening(form, n.stream, n.first_grad, frozenset({EMBEDDINGS}))


def linked_leaf(build: Builder) -> Mapping[str, Size]:
    """Embeddings as a leaf, and their gradient: whoever has a name for the pass's result or loss keeps both.

    Its graph ends in the leaf's AccumulateGrad, which holds the tensor (torch/csrc/autograd/functions/
    accumulate_grad.h); backward frees what nodes have saved, and gives a leaf a gradient. Embeddings that are frozen
    are a leaf for checkpoints (transformers, enable_input_require_grads).
    """
    n, a = build.numerics, build.adaptation
    if n.checkpointing == "false" or not n.first_grad or n.trains_base or a.rows or a.embeds or a.looks_up:
        return {}
    width = _token_width(build.architecture)
    return {EMBEDDINGS: Size(token=2 * width * BYTES[n.stream]).plus(_linked_sounds(build))}


def _token_width(architecture: Architecture) -> int:
    """The width of the token embeddings, of about as many rows as there are words: towers have tables before them."""
    tables = (one for one in architecture.modules if one.kind is ModuleKind.EMBEDDING)
    return min(tables, key=lambda one: abs(one.in_features - architecture.vocabulary)).out_features


def _linked_sounds(build: Builder) -> Size:
    """The same of what the first convolution before an encoder gives, for twice as many frames as it has positions."""
    architecture, n = build.architecture, build.numerics
    if not architecture.frames or not build.version.hooks_each:
        return Size()
    each = STRIDE * architecture.hidden * BYTES[n.autocast or n.stream]
    return Size(token=2 * each).of_length(architecture.frames)


def _leaf(build: Builder) -> int:
    """Bytes of a token's embedding that the graph holds as a leaf."""
    layout = build.layout
    others = layout.embeddings > 0 or layout.multiplied or layout.embedding_norm
    if not (others or build.architecture.embedding_dropout) or build.numerics.trains_base:
        return 0
    if build.adaptation.rows or build.adaptation.embeds or build.adaptation.looks_up:
        return 0
    return build.architecture.hidden * BYTES[build.numerics.stream]


def _adds_types(build: Builder) -> bool:
    """Whether embeddings of token types are added before the norm, which then keeps their sum."""
    return any(module.path.endswith("token_type_embeddings") for module in build.architecture.modules)


def _narrow(build: Builder) -> int:
    """Bytes of a token's embedding that a trained linear projects to the width of the layers (OPT 350M)."""
    found = next((m for m in build.architecture.modules if m.path.endswith("decoder.project_in")), None)
    trained = found is not None and build.numerics.trains_base
    return found.in_features * BYTES[build.numerics.stream] if found is not None and trained else 0
