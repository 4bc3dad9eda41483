"""The forms of torchtune's models: what tapes are recorded from."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import LayerKind
from toolkit.memory.architecture.torchtune import PAIRED
from toolkit.memory.forms.builder import Builder
from toolkit.memory.forms.feed_forward import dense_form
from toolkit.memory.forms.layers import attention_form
from toolkit.memory.formula.attention.attention_form import AttentionForm
from toolkit.memory.formula.ends.logits import HeadForm
from toolkit.memory.formula.feed_forward import FeedForwardForm
from toolkit.memory.formula.layer import LayerForm
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.linear.torchao import INDEXED
from toolkit.memory.formula.trainers.torchtune import TuneAttentionForm
from toolkit.memory.refusal import UnsupportedRow


def torchtune_layer(build: Builder, kind: LayerKind) -> LayerForm:
    """TransformerSelfAttentionLayer: attention's result has its name until the layer ends."""
    return LayerForm(
        hidden=build.architecture.hidden,
        attention=TuneAttentionForm(_by_torchao(attention_form(build, kind)), build.architecture.family == PAIRED),
        feed_forward=_fed_by_torchao(dense_form(build, kind.feed_forward)),
        norm=build.norm(kind.norm),
        holds="attention",
    )


def torchtune_head(build: Builder, loss: str) -> HeadForm:
    """The final norm, the output weight, and the loss."""
    if build.branch("lm_head") is not None:
        raise UnsupportedRow("logits", "no formula for an adapter of torchtune's output layer yet")
    return HeadForm(build.norm(build.architecture.layers[0].norm), build.output_weight(), loss=loss)


def _by_torchao(form: AttentionForm) -> AttentionForm:
    if not isinstance(form.projections, tuple):
        raise TypeError("torchtune's queries, keys and values have a weight each")
    projections = tuple(map(_indexed, form.projections))
    return replace(form, projections=projections, output=_indexed(form.output))


def _fed_by_torchao(form: FeedForwardForm) -> FeedForwardForm:
    gate = None if form.gate is None else _indexed(form.gate)
    return replace(form, up=_indexed(form.up), down=_indexed(form.down), gate=gate)


def _indexed(form: LinearForm) -> LinearForm:
    """Torchao's NF4 in the place of bitsandbytes', and an adapter that adds to what it gives without a copy."""
    branch = None if form.branch is None else replace(form.branch, clones=False)
    return replace(form, storage=INDEXED if form.storage == "4bit" else form.storage, branch=branch)
