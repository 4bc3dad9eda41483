"""The forms of BART and its relatives: what tapes are recorded from."""

from __future__ import annotations

from toolkit.memory.architecture import LayerKind, Module
from toolkit.memory.architecture.bart import KIN
from toolkit.memory.forms.builder import Builder
from toolkit.memory.formula.families.bart import BartAttentionForm, BartForm
from toolkit.memory.formula.families.bart_ends import BartHeadForm
from toolkit.memory.formula.families.bart_kernels import EAGER, FLASH, MASKED, BartKernel
from toolkit.memory.formula.feed_forward import FeedForwardForm
from toolkit.memory.formula.linear.linear_form import LinearForm

WHISPER = "whisper"
BIASED = ("bart", "mbart", "pegasus", "marian")
"""Families that add a bias to their logits, which is a buffer and never trained."""
NORMS_AFTER = ("bart", "marian")
CLAMPS = ("mbart", "pegasus", "m2m_100", WHISPER)
"""Families whose encoders always clamp float16 results."""


def bart_layer_form(build: Builder, kind: LayerKind) -> BartForm:
    """The form of the layers of one stack."""
    architecture, part = build.architecture, kind.feed_forward
    decodes, family = kind.stack == "decoder", architecture.family
    layer = f"{kind.stack}.layers.{{}}"
    feed = FeedForwardForm(_linear(build, f"{layer}.fc1"), _linear(build, f"{layer}.fc2"), part.activation)
    return BartForm(
        hidden=architecture.hidden,
        attention=_attention(build, kind, f"{layer}.self_attn"),
        cross=_attention(build, kind, f"{layer}.encoder_attn") if decodes else None,
        feed_forward=feed,
        norm=build.norm(kind.norm),
        dropout=kind.dropout > 0,
        inner=part.dropout > 0,
        before=family not in NORMS_AFTER,
        stream=encoded_dtype(build),
        begins=decodes and not architecture.frames,
        frames=architecture.frames,
        length=0 if decodes else architecture.frames,
        clamps=not decodes and family in CLAMPS,
    )


def encoded_dtype(build: Builder) -> str:
    """The dtype of the encoder's result: that of a norm, which autocast runs in float32."""
    return "fp32" if build.numerics.autocast is not None else build.numerics.stream


def _attention(build: Builder, kind: LayerKind, path: str) -> BartAttentionForm:
    query, key, value, output = (_linear(build, f"{path}.{name}_proj") for name in ("q", "k", "v", "out"))
    crosses = path.endswith("encoder_attn")
    kernel = BartKernel(
        name=_kernel(build, kind, crosses=crosses),
        heads=kind.attention.query_heads,
        head_dim=kind.attention.head_dim,
        autocast=build.numerics.autocast,
        dropout=kind.attention.dropout > 0,
        keys=build.architecture.frames if crosses else 0,
        mask=_mask_dtype(build, kind, crosses=crosses),
        crosses=crosses,
        sounds=build.architecture.frames > 0,
    )
    return BartAttentionForm(query, key, value, output, kernel, shapes=build.architecture.family == WHISPER)


def _kernel(build: Builder, kind: LayerKind, *, crosses: bool) -> str:
    """The kernel of an attention: a decoder's self-attention needs no mask, as its rows are taken to be full."""
    dtypes = build.numerics
    if dtypes.attention == EAGER:
        return EAGER
    masked = dtypes.padded and (crosses or kind.stack == "encoder")
    return MASKED if masked else FLASH


def _mask_dtype(build: Builder, kind: LayerKind, *, crosses: bool) -> str | None:
    """The dtype of the mask that eager attention adds: causal, or of padded rows."""
    masked = build.numerics.padded if crosses or kind.stack == "encoder" else True
    return build.numerics.stream if masked else None


def _linear(build: Builder, path: str) -> LinearForm:
    return build.form_of(_module(build, path))


def _module(build: Builder, path: str) -> Module:
    return next(module for module in build.architecture.modules if module.path.removeprefix("model.") == path)


def ends_in_norm(build: Builder) -> bool:
    """Whether each stack ends in a norm."""
    family = build.architecture.family
    return family == WHISPER or KIN[family].ends


def bart_head_form(build: Builder) -> BartHeadForm:
    """The form of the decoder's end."""
    architecture = build.architecture
    return BartHeadForm(
        norm=build.norm("layer") if ends_in_norm(build) else None,
        projection=build.output_weight(),
        bias=build.numerics.loaded if architecture.family in BIASED else None,
        begins=not architecture.frames,
        holds_encoded=not keeps_encoded(build),
        frames=architecture.frames,
        wide_result=build.numerics.widens_results,
    )


def keeps_encoded(build: Builder) -> bool:
    """Whether the encoder's result itself is saved: by trained projections in its dtype, or by checkpoints."""
    n = build.numerics
    return n.checkpointing != "false" or (n.trains_base and n.autocast in (None, encoded_dtype(build)))
