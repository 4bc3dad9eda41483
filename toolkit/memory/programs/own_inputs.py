"""Gemma 4's inputs for each layer, and its layers that attend to the keys of earlier ones.

Source: transformers 5.23 modeling_gemma4.py, Gemma4TextModel.forward and Gemma4Model.forward. The last layers, which
take the keys of earlier ones, get only the last token of a prompt (_maybe_slice_kv_shared_inputs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

from toolkit.memory.architecture import Architecture, LayerKind, Module
from toolkit.memory.forms.builder import Builder
from toolkit.memory.formula.attention.attention import rotate
from toolkit.memory.formula.attention.attention_form import STATES, AttentionForm
from toolkit.memory.formula.attention.attention_kernels import FLASH_KERNELS
from toolkit.memory.formula.families.gemma4 import keys_alone
from toolkit.memory.formula.families.own_inputs import ROW, OwnInputForm, OwnInputsForm
from toolkit.memory.formula.families.streams import StreamsForm, keys_of_streams
from toolkit.memory.formula.follow import AnyLayer
from toolkit.memory.formula.layer import RESIDUAL, LayerForm
from toolkit.memory.programs.program import CHECKPOINTS, Program, Stream, record_inference, record_layer
from toolkit.memory.programs.programs import Programs
from toolkit.memory.refusal import PADS, UnsupportedRow
from toolkit.memory.size import BYTES, NOTHING, Amounts, Parts, Size
from toolkit.memory.tape.peaks import ALONE, amounts
from toolkit.memory.tape.tape import Tape
from toolkit.spec.settings.setting import Setting

GATE = "per_layer_input_gate"
AS_THEY_ARE = ("sdpa", "varying", *FLASH_KERNELS)
"""Kernels that take keys with fewer heads than queries, and save them unrepeated."""
OF_IMAGES = "ForConditionalGeneration"
"""The end of the names of classes whose code holds the table's result while the text model runs."""


def own_input_form(build: Builder, kind: LayerKind) -> OwnInputForm | None:
    """The form of a layer's own input, if it has one."""
    if GATE not in build.by_suffix:
        return None
    return OwnInputForm(
        gate=build.linear(GATE),
        projection=build.linear("per_layer_projection"),
        norm=build.norm(kind.norm),
        activation=kind.feed_forward.activation,
        width=_projection(build).out_features,
        dtype=build.numerics.stream,
        grad=_flows(build),
    )


def refuse_unlike(architecture: Architecture, setting: Setting) -> None:
    """Raise for layers with their own inputs or with keys of earlier ones in settings that no formula covers."""
    shares = any(kind.attention.shares_keys for kind in architecture.layers)
    given = any(module.leaf == GATE for module in architecture.modules)
    if not shares and not given:
        return
    what = "inputs of their own for each layer" if given else "keys of an earlier layer"
    for known, covered in (
        ("one GPU", setting.parallel.gpus == 1),
        ("a cache that grows", setting.cache is None),
        ("transformers' code", setting.stack.trainer in PADS),
    ):
        if not covered:
            raise UnsupportedRow("activations", f"no formula for Gemma 4's layers with {what} yet, except with {known}")


def made_before(build: Builder) -> tuple[Program, ...]:
    """The program that makes the inputs of all layers in generation."""
    return (record_inference(_form(build), 1, build.numerics.stream),) if GATE in build.by_suffix else ()


def with_shared(build: Builder, programs: Programs, forms: Sequence[tuple[AnyLayer, int]], dtype: str = "") -> Programs:
    """The programs of a model in training with what all layers share: inputs of their own, and keys of earlier ones.

    `dtype` is that of what layers are given, where that is not the residual stream's.
    """
    inputs = _made_in_training(build)
    front, passing = _left_in_front(build, inputs, programs.front), programs.passing
    if inputs is not None and RESIDUAL in front:  # the embeddings, whose name the graph needs no more
        passing = {**passing, RESIDUAL: NOTHING}
    passing = {**passing, **_held_keys(build, forms)}
    lingering, before = _lingering_keys(build, forms, dtype), () if inputs is None else (inputs,)
    return replace(programs, front=front, passing=passing, before=before, inputs=inputs, lingering=lingering)


def _made_in_training(build: Builder) -> Program | None:
    """The program that makes the inputs of all layers in training, with its backward."""
    if GATE not in build.by_suffix:
        return None
    n = build.numerics
    return record_layer(_form(build), 1, Stream(n.stream, n.first_grad, "false", n.accumulates))


def _form(build: Builder) -> OwnInputsForm:
    projection = _projection(build)
    return OwnInputsForm(
        build.architecture.hidden,
        projection.out_features,
        build.form_of(projection),
        build.norm("rms"),
        table=build.numerics.trains_base,
    )


def _projection(build: Builder) -> Module:
    return next(m for m in build.architecture.modules if m.path.endswith("per_layer_model_projection"))


def _flows(build: Builder) -> bool:
    """Whether a gradient flows to the inputs of all layers."""
    n = build.numerics
    return n.trains_base or n.first_grad or build.form_of(_projection(build)).branch is not None


