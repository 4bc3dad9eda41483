"""The forms of GPT-J, CodeGen, GPT-Neo and MPT, whose attention writes out its scores; and what each layer keeps."""

from __future__ import annotations

from collections.abc import Mapping

from packaging.version import Version

from toolkit.frozen import frozen
from toolkit.memory.architecture import LayerKind
from toolkit.memory.forms.builder import Builder
from toolkit.memory.forms.feed_forward import dense_form
from toolkit.memory.formula.attention.pair_rotary import PairsForm
from toolkit.memory.formula.attention.written_scores import BIAS, FILL, MASK, SCALE, WrittenForm
from toolkit.memory.formula.families.written_layer import WrittenLayerForm
from toolkit.memory.libraries.versions import older
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, Alive, Size
from toolkit.spec.fields.packing import UNPACKED
from toolkit.spec.settings.setting import Setting


@frozen
class _Code:
    """In what the code of one family differs from that of another."""

    steps: tuple[str, ...]
    floats: bool = True
    gathers: bool = False
    angles: str = ""  # of rotary embedding: those of the stream's dtype, or float32
    copies_table: bool = False


CODES: Mapping[str, _Code] = {
    "codegen": _Code((MASK, SCALE), gathers=True, angles="fp32"),
    "gpt_neo": _Code((FILL, MASK)),
    "gptj": _Code((SCALE, MASK), copies_table=True),
    "mpt": _Code((SCALE, BIAS, FILL), floats=False),
}
"""The families."""

MPT = "mpt"
MASKS = "attention_mask"
READ_SINCE = Version("5")


def refuse_unread(setting: Setting, family: str) -> None:
    """Raise for releases whose code of these families is another, and for rows that have positions of their own."""
    code = CODES.get(family)
    if code is None:
        return
    turns = bool(code.angles) or code.copies_table
    for what, covered in (
        (f"{family} of transformers before {READ_SINCE}", not older(setting, "transformers", READ_SINCE)),
        (f"padded rows of {family} that generate", setting.trains or not (setting.padding and turns)),
        (f"packed rows of {family}", setting.packing == UNPACKED),
    ):
        if not covered:
            raise UnsupportedRow("attention_scores", f"no formula for {what} yet")


def written_layer_form(build: Builder, kind: LayerKind) -> WrittenLayerForm:
    """The form of one kind of layer."""
    n, layout, code = build.numerics, build.layout, CODES[build.architecture.family]
    if n.attention == "flash":
        raise UnsupportedRow("attention_states", f"no formula for FlashAttention in {build.architecture.family} yet")
    if n.padded and build.architecture.family == "mpt":
        raise UnsupportedRow("attention_mask", "no formula for padded rows of mpt yet")
    fused = build.linear(layout.fused) if layout.fused is not None else None
    attention = WrittenForm(
        hidden=build.architecture.hidden,
        heads=kind.attention.query_heads,
        projections=fused or tuple(build.linear(name) for name in (layout.query, layout.key, layout.value)),
        output=build.linear(layout.output),
        steps=code.steps,
        floats=code.floats,
        gathers=code.gathers,
        pairs=_pairs(build, kind, code),
        autocast=n.autocast,
        mask=n.stream,
        score_dropout=kind.attention.dropout > 0,
        holds_scores=not code.floats,
    )
    return WrittenLayerForm(
        hidden=build.architecture.hidden,
        attention=attention,
        feed_forward=dense_form(build, kind.feed_forward),
        norm=build.norm(kind.norm),
        parallel=kind.parallel_residual,
        dropout=kind.dropout > 0,
    )


def mpt_masks(build: Builder) -> tuple[Alive, Alive]:
    """Of MPT the biases by distance of all positions that it knows, and the mask, which is made boolean.

    Every layer saves a view of the mask.
    """
    heads, positions = build.architecture.layers[0].attention.query_heads, build.architecture.max_positions or 0
    return {MASKS: Size(fixed=heads * positions * BYTES["fp32"])}, {MASKS: Size(pair=BYTES["bool"])}


def _pairs(build: Builder, kind: LayerKind, code: _Code) -> PairsForm | None:
    if build.layout.rotary == "none":
        return None
    a, positions = kind.attention, build.architecture.max_positions or 0
    angles = code.angles or build.numerics.autocast or build.numerics.stream
    turned = a.rope_dim or a.head_dim
    return PairsForm(a.query_heads, turned, angles, positions if code.copies_table else 0)
