"""The programs of T5: an encoder, and a decoder whose layers all attend to its result."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import LayerKind, Module
from toolkit.memory.architecture.heads import CAUSAL
from toolkit.memory.architecture.t5 import EACH_LAYER
from toolkit.memory.forms.builder import Builder
from toolkit.memory.forms.layers import cache_of
from toolkit.memory.formula.attention.attention_form import SCORES
from toolkit.memory.formula.embeddings import ROW as EMBEDDINGS
from toolkit.memory.formula.families.t5 import T5Form
from toolkit.memory.formula.families.t5_bias import MASK, SDPA, T5AttentionForm, bias_size
from toolkit.memory.formula.families.t5_eager import OWN
from toolkit.memory.formula.families.t5_ends import T5HeadForm, stack_end
from toolkit.memory.formula.feed_forward import FeedForwardForm
from toolkit.memory.formula.layer import RESIDUAL
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm
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
from toolkit.memory.size import BYTES, Alive, Size
from toolkit.memory.tape.tape import Tape
from toolkit.memory.timeline.sizes import MASK_ALIGNMENT
from toolkit.memory.weights.numerics import Numerics
from toolkit.spec.settings.setting import Setting

FAMILIES = ("t5", "mt5", EACH_LAYER)
STACKS = ("encoder", "decoder")


def t5_programs(build: Builder, setting: Setting) -> Programs:
    """The programs of both stacks and of the end; refuses by name what has none."""
    architecture, dtypes = build.architecture, build.numerics
    _refuse(build, trains=setting.trains)
    encoder, decoder = architecture.layers
    forms = {kind.stack: _layer_form(build, kind, trains=setting.trains) for kind in architecture.layers}
    embedding = Size(token=architecture.hidden * BYTES[dtypes.stream])
    head = _head_form(build, decoder)
    if not setting.trains:
        with_bias, plain = _with_bias(forms["encoder"], each=architecture.family == EACH_LAYER)
        first = record_inference(with_bias, 1, dtypes.stream)
        before = (first, record_inference(plain, 1, first.result))
        counts = _by_dtype(decoder.count, dtypes.stream, first.result)
        filling = [record_inference(forms["decoder"], count, one, cache_of(build, setting)) for one, count in counts]
        reading = [record_decoding(forms["decoder"], count, one, copies_experts=False) for one, count in counts]
        end = record_generation_head(head, architecture.hidden, first.result)
        held = {RESIDUAL: embedding}
        return Programs(tuple(filling), end, embedding, held, {}, before=before, decoding=tuple(reading))
    stream = Stream(dtypes.stream, dtypes.first_grad, dtypes.checkpointing, dtypes.accumulates)
    later = replace(stream, dtype=record_layer(forms["encoder"], 1, stream).result, grad=True)
    parts = {
        kind.stack: [
            record_layer(form, count, later if index else stream)
            for index, (form, count) in enumerate(_in_training(forms[kind.stack], kind.count, dtypes))
        ]
        for kind in (encoder, decoder)
    }
    layers = [*parts["encoder"], *parts["decoder"]]
    numbers = [number for number, one in enumerate(layers) for _ in range(one.count)]
    joint = Joint(len(parts["encoder"]), embedding, {})
    end = record_head(head, architecture.hidden, later)
    held = {RESIDUAL: embedding}
    if dtypes.checkpointing == "false":  # else the checkpoints hold it
        held[SCORES] = bias_size(decoder.attention.query_heads, dtypes.stream)
    return Programs(
        tuple(layers), end, embedding, held, _masks(build), _front(build), around=surroundings(numbers), joint=joint
    )


def _by_dtype(count: int, first: str, later: str) -> list[tuple[str, int]]:
    """The dtypes of the layers' inputs, each with a count: in float16 the float32 `wo` widens the stream."""
    alike = [(first, count)] if first == later else [(first, 1), (later, count - 1)]
    return [(dtype, number) for dtype, number in alike if number]


def _masks(build: Builder) -> Alive:
    """The masks of the decoder: for padded rows that of the encoder's tokens, and in eager attention its own."""
    dtypes = build.numerics
    if dtypes.attention == SDPA or build.version.t5_attends == OWN:
        return {MASK: _mask(build).times(1 if dtypes.attention == SDPA else len(STACKS))}
    return {MASK: _mask(build).plus(Size(pair=BYTES[dtypes.stream]))}