def held_inputs(build: Builder, *, trains: bool) -> Mapping[str, Size]:
    """The inputs of all layers, which the model's code holds, and around a text model the table's result.

    In training the graph holds the former.
    """
    if GATE not in build.by_suffix:
        return {}
    around = build.architecture.class_name.endswith(OF_IMAGES)
    width = _projection(build).out_features * (1 - trains + around) + build.architecture.hidden * around
    return {ROW: Size(token=width * BYTES[build.numerics.stream])}


def _left_in_front(build: Builder, program: Program | None, front: Amounts) -> Amounts:
    """What training leaves for backward before the first layer: what makes the inputs of all saves, and these.

    With checkpoints keys and values that layers share are kept by the model's code, which runs again with them. The
    embeddings themselves are those of the first checkpoint.
    """
    checkpoints = build.numerics.checkpointing != "false"
    left = [front]
    if program is not None:
        left.append({row: size for row, size in program.stored.items() if not (checkpoints and row == RESIDUAL)})
        given = _projection(build).out_features * BYTES[build.numerics.stream]
        left.append({ROW: Size(token=given).parts()})
    if checkpoints:
        left.append(_shared_keys(build))
    total: dict[str, Parts] = {}
    for row, parts in (item for one in left for item in one.items()):
        total[row] = tuple(map(sum, zip_longest(total.get(row, ()), parts, fillvalue=0)))
    return total


def _shared_keys(build: Builder) -> Amounts:
    """Keys and values of the last layer of each window that has its own."""
    kinds = [build.architecture.layers[place].attention for place in _giving(build.architecture)]
    width = sum(2 * one.key_value_heads * one.head_dim for one in kinds)
    n = build.numerics
    each = BYTES[n.stream if n.autocast is None or n.storage != "plain" else n.autocast]
    return {STATES: Size(token=width * each).parts()} if width else {}


def _giving(architecture: Architecture) -> tuple[int, ...]:
    """The kinds of the last layers of each window that have keys of their own, where later layers take these."""
    kinds = architecture.layers
    if not any(kind.attention.shares_keys for kind in kinds):
        return ()
    own = [place for place in architecture.order if not kinds[place].attention.shares_keys]
    return tuple({kinds[place].attention.window: place for place in own}.values())


def _lingering_keys(build: Builder, forms: Sequence[tuple[AnyLayer, int]], dtype: str = "") -> Amounts:
    """What made the keys and values of earlier layers again, which the model's code then holds with their graph.

    A checkpoint runs its layer with the dictionary that later layers take keys from. Without reentry what norms and
    products have saved stays; with it that is gone, but not the layer's input and the gradient of that.
    """
    n, giving = build.numerics, _giving(build.architecture)
    if n.checkpointing == "false" or not giving:
        return {}
    tape = Tape(records=True)
    for form in (forms[place][0] for place in giving):
        width = form.hidden if isinstance(form, StreamsForm) else build.architecture.hidden
        x = tape.new(CHECKPOINTS, width, dtype or n.stream, grad=True)
        if n.checkpointing == "reentrant":
            x.references += 1
            tape.gradient(x)
        elif isinstance(form, LayerForm) and isinstance(form.attention, AttentionForm):
            keys_alone(tape, x, form.norm, form.attention, rotate)
        elif isinstance(form, StreamsForm):
            keys_of_streams(tape, x, form)
    tape.unwind()
    return amounts(tape.alive)


def _held_keys(build: Builder, forms: Sequence[tuple[AnyLayer, int]]) -> Amounts:
    """Keys and values that the model's code holds for later layers, where the graph has kept copies of them alone.

    These are in another dtype, or repeated for every query head. With checkpoints they are in front.
    """
    n, giving = build.numerics, _giving(build.architecture)
    if n.checkpointing != "false" or not giving:
        return {}
    plain = n.stream if n.autocast is None or n.storage != "plain" else n.autocast
    total = 0
    for form in (forms[place][0] for place in giving):
        attention = form.attention if isinstance(form, LayerForm | StreamsForm) else None
        if not isinstance(attention, AttentionForm):
            continue
        repeats = attention.is_grouped and not attention.one_for_all and attention.kernel not in AS_THEY_ARE
        for dtype in ("fp32" if attention.wide_rotary else plain, plain):
            copied = repeats or n.autocast not in (None, dtype)
            total += attention.key_value_heads * attention.head_dim * BYTES[dtype] * copied
    return {STATES: Size(token=total).parts()}


def as_last(form: AnyLayer) -> AnyLayer | None:
    """The form of the last layer, where later ones give gradients to what it shares with them; else none."""
    if not isinstance(form, LayerForm | StreamsForm) or not isinstance(form.attention, AttentionForm):
        return None
    own, shares = form.own_input, form.attention.returns_gradients
    attention = replace(form.attention, last=shares)
    if isinstance(form, StreamsForm):
        return replace(form, attention=attention, own_input=replace(form.own_input, last=True))
    if own is None and not shares:
        return None
    return replace(form, attention=attention, own_input=None if own is None else replace(own, last=True))


def filling(kind: LayerKind, program: Program) -> Program:
    """The part of a prompt that a kind of layer processes: next to nothing with the keys of others."""
    if not kind.attention.shares_keys:
        return program
    return replace(program, forward=ALONE, kept={}, input=NOTHING)
