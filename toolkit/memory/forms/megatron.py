"""The forms of Megatron-LM's models: what tapes are recorded from."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import LayerKind
from toolkit.memory.architecture.megatron import DOWN, FUSED, OUTPUT, POSITIONS, UP
from toolkit.memory.forms.builder import Builder
from toolkit.memory.formula.attention.attention_form import AttentionForm
from toolkit.memory.formula.ends.logits import HeadForm
from toolkit.memory.formula.trainers.megatron import MegatronForm

LOSS = "megatron"


def megatron_layer_form(build: Builder, kind: LayerKind) -> MegatronForm:
    """TransformerLayer with TransformerEngine's modules, whose kernels sum up the gradients of biases themselves."""
    a, turns = kind.attention, all(one.path != POSITIONS for one in build.architecture.modules)
    fused, output, up, down = (replace(build.linear(name), bias=False) for name in (FUSED, OUTPUT, UP, DOWN))
    attention = AttentionForm(
        query_heads=a.query_heads,
        key_value_heads=a.key_value_heads,
        head_dim=a.head_dim,
        value_head_dim=a.value_head_dim,
        projections=fused,
        output=output,
        kernel=build.numerics.attention,
        rotary="none",
        dropout=a.dropout > 0,
    )
    return MegatronForm(
        hidden=build.architecture.hidden,
        norm=build.norm(kind.norm),
        fused=fused,
        attention=attention,
        output=output,
        up=up,
        down=down,
        gated=kind.feed_forward.gated,
        turns=turns,
        dropout=kind.dropout > 0,
    )


def megatron_head(build: Builder) -> HeadForm:
    """The final norm, the output weight, and the loss of all tokens at once."""
    return HeadForm(build.norm(build.architecture.layers[0].norm), build.output_weight(), loss=LOSS)
