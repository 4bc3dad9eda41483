"""Gemma 4's inputs for each layer, and its layers that attend to the keys of earlier ones: how they generate.

Source: transformers 5.23 modeling_gemma4.py, Gemma4TextModel.forward and Gemma4Model.forward. Of a prompt the last
layers, which take the keys of earlier ones, are given the last token alone (_maybe_slice_kv_shared_inputs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from toolkit.memory.architecture import LayerKind
from toolkit.memory.forms.builder import Builder
from toolkit.memory.formula.own_inputs import ROW, OwnInputForm, OwnInputsForm
from toolkit.memory.peaks import ALONE
from toolkit.memory.program import Program, record_inference
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, NOTHING, Size
from toolkit.spec.setting import Setting

GATE = "per_layer_input_gate"
OF_IMAGES = "ForConditionalGeneration"
"""The end of the name of a class whose code holds what the table gives while the text model runs."""


def own_input_form(build: Builder, kind: LayerKind) -> OwnInputForm | None:
    """What a layer does with an input of its own, where it has one."""
    if GATE not in build.by_suffix:
        return None
    projection = build.linear("per_layer_projection")
    return OwnInputForm(build.linear(GATE), projection, build.norm(kind.norm), kind.feed_forward.activation)


def refuse_unlike(build: Builder, setting: Setting) -> None:
    """Raise where layers have inputs of their own, or keys of earlier ones, and no formula follows what is done."""
    shares = any(kind.attention.shares_keys for kind in build.architecture.layers)
    if not shares and GATE not in build.by_suffix:
        return
    what = "inputs of their own for each layer" if GATE in build.by_suffix else "keys of an earlier layer"
    for known, covered in (
        ("generation", not setting.trains),
        ("one GPU", setting.parallel.gpus == 1),
        ("a cache that grows", setting.cache is None),
    ):
        if not covered:
            raise UnsupportedRow("activations", f"no formula for layers of Gemma 4 with {what} but in {known} yet")


def made_before(build: Builder) -> tuple[Program, ...]:
    """The program that makes the inputs of all layers."""
    if GATE not in build.by_suffix:
        return ()
    projection = next(m for m in build.architecture.modules if m.path.endswith("per_layer_model_projection"))
    form = OwnInputsForm(
        build.architecture.hidden, projection.out_features, build.form_of(projection), build.norm("rms")
    )
    return (record_inference(form, 1, build.numerics.stream),)


def held_inputs(build: Builder) -> Mapping[str, Size]:
    """The inputs of all layers, which the model's code holds, and around a text model what the table gave."""
    if GATE not in build.by_suffix:
        return {}
    projection = next(m for m in build.architecture.modules if m.path.endswith("per_layer_model_projection"))
    around = build.architecture.class_name.endswith(OF_IMAGES)
    width = projection.out_features * (1 + around) + build.architecture.hidden * around
    return {ROW: Size(token=width * BYTES[build.numerics.stream])}


def filling(kind: LayerKind, program: Program) -> Program:
    """What a kind of layer takes of a prompt: those that take the keys of others, next to nothing."""
    if not kind.attention.shares_keys:
        return program
    return replace(program, forward=ALONE, kept={}, input=NOTHING)
