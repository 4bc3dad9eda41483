"""The programs of BART and its relatives: an encoder of tokens or sounds, and a decoder that attends to its result."""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest

from toolkit.memory.architecture.bart import KIN
from toolkit.memory.architecture.heads import CAUSAL
from toolkit.memory.forms.bart import (
    WHISPER,
    bart_head_form,
    bart_layer_form,
    encoded_dtype,
    ends_in_norm,
    keeps_encoded,
)
from toolkit.memory.forms.builder import Builder
from toolkit.memory.forms.layers import cache_of
from toolkit.memory.formula.embeddings import ROW as EMBEDDINGS
from toolkit.memory.formula.embeddings import EmbeddingsForm, embed
from toolkit.memory.formula.families.bart_ends import ConvolutionsForm, convolve
from toolkit.memory.formula.families.bart_kernels import EAGER
from toolkit.memory.formula.layer import RESIDUAL
from toolkit.memory.formula.norms import normalise
from toolkit.memory.formula.operations import drop_out, letting_go
from toolkit.memory.libraries.unfused_attention import ALL
from toolkit.memory.programs.layer_order import surroundings
from toolkit.memory.programs.program import (
    Stream,
    record_decoding,
    record_generation_head,
    record_head,
    record_inference,
    record_layer,
)
from toolkit.memory.programs.programs import Joint, Programs
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, Alive, Amounts, Parts, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import GRADIENTS
from toolkit.memory.tape.peaks import amounts
from toolkit.memory.tape.tape import Tape
from toolkit.spec.settings.setting import Setting

EACH = ("m2m_100", WHISPER)
"""Families whose decoders look up positions for each sequence."""
FAMILIES = (*KIN, WHISPER)
MASK = "attention_mask"


def bart_programs(build: Builder, setting: Setting) -> Programs:
    """The programs of both stacks and of the end; refuses by name what has none."""
    architecture, dtypes = build.architecture, build.numerics
    _refuse(build)
    encoder, decoder = architecture.layers
    forms = {kind.stack: bart_layer_form(build, kind) for kind in architecture.layers}
    embedding = Size(token=architecture.hidden * BYTES[dtypes.stream])
    encoded = _measured(embedding, architecture.frames)
    head = bart_head_form(build)
    if not setting.trains:
        before = record_inference(forms["encoder"], 1, _first_dtype(build))
        filling = record_inference(forms["decoder"], decoder.count, dtypes.stream, cache_of(build, setting))
        reading = record_decoding(forms["decoder"], decoder.count, dtypes.stream, copies_experts=False)
        end = record_generation_head(head, architecture.hidden, filling.result)
        return Programs(
            (filling,), end, embedding, {}, _masks(build), called={RESIDUAL: encoded}, before=(before,),
            decoding=(reading,), encoding=_encoding(build),
        )  # fmt: skip
    stream = Stream(_first_dtype(build), dtypes.first_grad, dtypes.checkpointing, dtypes.accumulates)
    layers, numbers = [], []
    front, middle = _front(build)
    for kind in (encoder, decoder):
        first = record_layer(forms[kind.stack], 1, stream)
        if kind is decoder:  # whose backward is the last that needs what lies between
            first = replace(first, kept=_with(first.kept, middle), stored=_with(first.stored, middle))
        later = replace(stream, dtype=first.result, grad=True)
        layers.append(first)
        numbers.append(len(layers) - 1)
        if kind.count > 1:
            layers.append(record_layer(forms[kind.stack], kind.count - 1, later))
            numbers += [len(layers) - 1] * (kind.count - 1)
    end = record_head(head, architecture.hidden, later)
    held = {RESIDUAL: _held(build, "decoder")}
    return Programs(
        tuple(layers), end, embedding, held, _masks(build), front, around=surroundings(numbers),
        joint=Joint(numbers[encoder.count], encoded, _between(build), shares=not architecture.frames),
    )  # fmt: skip


def _encoding(build: Builder) -> Alive:
    """What the encoder's code holds: embeddings, and a mask for padded rows."""
    dtypes = build.numerics
    mask = Size(pair=BYTES[dtypes.stream if dtypes.attention == EAGER else "bool"]) if dtypes.padded else Size()
    return {RESIDUAL: _held(build, "encoder"), MASK: mask}


def _held(build: Builder, stack: str) -> Size:
    """What a stack's code holds during its layers: embeddings of tokens, and of positions except those of a sound.

    An encoder's positions are looked up for each sequence, except where they are frozen.
    """
    architecture = build.architecture
    embedding = Size(token=architecture.hidden * BYTES[build.numerics.stream])
    if stack == "encoder" and architecture.frames:
        return embedding.of_length(architecture.frames)
    frozen = architecture.family in KIN and KIN[architecture.family].positions == "frozen"
    each = stack == "encoder" or architecture.family in EACH
    return embedding.plus(embedding if each and not frozen else Size(position=embedding.token))


