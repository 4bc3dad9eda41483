"""The forms of Gemma 3n's layers, and of the operations before and after them: what tapes are recorded from."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import LayerKind
from toolkit.memory.forms.builder import Builder
from toolkit.memory.forms.layers import attention_form
from toolkit.memory.formula.families.stream_ends import MergeForm, SpreadForm
from toolkit.memory.formula.families.streams import StreamsForm
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.sparse_feed_forward import SparseForm
from toolkit.memory.programs.own_inputs import own_input_form

SPREADS, MERGES = "altup_projections", "altup_unembed_projections"
ALTUP, LAUREL = "altup", "laurel"


def streams_form(build: Builder, kind: LayerKind) -> StreamsForm:
    """The form of one kind of layer."""
    build = build.of_layer(kind.sample)
    layout, own = build.layout, own_input_form(build, kind)
    if own is None:
        raise TypeError("a layer without an input of its own")
    width, norm = build.architecture.hidden, build.norm(kind.norm, 0)
    bare = replace(build.norm("bare rms"), trains=False)
    flows = kind.attention.shares_keys and build.numerics.checkpointing != "reentrant"
    return StreamsForm(
        hidden=width * count_of(build),
        width=width,
        count=count_of(build),
        norm=norm,
        attention=replace(attention_form(build, kind), value_norm=bare, returns_gradients=flows),
        around=(build.linear(f"{LAUREL}.linear_left"), build.linear(f"{LAUREL}.linear_right")),
        feed_forward=SparseForm(
            build.linear(layout.gate),
            build.linear(layout.up),
            build.linear(layout.down),
            kind.feed_forward.activation,
            kind.feed_forward.sparse,
        ),
        router=build.linear(f"{ALTUP}.modality_router"),
        predicts=build.linear(f"{ALTUP}.prediction_coefs"),
        corrects=build.linear(f"{ALTUP}.correction_coefs"),
        own_input=own,
    )


def count_of(build: Builder) -> int:
    """The number of streams."""
    return len(_others(build, SPREADS)) + 1


def spread_form(build: Builder) -> SpreadForm:
    """The form of the operations that make streams from embeddings."""
    return SpreadForm(build.architecture.hidden, _others(build, SPREADS))


def merge_form(build: Builder) -> MergeForm:
    """The form of the operations that merge all streams into one."""
    return MergeForm(build.architecture.hidden * count_of(build), _others(build, MERGES))


def _others(build: Builder, name: str) -> tuple[LinearForm, ...]:
    found = (one for one in build.architecture.modules if one.path.endswith(f"{name}.{{}}"))
    return tuple(build.form_of(one) for one in found for _ in one.layers)
