"""The forms of torchtitan's models: what tapes are recorded from."""

from __future__ import annotations

from toolkit.memory.architecture import LayerKind
from toolkit.memory.architecture.torchtitan import REPEATED
from toolkit.memory.forms.builder import Builder
from toolkit.memory.forms.feed_forward import dense_form
from toolkit.memory.forms.layers import attention_form
from toolkit.memory.formula.ends.logits import HeadForm
from toolkit.memory.formula.layer import LayerForm
from toolkit.memory.formula.trainers.torchtitan import TitanAttentionForm


def torchtitan_layer(build: Builder, kind: LayerKind) -> LayerForm:
    """TransformerBlock: the results of attention and feed-forward have no names of their own."""
    return LayerForm(
        hidden=build.architecture.hidden,
        attention=TitanAttentionForm(attention_form(build, kind), repeats=build.architecture.family == REPEATED),
        feed_forward=dense_form(build, kind.feed_forward),
        norm=build.norm(kind.norm),
    )


def torchtitan_head(build: Builder) -> HeadForm:
    """The final norm, the output weight, and the loss of all tokens at once."""
    return HeadForm(build.norm(build.architecture.layers[0].norm), build.output_weight(), loss="titan outputs")
