"""The programs of Gemma 3n: from embeddings to several streams, its layers, and from the streams to one.

Source: transformers 5.23 modeling_gemma3n.py, Gemma3nTextModel.forward.
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture.gemma3n import FAMILY
from toolkit.memory.forms.builder import Builder
from toolkit.memory.forms.heads import head_form
from toolkit.memory.forms.layers import cache_of, keeping, masks
from toolkit.memory.forms.streams import count_of, merge_form, spread_form, streams_form
from toolkit.memory.formula.families.streams import StreamsForm
from toolkit.memory.formula.layer import RESIDUAL
from toolkit.memory.libraries.losses import loss_of
from toolkit.memory.programs.layer_order import Around, surroundings
from toolkit.memory.programs.own_inputs import OF_IMAGES, held_inputs, made_before, with_shared
from toolkit.memory.programs.program import (
    Program,
    Stream,
    record_decoding,
    record_generation_head,
    record_head,
    record_inference,
    record_layer,
    record_logits,
)
from toolkit.memory.programs.programs import Programs
from toolkit.memory.programs.training_layers import training_layers
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.held_embeddings import front_of
from toolkit.spec.settings.setting import Setting

FAMILIES = (FAMILY,)


def stream_programs(build: Builder, setting: Setting) -> Programs:
    """The programs of all parts, in order."""
    forms = [(streams_form(build, kind), kind.count) for kind in build.architecture.layers]
    return _training(build, setting, forms) if setting.trains else _inference(build, setting, forms)


def _inference(build: Builder, setting: Setting, forms: list[tuple[StreamsForm, int]]) -> Programs:
    architecture, dtype = build.architecture, build.numerics.stream
    cache, kept = cache_of(build, setting), [keeping(build, setting, kind) for kind in architecture.layers]
    layers = [record_inference(form, count, dtype, cache, how) for (form, count), how in zip(forms, kept, strict=True)]
    decoding = [
        record_decoding(form, count, dtype, copies_experts=False, keeping=how)
        for (form, count), how in zip(forms, kept, strict=True)
    ]
    first, last = (record_inference(form, 1, dtype) for form in (spread_form(build), merge_form(build)))
    numbers = (0, *(place + 1 for place in architecture.order), len(layers) + 1)
    return Programs(
        (first, *layers, last),
        record_generation_head(head_form(build, loss_of(setting), trains=False), architecture.hidden, dtype),
        _embedding(build),
        _held(build, trains=False),
        {"attention_mask": masks(build)},
        decoding=(first, *decoding, last),
        around=surroundings(numbers),
        before=made_before(build),
    )


def _training(build: Builder, setting: Setting, forms: list[tuple[StreamsForm, int]]) -> Programs:
    architecture, n = build.architecture, build.numerics
    if _sees(build) and n.trains_base:
        raise UnsupportedRow("embedding_states", "no formula for training Gemma 3n's vision tower yet")
    if n.storage != "plain":
        raise UnsupportedRow("weights", "Gemma 3n's code clips weights in training, which fails where they are packed")
    stream = Stream(n.stream, n.first_grad, "false", n.accumulates, steps=n.steps)
    spread, merge = spread_form(build), merge_form(build)
    flows = n.first_grad or n.trains_base or any(one.branch is not None for one in spread.others)
    first = record_layer(spread, 1, stream)
    inside = replace(stream, dtype=first.result, grad=flows, checkpointing=n.checkpointing)
    layers, later, around = training_layers(build, forms, replace(inside, caches=build.version.caches_in_training))
    last = record_layer(merge, 1, replace(later, checkpointing="false", caches=False))
    later = replace(later, dtype=last.result)
    head = head_form(build, loss_of(setting), trains=True)
    hidden = architecture.hidden
    end, logits = record_head(head, hidden, later), record_logits(head, hidden, later)
    programs = Programs(
        (first, *layers, last),
        end,
        _embedding(build),
        _held(build, trains=True),
        {"attention_mask": masks(build)},
        front_of(build),
        logits=logits,
        around=_shifted(around, layers),
        leads=True,
    )
    return with_shared(build, programs, forms, first.result)


def _shifted(around: tuple[Around, ...], layers: tuple[Program, ...]) -> tuple[Around, ...]:
    """What comes before and after each, with one program before the layers and one after them."""
    counts = tuple(one.count for one in layers)
    inner = [Around((1, *one.before, 0), (0, *one.after, 1)) for one in around]
    return Around((0,) * (len(counts) + 2), (0, *counts, 1)), *inner, Around((1, *counts, 0), (0,) * (len(counts) + 2))


def _embedding(build: Builder) -> Size:
    return Size(token=build.architecture.hidden * BYTES[build.numerics.stream])


def _held(build: Builder, *, trains: bool) -> dict[str, Size]:
    """Embeddings, the streams made of them and the last product, of which the model's code has names; and inputs.

    Around a text model that of images' embeddings has a name, too, besides that of sounds.

    Without checkpoints the graph holds what it needs of them: the streams themselves are in no operation's hands.
    """
    streams = count_of(build) + 1 + _sees(build)
    return {RESIDUAL: _embedding(build).times(streams), **held_inputs(build, trains=trains)}


def _sees(build: Builder) -> bool:
    """Whether there are towers beside the text model; their embeddings are made for every token and then discarded."""
    return build.architecture.class_name.endswith(OF_IMAGES)