def _measured(size: Size, frames: int) -> Size:
    return size.of_length(frames) if frames else size


def _refuse(build: Builder) -> None:
    if build.architecture.head != CAUSAL:
        raise UnsupportedRow("logits", f"no formula for a {build.architecture.head} head of an encoder-decoder yet")
    dtypes = build.numerics
    if dtypes.unfused == ALL:
        reason = "no formula for an encoder-decoder's sdpa in bfloat16 on GPUs before Ampere yet"
        raise UnsupportedRow("attention_scores", reason)
    if dtypes.padded and dtypes.attention == "flash":
        raise UnsupportedRow("attention_mask", "no formula for FlashAttention of an encoder-decoder's padded rows yet")
    if dtypes.padded and build.architecture.family == WHISPER:
        raise UnsupportedRow("attention_mask", "no formula for padded rows of Whisper yet")


def _first_dtype(build: Builder) -> str:
    """The dtype of the layers' input: autocast runs the norm of embeddings in float32."""
    normed = build.architecture.family in KIN and KIN[build.architecture.family].normed
    return "fp32" if normed and build.numerics.autocast is not None else build.numerics.stream


def _masks(build: Builder) -> Alive:
    """The masks of a decoder: for padded rows that of the encoder's tokens, and in eager attention its own."""
    dtypes = build.numerics
    if dtypes.attention != EAGER:
        return {MASK: Size(pair=BYTES["bool"])} if dtypes.padded else {}
    own = Size(pair=BYTES[dtypes.stream])
    return {MASK: own.times(2) if dtypes.padded else own}


def _with(alive: Amounts, more: Alive) -> Amounts:
    """The sum of two amounts."""
    added = amounts(more)
    return {row: _summed(alive.get(row, ()), added.get(row, ())) for row in (*alive, *(added.keys() - alive.keys()))}


def _summed(one: Parts, other: Parts) -> Parts:
    return tuple(map(sum, zip_longest(one, other, fillvalue=0)))


def _between(build: Builder) -> Amounts:
    """What the encoder's end saved, and the gradient of the decoder's positions, before the encoder's backward."""
    architecture, dtypes = build.architecture, build.numerics
    tape = Tape(records=True, length=architecture.frames)
    _end(build, tape)
    tape.unwind()
    rows = dict(tape.alive)
    tables = [one for one in architecture.modules if one.path.endswith("decoder.embed_positions") and one.trainable]
    if dtypes.trains_base and tables:
        rows[GRADIENTS] = Size(fixed=tables[0].elements * BYTES[dtypes.gradient])
    return amounts(rows)


def _end(build: Builder, tape: Tape) -> Buffer:
    """The encoder's result, normalized if its stack ends in a norm."""
    dtype = build.numerics.stream if ends_in_norm(build) else encoded_dtype(build)
    result = tape.new(RESIDUAL, build.architecture.hidden, dtype, grad=True)
    return letting_go(tape, result, normalise(tape, result, build.norm("layer"))) if ends_in_norm(build) else result


def _front(build: Builder) -> tuple[Alive, Alive]:
    """What is saved before the encoder's layers until their backward, and what between them and the decoder's."""
    architecture = build.architecture
    front = Tape(records=True, length=architecture.frames)
    _embedded(build, front, sound=architecture.frames > 0)
    ends = Tape(records=True, length=architecture.frames)
    result = _end(build, ends)
    if keeps_encoded(build):
        ends.save(result)
    ends.drop(result)
    words = Tape(records=True)
    _embedded(build, words, sound=False)
    rows = dict(ends.alive)
    for row, size in words.alive.items():
        rows[row] = rows.get(row, Size()).plus(size)
    return front.alive, rows


def _embedded(build: Builder, tape: Tape, *, sound: bool) -> None:
    architecture, dtypes = build.architecture, build.numerics
    dropout = architecture.layers[0].dropout > 0
    if sound:
        leaf = dtypes.first_grad and build.version.hooks_each
        form = ConvolutionsForm(
            architecture.bins, architecture.hidden, dtypes.stream, dtypes.trains_base, dtypes.autocast, leaf
        )
        result = convolve(tape, form)
        tape.drop(letting_go(tape, result, drop_out(tape, result, EMBEDDINGS)) if dropout else result)
        return
    if architecture.family in KIN and KIN[architecture.family].normed:
        normed = EmbeddingsForm(architecture.hidden, build.norm("layer"), dropout)
        tape.drop(embed(tape, normed, dtypes.stream, grad=dtypes.first_grad))
    elif dropout and dtypes.first_grad:
        tape.save(tape.new(EMBEDDINGS, architecture.hidden, "bool"))
    if dtypes.first_grad and not dtypes.trains_base:
        tape.save(tape.new(EMBEDDINGS, architecture.hidden, dtypes.stream))
    tape.unwind()
