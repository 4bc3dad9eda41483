"""The programs of an encoder: its embeddings, its layers, its end."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import ModuleKind
from toolkit.memory.architecture.heads import QUESTION, TOKENS
from toolkit.memory.forms.builder import Builder
from toolkit.memory.forms.encoders import (
    embedding_width,
    embeddings_form,
    encoder_head_form,
    encoder_layer_form,
    kernel,
    mask_dtype,
)
from toolkit.memory.formula.attention.attention_form import SCORES
from toolkit.memory.formula.attention.disentangled import MASK, POSITIONS, table_size
from toolkit.memory.formula.embeddings import embed
from toolkit.memory.formula.families.encoder_layer import EncoderLayerForm
from toolkit.memory.formula.layer import RESIDUAL
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.layouts.encoders import ENCODERS
from toolkit.memory.libraries.losses import loss_of
from toolkit.memory.programs.layer_order import surroundings
from toolkit.memory.programs.program import (
    Program,
    Stream,
    begun_sums,
    inputs_of,
    record_generation_head,
    record_head,
    record_inference,
    record_layer,
    record_logits,
)
from toolkit.memory.programs.programs import Opening, Programs
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, Alive, Amounts, Size
from toolkit.memory.tape.gradients import ADDED, ADDED_ANEW, BEGUN, ENDED, ENDED_ANEW
from toolkit.memory.tape.peaks import amounts
from toolkit.memory.tape.tape import Tape
from toolkit.memory.weights.lora import ALL_LINEAR
from toolkit.memory.weights.saved import saved_modules
from toolkit.spec.settings.setting import Setting


def encoder_programs(build: Builder, setting: Setting) -> Programs:
    """The programs of the layers, which are all equal, and of the end; refuses by name what has none."""
    architecture, dtypes = build.architecture, build.numerics
    [kind] = architecture.layers
    form, head = encoder_layer_form(build, kind), encoder_head_form(build, loss_of(setting), trains=setting.trains)
    if form.shares:
        _refuse_sharing(build)
    _refuse_reentry(build)
    _refuse_biased(build)
    _refuse_copied(build, setting)
    given = dtypes.stream if dtypes.autocast is None else "fp32"  # in which autocast norms the embeddings
    embedding = Size(token=embedding_width(build) * BYTES[given])
    if embeddings_form(build).project is not None:
        given = dtypes.autocast or dtypes.stream
    if not setting.trains:
        layers: tuple[Program, ...] = (record_inference(form, kind.count, dtypes.stream),)
        end = record_generation_head(head, architecture.hidden, layers[-1].result)
        return Programs(layers, end, embedding, _inputs(build, layers), _masks(build))
    stream = Stream(given, dtypes.first_grad, dtypes.checkpointing, dtypes.accumulates)
    layers = (_sharing_layers if form.shares else _layers)(form, kind.count, stream)
    around = surroundings([place for place, one in enumerate(layers) for _ in range(one.count)]) if form.shares else ()
    later = _later(stream, layers[0])
    end, logits = record_head(head, architecture.hidden, later), record_logits(head, architecture.hidden, later)
    masks = _masks(build)
    front, opening = _front(build)
    if form.attention.kernel == "given":  # the bias itself, which every layer saves a view of
        masks, front = {}, {**front, **masks}
    passing = _inputs(build, layers)
    named = _named(build, layers)
    return Programs(
        layers, end, embedding, passing, masks, front, opening, logits=logits, around=around, named_inputs=named
    )


def _layers(form: EncoderLayerForm, count: int, stream: Stream) -> tuple[Program, ...]:
    """The first layer, and all others."""
    first = record_layer(form, 1, stream)
    return (first, *([record_layer(form, count - 1, _later(stream, first))] if count > 1 else []))


def _sharing_layers(form: EncoderLayerForm, count: int, stream: Stream) -> tuple[Program, ...]:
    """Layers with shared weights: the last begins the sums of their gradients, the first gives them to the weights.

    Autocast copies the weights once, in the first layer; all others use the copies, and sum up their gradients.
    """
    if count == 1:
        return _layers(form, count, stream)
    copied = _of_copies(form)
    begins = replace(_later(stream, record_layer(form, 1, stream)), sums=BEGUN)
    sums = begun_sums(copied, begins)
    first = record_layer(form, 1, replace(stream, sums=ENDED if count > 2 else ENDED_ANEW, sum_sizes=sums))
    others = record_layer(copied, count - 3, replace(begins, sums=ADDED, sum_sizes=sums))
    second = record_layer(copied, 1 if count > 2 else 0, replace(begins, sums=ADDED_ANEW, sum_sizes=sums))
    last = record_layer(copied, 1, begins)
    return (first, *(program for program in (others, second, last) if program.count > 0))


def _of_copies(form: EncoderLayerForm) -> EncoderLayerForm:
    """The form of a layer whose trained weights autocast has already copied; unchanged where it has not."""
    dtype, up = form.attention.autocast, form.feed_forward.up
    if dtype is None or not up.trains or up.dtype == dtype:
        return form

    def copied(linear: LinearForm) -> LinearForm:
        return replace(linear, dtype=dtype, gradient=dtype)

    a, f = form.attention, form.feed_forward
    attention = replace(a, query=copied(a.query), key=copied(a.key), value=copied(a.value), output=copied(a.output))
    return replace(form, attention=attention, feed_forward=replace(f, up=copied(f.up), down=copied(f.down)))


def _later(stream: Stream, first: Program) -> Stream:
    """How the layers after the first meet the stream."""
    return replace(stream, dtype=first.result, grad=True)


def _refuse_reentry(build: Builder) -> None:
    """Raise for DeBERTa with reentrant checkpoints: they free the shared graph of the relative positions' norm."""
    dtypes = build.numerics
    normed = any(module.path.endswith("encoder.LayerNorm") for module in build.architecture.modules)
    if dtypes.checkpointing == "reentrant" and normed and dtypes.trains_base:
        raise UnsupportedRow("relative_positions", "torch refuses DeBERTa's second layer under reentrant checkpointing")