def _mask(build: Builder) -> Size:
    """The mask of a stack's tokens for padded rows."""
    dtypes = build.numerics
    made = "bool" if dtypes.attention == SDPA else dtypes.stream
    return Size(pair=BYTES[made]) if dtypes.padded else Size()


def _refuse(build: Builder, *, trains: bool) -> None:
    dtypes = build.numerics
    if trains and build.architecture.family == EACH_LAYER:
        raise UnsupportedRow("attention_scores", "no formula for training umT5, whose every layer has biases, yet")
    if build.architecture.head != CAUSAL:
        raise UnsupportedRow("logits", f"no formula for a {build.architecture.head} head of T5 yet")
    if dtypes.attention == "flash" and build.version.t5_attends != OWN:
        raise UnsupportedRow("attention_scores", "transformers has no flash attention for T5")
    if dtypes.unfused == ALL and not build.version.t5_attends:
        raise UnsupportedRow("attention_scores", "no formula for T5's biases in bfloat16 on GPUs before Ampere yet")
    if dtypes.padded and not build.version.lays_biases_out:
        raise UnsupportedRow("attention_mask", "no formula for padded rows of T5 before transformers 5.20 yet")
    if build.version.t5_attends == OWN and dtypes.trains_base and dtypes.checkpointing != "false":
        raise UnsupportedRow(
            "attention_scores", "no formula for checkpoints of T5's trained biases before transformers 5.15 yet"
        )
    if dtypes.loaded == "fp16" and (trains or dtypes.autocast is not None):
        raise UnsupportedRow("feed_forward_states", "no formula for training T5 in float16 yet: wo stays float32")


def _with_bias(form: T5Form, *, each: bool = False) -> tuple[T5Form, T5Form]:
    """The first layer of a stack, which computes the bias, and the others, which do so if `each` has its own."""
    first = replace(form, attention=replace(form.attention, makes_bias=True, each_bias=each))
    return first, first if each else form


def _in_training(form: T5Form, count: int, dtypes: Numerics) -> list[tuple[T5Form, int]]:
    """The first two layers of a stack, the middle ones, and the last, whose bias gets no gradient from later layers.

    Checkpoints hold the first layer's bias from the second layer on; zeros that are a leaf have their own gradient.
    """
    first, other = _with_bias(form)
    runs_again, reenters = dtypes.checkpointing != "false", dtypes.checkpointing == "reentrant"
    others = min(1, count - 1), count - 3, min(1, count - 2)  # the second, those in the middle, the last
    each = [(first, 1), *((other, number) for number in others if number > 0)]
    found = []
    for index, (one, number) in enumerate(each):
        of_first, pending = index == 0, index < len(each) - 1
        attention = replace(
            one.attention,
            trains_bias=dtypes.trains_base or (reenters and not of_first),  # what a checkpoint gives has a graph
            remade=runs_again and of_first, detaches=reenters, pending=pending, saves=runs_again and index == 1,
        )  # fmt: skip
        cross = one.cross and replace(
            one.cross, trains_bias=runs_again, remade=runs_again and of_first, detaches=reenters, pending=pending,
            saves=runs_again and index == int(reenters),
        )  # fmt: skip
        found.append((replace(one, attention=attention, cross=cross), number))
    return found


def _layer_form(build: Builder, kind: LayerKind, *, trains: bool) -> T5Form:
    decodes = kind.stack == "decoder"
    stem = f"{kind.stack}.block.{{}}.layer"
    part = kind.feed_forward
    feed = f"{stem}.{2 if decodes else 1}.DenseReluDense"
    down = _linear(build, f"{feed}.wo")
    if build.numerics.loaded == "fp16":  # a module that transformers keeps in float32 then (_keep_in_fp32_modules)
        down = replace(down, dtype="fp32")
    up, gate = (f"{feed}.wi_1", _linear(build, f"{feed}.wi_0")) if part.gated else (f"{feed}.wi", None)
    return T5Form(
        hidden=build.architecture.hidden,
        attention=replace(
            _attention(build, kind, f"{stem}.0.SelfAttention", "masked" if decodes else "plain"),
            holds_bias=not decodes and not trains,
        ),
        cross=_attention(build, kind, f"{stem}.1.EncDecAttention", "zeros") if decodes else None,
        feed_forward=FeedForwardForm(_linear(build, up), down, part.activation, gate),
        norm=_norm(build),
        dropout=kind.dropout > 0,
        stream=build.numerics.stream,
        begins=decodes and not trains,
    )


