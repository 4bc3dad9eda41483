"""The forms of feed-forwards, dense or a mixture of experts: what tapes are recorded from."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import FeedForward
from toolkit.memory.forms.builder import Builder
from toolkit.memory.formula.experts.mixture import MixtureForm
from toolkit.memory.formula.feed_forward import FeedForwardForm
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.trainers.liger import OWN_EXPERTS
from toolkit.memory.libraries.trainers import BY_ACCELERATE
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Setting

SCATTERED = ("granitemoe", "mixtral")
"""Families whose experts fms-acceleration scatters (framework_plugin_scattermoe.py) and that are followed."""
GIVES_SEVERAL = {"phimoe": "Phi-3.5-MoE's router, which gives three tensors"}
"""Families whose routers are linear layers; if peft adapts them, the model's code fails."""
PACKED_BY_BITSANDBYTES = ("4bit", "8bit")
"""The storages that a router has as well where it is a linear layer, as before transformers 5."""


def feed_forward_form(build: Builder, part: FeedForward) -> FeedForwardForm | MixtureForm:
    """The form of a feed-forward, dense or a mixture."""
    return _mixture(build, part) if part.experts else dense_form(build, part)


def dense_form(build: Builder, part: FeedForward) -> FeedForwardForm:
    """The form of a feed-forward without experts."""
    layout = build.layout
    down = build.linear(layout.down)
    liger = bool(build.numerics.kernels.liger)
    if layout.gate_up is not None:
        up = build.linear(layout.gate_up)
        return FeedForwardForm(up, down, part.activation, joined=True, liger=liger)
    gate = build.linear(layout.gate) if part.gated else None
    own = layout.up == "fc1"  # a linear of the layer itself
    up = build.linear(layout.up)
    fused = gate is not None and all(one.branch is not None and one.branch.fused for one in (up, gate, down))
    if fused and build.numerics.kernels.adapters != "axolotl":
        raise UnsupportedRow("feed_forward_states", "no formula for a fused operation on adapters of gate, up and down")
    return FeedForwardForm(
        up,
        down,
        part.activation,
        gate=gate,
        lets_go=own,
        named=layout.names_products,
        liger=liger,
        fused=fused,
    )


def _mixture(build: Builder, part: FeedForward) -> MixtureForm:
    if build.numerics.kernels.experts is not None:
        return _scattered(build, part)
    looped = _looped_experts(build, part)
    if build.numerics.kernels.adapters == "axolotl" and part.shared_intermediate:
        raise UnsupportedRow("expert_states", "no formula for axolotl's kernels beside shared experts yet")
    if _experts_by_liger(build) and looped:
        raise UnsupportedRow("expert_states", "no formula for Liger's kernels with experts one by one yet")
    return MixtureForm(
        experts=part.experts,
        chosen=part.experts_per_token,
        router=_router(build, part, looped=bool(looped)),
        products=looped or _grouped_experts(build, part),
        casts_weights=bool(looped) or build.layout.weighs_as_routed,
        clamped=build.architecture.family == "gpt_oss",
        biased=build.architecture.family == "gpt_oss" and not looped,
        looped=bool(looped),
        shared=_shared(build, part) if part.shared_intermediate else None,
        shared_gate=build.linear(build.layout.shared_gate) if build.layout.shared_gate else None,
        shared_first=build.layout.shared_first or build.layout.shared_gate is not None,
        routes_by=build.layout.routes_by,
        activation="" if part.gated else part.activation,
        autocast=build.numerics.autocast is not None,
        liger=_experts_by_liger(build),
    )


def _experts_by_liger(build: Builder) -> bool:
    return bool(build.numerics.kernels.liger) and build.architecture.family not in OWN_EXPERTS


