"""From a layer's feed-forward to the form that its tape is recorded from: dense, or a mixture of experts."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import FeedForward
from toolkit.memory.builder import Builder
from toolkit.memory.formula.feed_forward import FeedForwardForm
from toolkit.memory.formula.linear_form import LinearForm
from toolkit.memory.formula.mixture import MixtureForm
from toolkit.memory.refusal import UnsupportedRow

PACKED_BY_BITSANDBYTES = ("4bit", "8bit")
"""The storages in which a router is too where it is a layer of its own: before transformers 5."""


def feed_forward_form(build: Builder, part: FeedForward) -> FeedForwardForm | MixtureForm:
    """The form of a feed-forward, dense or a mixture."""
    return _mixture(build, part) if part.experts else dense_form(build, part)


def dense_form(build: Builder, part: FeedForward) -> FeedForwardForm:
    """The form of a feed-forward without experts."""
    layout = build.layout
    down = build.linear(layout.down)
    if layout.gate_up is not None:
        return FeedForwardForm(up=build.linear(layout.gate_up), down=down, activation=part.activation, joined=True)
    gate = build.linear(layout.gate) if part.gated else None
    own = layout.up == "fc1"  # a linear of the layer itself
    up = build.linear(layout.up)
    if gate is not None and all(one.branch is not None and one.branch.fused for one in (up, gate, down)):
        raise UnsupportedRow("feed_forward_states", "no formula for a fused operation on adapters of gate, up and down")
    return FeedForwardForm(up, down, part.activation, gate=gate, lets_go=own, named=layout.names_products)


def _mixture(build: Builder, part: FeedForward) -> MixtureForm:
    n = build.numerics
    hidden = build.architecture.hidden
    looped = _looped_experts(build, part)
    return MixtureForm(
        experts=part.experts,
        chosen=part.experts_per_token,
        router=LinearForm(
            hidden,
            part.experts,
            n.linear,
            trains=n.trains_base,
            autocast=n.autocast or ("fp32" if build.layout.wide_router else None),
            gradient=n.gradient,
            viewed=build.layout.wide_router and n.autocast is None,
            storage=n.storage if looped and n.storage in PACKED_BY_BITSANDBYTES else "plain",
            compute=n.compute,
            nested=n.nested,
            keeps_input=n.keeps_input,
            follows=n.follows,
            halved=n.halved,
            branch=build.branch("mlp.gate"),
        ),
        products=looped or _grouped_experts(build, part),
        casts_weights=bool(looped) or build.layout.weighs_as_routed,
        clamped=build.architecture.family == "gpt_oss",
        biased=build.architecture.family == "gpt_oss" and not looped,
        looped=bool(looped),
        shared=_shared(build, part) if part.shared_intermediate else None,
        shared_gate=build.linear(build.layout.shared_gate) if build.layout.shared_gate else None,
        routes_chosen=build.layout.routes_chosen,
    )


def _shared(build: Builder, part: FeedForward) -> FeedForwardForm:
    """The expert that every token passes through."""
    gate, up, down = (build.linear(f"{build.layout.shared}.{name}_proj") for name in ("gate", "up", "down"))
    return FeedForwardForm(up, down, part.activation, gate=gate)


def _grouped_experts(build: Builder, part: FeedForward) -> tuple[LinearForm, ...]:
    """Gate-and-up and down of all experts, each one product of a token's chosen experts side by side.

    Autocast does not know grouped_mm (aten/src/ATen/autocast_mode.h): it works in the dtype of the weights.
    """
    n = build.numerics
    hidden, chosen, inner = build.architecture.hidden, part.experts_per_token, part.intermediate

    def grouped(name: str, inputs: int, outputs: int) -> LinearForm:
        return LinearForm(
            inputs=chosen * inputs,
            outputs=chosen * outputs,
            dtype=n.linear,
            trains=n.trains_base,
            compute=n.compute,
            gradient=n.gradient,
            weights=part.experts * inputs * outputs,
            branch=build.branch(f"experts.{name}"),
        )

    return grouped("gate_up_proj", hidden, 2 * inner), grouped("down_proj", inner, hidden)


def _looped_experts(build: Builder, part: FeedForward) -> tuple[LinearForm, ...]:
    """The linears of one expert, one after the other; its share of a token is what it gets if tokens spread evenly.

    Empty where the experts are fused.
    """
    modules = [m for m in build.architecture.modules if ".experts." in m.layers[0]]
    return tuple(
        replace(
            build.form_of(module),
            inputs=_share(module.in_features, part),
            outputs=_share(module.out_features, part),
            weights=module.in_features * module.out_features,
        )
        for module in modules
    )


def _share(width: int, part: FeedForward) -> int:
    return -(-width * part.experts_per_token // part.experts)