def _attention(build: Builder, kind: LayerKind, path: str, bias: str) -> T5AttentionForm:
    query, key, value, output = (_linear(build, f"{path}.{name}") for name in "qkvo")
    dtypes = build.numerics
    heads = kind.attention.query_heads
    kernel = build.version.t5_attends or dtypes.attention
    form = T5AttentionForm(heads, query, key, value, output, bias, autocast=dtypes.autocast, kernel=kernel)
    pads = build.sequence % MASK_ALIGNMENT != 0
    return replace(form, padded=dtypes.padded, wide="" if bias == "zeros" else dtypes.stream, pads=pads)


def _linear(build: Builder, path: str) -> LinearForm:
    return build.form_of(_module(build, path))


def _module(build: Builder, path: str) -> Module:
    return next(module for module in build.architecture.modules if module.path == path)


def _norm(build: Builder) -> NormForm:
    return build.norm("t5")


def _head_form(build: Builder, kind: LayerKind) -> T5HeadForm:
    scales = build.architecture.scales_output
    wide = build.numerics.widens_results
    return T5HeadForm(_norm(build), build.output_weight(), kind.dropout > 0, scales, not _keeps(build), wide)


def _keeps(build: Builder) -> bool:
    """Whether the encoder's result itself is kept: by trained projections of its dtype, or by checkpoints."""
    n = build.numerics
    return n.checkpointing != "false" or (n.trains_base and n.autocast in (None, n.stream))


def _front(build: Builder) -> Alive:
    """What is saved outside the layers until their backward: by embeddings, the encoder's end, and positions.

    Attention to the encoder's result shares one bias of zeros. A trained bias saves the indices of its rows. What
    checkpoints hold is counted with the layers.
    """
    architecture, dtypes = build.architecture, build.numerics
    dropout = architecture.layers[0].dropout > 0
    tape = Tape(records=True)
    result = stack_end(
        tape, tape.new(RESIDUAL, architecture.hidden, dtypes.stream, grad=True), _norm(build), dropout=dropout
    )
    if _keeps(build):
        tape.save(result)
    tape.drop(result)
    rows = dict(tape.alive)
    width = architecture.hidden
    mask = width * BYTES["bool"] if dropout and dtypes.first_grad else 0
    leaf = width * BYTES[dtypes.stream] if dtypes.first_grad and not dtypes.trains_base else 0
    rows[EMBEDDINGS] = Size(token=len(STACKS) * (mask + leaf))
    rows[SCORES] = _biases(build)
    if dtypes.checkpointing != "false" or (dtypes.trains_base and dtypes.attention == SDPA):
        rows[MASK] = _mask(build)  # the encoder's, by which the gradient of its bias goes
    return rows


def _biases(build: Builder) -> Size:
    """The saved zeros; where autocast casts them, each layer saves its copy instead. Eager attention saves none.

    None are saved for padded rows, whose zeros get a mask in each layer, or for rows that the kernel has to pad.
    """
    dtypes, heads = build.numerics, build.architecture.layers[0].attention.query_heads
    states = dtypes.stream if dtypes.storage != "plain" else dtypes.autocast or dtypes.stream
    zeros = bias_size(heads, states)
    if dtypes.checkpointing != "false":
        return Size()
    attends = build.version.t5_attends or dtypes.attention
    as_they_are = states == (dtypes.autocast or states) and not dtypes.padded and build.sequence % MASK_ALIGNMENT == 0
    kept = zeros if attends == SDPA and as_they_are else Size()
    return kept.plus(Size(square=len(STACKS) * BYTES["int64"])) if dtypes.trains_base else kept
