"""The forms of Llama 4's layers: what tapes are recorded from."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import FeedForward, LayerKind
from toolkit.memory.forms.builder import Builder
from toolkit.memory.forms.feed_forward import dense_form
from toolkit.memory.forms.layers import attention_form, layer_form
from toolkit.memory.formula.experts.every_expert import EveryExpertForm
from toolkit.memory.formula.feed_forward import FeedForwardForm
from toolkit.memory.formula.layer import LayerForm
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.refusal import UnsupportedRow


def llama4_layer(build: Builder, kind: LayerKind) -> LayerForm:
    """A layer that rotates and normalizes queries and keys, or one that does neither and attends to all positions."""
    a = kind.attention
    bare = replace(build.norm("bare rms"), trains=False, rows=a.query_heads) if a.query_norm else None
    attention = replace(
        attention_form(build, kind),
        query_norm=bare,
        key_norm=bare and replace(bare, rows=a.key_value_heads),
        scales_turned=a.scaled,
        scales_widely=a.scaled,
    )
    if not a.turned:
        attention = replace(attention, rotary="none")
    return replace(layer_form(build, kind), attention=attention, feed_forward=_fed(build, kind.feed_forward))


def _fed(build: Builder, part: FeedForward) -> FeedForwardForm | EveryExpertForm:
    if not part.experts:
        return dense_form(build, part)
    layout = build.layout
    if layout.router is None:
        raise TypeError("a mixture without its router")
    if build.branch(layout.router) is not None:
        raise UnsupportedRow("router_states", "peft's adapters fail at Llama 4's router, which gives two tensors")
    up, down, gate = (build.linear(f"{layout.shared}.{name}_proj") for name in ("up", "down", "gate"))
    return EveryExpertForm(
        experts=part.experts,
        chosen=part.experts_per_token,
        router=build.linear(layout.router),
        products=_products(build, part),
        shared=FeedForwardForm(up, down, part.activation, gate=gate),
    )


def _products(build: Builder, part: FeedForward) -> tuple[LinearForm, LinearForm]:
    """Gate-and-up and down of all experts: batched products, which autocast casts like linears."""
    n, hidden, inner, experts = build.numerics, build.architecture.hidden, part.intermediate, part.experts

    def each(name: str, inputs: int, outputs: int) -> LinearForm:
        if build.branch(f"experts.{name}") is not None:
            raise UnsupportedRow("merged_experts", "no formula for adapters of Llama 4's experts yet")
        return LinearForm(
            inputs=experts * inputs,
            outputs=experts * outputs,
            dtype=n.linear,
            trains=n.trains_base,
            compute=n.compute,
            autocast=n.autocast,
            gradient=n.gradient,
            weights=experts * inputs * outputs,
        )

    return each("gate_up_proj", hidden, 2 * inner), each("down_proj", inner, hidden)
