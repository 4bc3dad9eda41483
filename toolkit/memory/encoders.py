"""The programs of an encoder: its embeddings, its layers, its end."""

from __future__ import annotations

from toolkit.memory.architecture import ModuleKind
from toolkit.memory.builder import Builder
from toolkit.memory.encoder_forms import embeddings_form, encoder_head_form, encoder_layer_form, kernel, mask_dtype
from toolkit.memory.encoder_layouts import ENCODERS
from toolkit.memory.formula.disentangled import POSITIONS, table_size
from toolkit.memory.formula.embeddings import embed
from toolkit.memory.formula.encoder_attention import MASK
from toolkit.memory.formula.layer import RESIDUAL
from toolkit.memory.lora import ALL_LINEAR, saved_modules
from toolkit.memory.moments import Programs
from toolkit.memory.program import Program, Stream, record_generation_head, record_head, record_inference, record_layer
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, Alive, Size
from toolkit.memory.tape import Tape
from toolkit.spec.setting import Setting


def encoder_programs(build: Builder, setting: Setting) -> Programs:
    """The programs of all layers, which are alike, and of the end; refuses by name what has none."""
    architecture, dtypes = build.architecture, build.numerics
    [kind] = architecture.layers
    form, head = encoder_layer_form(build, kind), encoder_head_form(build, trains=setting.trains)
    _refuse_reentry(build)
    _refuse_copied(build, setting)
    given = dtypes.stream if dtypes.autocast is None else "fp32"  # in which autocast norms the embeddings
    embedding = Size(token=architecture.hidden * BYTES[given])
    if not setting.trains:
        layers: tuple[Program, ...] = (record_inference(form, kind.count, dtypes.stream),)
        end = record_generation_head(head, architecture.hidden, layers[-1].result)
        return Programs(layers, end, embedding, _inputs(build, layers), _masks(build))
    stream = Stream(given, dtypes.first_grad, dtypes.checkpointing, dtypes.accumulates)
    first = record_layer(form, 1, stream)
    later = Stream(first.result, grad=True, checkpointing=stream.checkpointing, accumulates=stream.accumulates)
    layers = (first, *([record_layer(form, kind.count - 1, later)] if kind.count > 1 else []))
    end = record_head(head, architecture.hidden, later)
    return Programs(layers, end, embedding, _inputs(build, layers), _masks(build), _front(build))


def _refuse_reentry(build: Builder) -> None:
    """Every layer hands the norm of the relative positions a gradient: a graph that reentrant checkpoints free."""
    dtypes = build.numerics
    normed = any(module.path.endswith("encoder.LayerNorm") for module in build.architecture.modules)
    if dtypes.checkpointing == "reentrant" and normed and dtypes.trains_base:
        raise UnsupportedRow("relative_positions", "torch refuses DeBERTa's second layer under reentrant checkpointing")


def _refuse_copied(build: Builder, setting: Setting) -> None:
    """Of DistilBERT's head peft takes the first linear for a classifier too, and all-linear puts an adapter into it."""
    linears = [module.path for module in saved_modules(build.architecture) if module.kind is ModuleKind.LINEAR]
    if setting.lora is not None and setting.lora.targets == ALL_LINEAR and linears and setting.trains:
        raise UnsupportedRow("adapter_states", f"peft refuses all-linear here: it trains a copy of {linears[0]}")


def _front(build: Builder) -> Alive:
    """What the embeddings save until their backward."""
    tape = Tape(records=True)
    out = embed(tape, embeddings_form(build), build.numerics.stream, grad=build.numerics.first_grad)
    tape.drop(out)
    return tape.alive


def _inputs(build: Builder, layers: tuple[Program, ...]) -> Alive:
    """The inputs of layers that the model's code holds during the last, and that are not kept anyway.

    The first is the embeddings' result; DeBERTa's code collects them all.
    """
    first, later = layers[0], layers[-1]
    count = sum(program.count for program in layers)
    held = count - 1 if ENCODERS[build.architecture.family].holds_all else min(count - 1, 1)
    size = first.input.times(min(held, 1)).plus(later.input.times(max(held - 1, 0)))
    return {RESIDUAL: size}


def _masks(build: Builder) -> Alive:
    """The masks and positions that the model makes for all its layers; a mask of each row where they are padded.

    DeBERTa multiplies the mask of tokens with itself, in 64-bit integers, and norms the table of positions.
    """
    architecture, dtypes = build.architecture, build.numerics
    if not ENCODERS[architecture.family].disentangled:
        made = {"eager": mask_dtype(dtypes), "masked": "bool"}.get(kernel(dtypes))
        return {MASK: Size(pair=BYTES[made])} if made is not None else {}
    rows = architecture.layers[0].attention.relative_positions or 0
    table = table_size(rows, architecture.hidden, dtypes.stream)
    return {
        MASK: Size(pair=BYTES["int64"]),
        POSITIONS: table.plus(Size(square=BYTES["int64"])),
    }