def _router(build: Builder, part: FeedForward, *, looped: bool) -> LinearForm:
    """The router's product: of a linear, or of bare parameters, which no scheme quantizes."""
    n, layout = build.numerics, build.layout
    if layout.router is not None:
        router = build.linear(layout.router)
        if router.branch is not None and build.architecture.family in GIVES_SEVERAL:
            raise UnsupportedRow("router_states", f"peft's adapters fail at {GIVES_SEVERAL[build.architecture.family]}")
        return router
    stays = any(module.float32 and module.path.endswith("mlp.gate") for module in build.architecture.modules)
    # The code's float32 copy is no leaf, so that autocast casts it anew and keeps that for backward.
    widened = layout.wide_router and n.autocast is not None and not n.trains_base
    return LinearForm(
        build.architecture.hidden,
        part.experts,
        "fp32" if stays or widened else n.linear,
        trains=n.trains_base,
        autocast="fp32" if stays else n.autocast or ("fp32" if layout.wide_router else None),
        gradient="fp32" if stays else n.gradient,
        viewed=layout.wide_router and n.autocast is None,
        storage=n.storage if looped and n.storage in PACKED_BY_BITSANDBYTES else "plain",
        compute=n.compute,
        nested=n.nested,
        keeps_input=n.keeps_input,
        follows=n.follows,
        halved=n.halved,
        unpacks=n.unpacks,
        branch=build.branch("mlp.gate"),
        bare=True,
    )


def _shared(build: Builder, part: FeedForward) -> FeedForwardForm:
    """The expert that every token passes through; its gate and up may be one linear."""
    if build.layout.gate_up is not None:
        up, down = build.linear(build.layout.gate_up), build.linear(build.layout.down)
        return FeedForwardForm(up, down, part.activation, joined=True)
    up, down = (build.linear(f"{build.layout.shared}.{name}_proj") for name in ("up", "down"))
    gate = build.linear(f"{build.layout.shared}.gate_proj") if part.gated else None
    return FeedForwardForm(up, down, part.activation, gate=gate)


def _grouped_experts(build: Builder, part: FeedForward) -> tuple[LinearForm, ...]:
    """Gate-and-up and down of all experts, each one product over all of a token's chosen experts.

    Autocast does not know grouped_mm (aten/src/ATen/autocast_mode.h), which runs in the dtype of the weights.
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

    first = grouped("gate_up_proj", hidden, 2 * inner) if part.gated else grouped("up_proj", hidden, inner)
    return first, grouped("down_proj", inner, hidden)


def refuse_scattered(setting: Setting) -> None:
    """Raise unless a GPU that trains has whole experts: it does alone, and under a Trainer whose FSDP ignores them."""
    if setting.kernels.experts is None:
        return
    leaves_out = setting.parallel.strategy == "fsdp" and setting.stack.trainer in BY_ACCELERATE
    whole = setting.parallel.gpus == 1 or (leaves_out and not setting.parallel.offload)
    if not setting.trains or not whole:
        reason = "no formula for scattered experts yet, except in training on one GPU, or by a Trainer with FSDP"
        raise UnsupportedRow("expert_states", reason)


def _scattered(build: Builder, part: FeedForward) -> MixtureForm:
    """The module by which fms-acceleration replaces a mixture: a router without bias, up, gate and down."""
    n, hidden, inner = build.numerics, build.architecture.hidden, part.intermediate
    adapted = any("experts" in path or "router" in path for path in build.adaptation.paths)
    for known, covered in (
        (f"{', '.join(SCATTERED)}", build.architecture.family in SCATTERED and part.gated),
        ("16-bit training without autocast", n.storage == "plain" and n.autocast is None),
        ("experts that have no adapters", not adapted),
    ):
        if not covered:
            raise UnsupportedRow("expert_states", f"no formula for scattered experts yet, except with {known}")

    def product(inputs: int, outputs: int) -> LinearForm:
        chosen, elements = part.experts_per_token, part.experts * inputs * outputs
        return LinearForm(
            chosen * inputs, chosen * outputs, n.linear, trains=n.trains_base, gradient=n.gradient, weights=elements
        )

    return MixtureForm(
        experts=part.experts,
        chosen=part.experts_per_token,
        router=LinearForm(hidden, part.experts, n.linear, trains=n.trains_base, gradient=n.gradient),
        products=(product(hidden, inner), product(hidden, inner), product(inner, hidden)),
        scattered=True,
        shared=_shared(build, part) if part.shared_intermediate else None,
    )


def _looped_experts(build: Builder, part: FeedForward) -> tuple[LinearForm, ...]:
    """The linears of one expert, in order; its share of a token assumes that tokens are spread evenly.

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