def _refuse_sharing(build: Builder) -> None:
    """Raise for layers with shared weights that no formula follows."""
    if build.numerics.checkpointing != "false":
        raise UnsupportedRow("layer_inputs", "transformers has no gradient checkpointing for ALBERT")
    if any(module.count > 1 for module in build.architecture.modules):
        raise UnsupportedRow("gradients", "no formula for several groups of layers that share weights yet")


def _refuse_biased(build: Builder) -> None:
    """Raise for what MPNet's code does not have, or no formula covers."""
    dtypes = build.numerics
    if not ENCODERS[build.architecture.family].biases:
        return
    if dtypes.checkpointing != "false":
        raise UnsupportedRow("layer_inputs", "transformers has no gradient checkpointing for MPNet")
    if dtypes.attention == "flash":
        raise UnsupportedRow("attention_scores", "transformers has no flash attention for MPNet")


def _refuse_copied(build: Builder, setting: Setting) -> None:
    """Raise for all-linear where peft trains a copy of a head's linear, and then puts an adapter into the copy.

    It does so with the first linear of DistilBERT's head, which it takes for a classifier, and with token classifiers.
    """
    saved, tags = saved_modules(build.architecture), build.architecture.head in (QUESTION, TOKENS)
    linears = [module.path for module in saved if tags or module.kind is ModuleKind.LINEAR]
    if setting.lora is not None and setting.lora.targets == ALL_LINEAR and linears and setting.trains:
        raise UnsupportedRow("adapter_states", f"peft refuses all-linear here: it trains a copy of {linears[0]}")


def _front(build: Builder) -> tuple[Amounts, Opening | None]:
    """What the embeddings save until their backward, and how; an adapter on them depends on its rank.

    A linear behind them has gradients that are counted with theirs; DeBERTa's tables are not followed.
    """
    tape = Tape(records=True)
    form, dtypes = embeddings_form(build), build.numerics
    out = embed(tape, form, dtypes.stream, grad=dtypes.first_grad)
    tape.drop(out)
    rows = dict(tape.alive)
    followed = form.project is None and not ENCODERS[build.architecture.family].disentangled
    opening = Opening(form, dtypes.stream, dtypes.first_grad, frozenset(rows)) if followed else None
    if ENCODERS[build.architecture.family].biases and build.numerics.trains_base:
        rows[SCORES] = Size(square=BYTES["int64"])  # which row of the biases each pair has
    return amounts(rows), opening


def _inputs(build: Builder, layers: tuple[Program, ...]) -> Alive:
    """The inputs of layers that the model's code holds during the last layer, unless they are saved anyway.

    The first is the embeddings' result; DeBERTa's code collects them all.
    """
    if ENCODERS[build.architecture.family].shares:  # its code has one name for the stream, and one for the embeddings
        return {RESIDUAL: Size(token=embedding_width(build) * BYTES[build.numerics.stream])}
    return {RESIDUAL: inputs_of(layers, _named(build, layers))}


def _named(build: Builder, layers: tuple[Program, ...]) -> int:
    """How many of these inputs there are."""
    layout, count = ENCODERS[build.architecture.family], sum(program.count for program in layers)
    if layout.shares:
        return 0
    return count - 1 if layout.holds_all else min(count - 1, 1)


def _masks(build: Builder) -> Alive:
    """The masks and positions that the model makes for all its layers, with a mask per row where rows are padded.

    DeBERTa multiplies the token mask with itself, in 64-bit integers, and normalizes the table of positions.
    """
    architecture, dtypes = build.architecture, build.numerics
    if ENCODERS[architecture.family].biases:
        biases = Size(pair=architecture.layers[0].attention.query_heads * BYTES[dtypes.embedding])
        made = mask_dtype(dtypes)
        return {SCORES: biases, **({MASK: Size(pair=BYTES[made])} if made is not None else {})}
    if not ENCODERS[architecture.family].disentangled:
        made = {"eager": mask_dtype(dtypes), "masked": "bool"}.get(kernel(build))
        if dtypes.adds_masks:  # eager attention adds one that is as long as a row, sdpa has a bias of all pairs
            made = mask_dtype(dtypes) if dtypes.attention == "sdpa" else None
        return {MASK: Size(pair=BYTES[made])} if made is not None else {}
    rows = architecture.layers[0].attention.relative_positions or 0
    if ENCODERS[architecture.family].joined is not None:  # whose table is the model's own
        rows = 0
    table = table_size(rows, architecture.hidden, dtypes.stream)
    return {
        MASK: Size(pair=BYTES["int64"]),
        POSITIONS: table.plus(Size(square=BYTES["int64"])),
    }
