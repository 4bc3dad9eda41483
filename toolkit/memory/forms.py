"""From an architecture and the dtypes of a run to the forms that tapes are recorded from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from toolkit.memory.architecture import Architecture, FeedForward, LayerKind, Module
from toolkit.memory.encoder_layouts import ENCODERS
from toolkit.memory.formula.attention_form import AttentionForm
from toolkit.memory.formula.feed_forward import FeedForwardForm
from toolkit.memory.formula.layer import LayerForm
from toolkit.memory.formula.linear import Branch, LinearForm
from toolkit.memory.formula.mixture import MixtureForm
from toolkit.memory.formula.norms import NormForm
from toolkit.memory.layer_layouts import Layout, layout_of
from toolkit.memory.numerics import Numerics
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, Size
from toolkit.memory.transformers_versions import Behaviour


@dataclass(frozen=True, slots=True)
class Adaptation:
    """Which module paths have a LoRA branch, and of what rank and dropout."""

    paths: frozenset[str] = frozenset()
    rank: int = 0
    dropout: bool = False


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes the forms of one architecture under one set of dtypes."""

    architecture: Architecture
    numerics: Numerics
    adaptation: Adaptation
    by_suffix: Mapping[str, Module]
    version: Behaviour
    sequence: int
    layout: Layout

    def linear(self, suffix: str) -> LinearForm:
        """The form of the linear layer whose path ends in `suffix`."""
        return self.form_of(self.by_suffix[suffix])

    def form_of(self, module: Module) -> LinearForm:
        """The form of a linear layer."""
        n = self.numerics
        quantized = module.quantized and n.storage != "plain"
        branch = None
        if module.path in self.adaptation.paths and n.adapter is not None:
            branch = Branch(self.adaptation.rank, n.adapter, n.gradient, self.adaptation.dropout, n.adapter_products)
        return LinearForm(
            inputs=module.in_features,
            outputs=module.out_features,
            dtype=n.linear,
            bias=any(tensor.name == "bias" for tensor in module.tensors),
            trains=n.trains_base,
            storage=n.storage if quantized else "plain",
            compute=n.compute,
            autocast=n.autocast,
            gradient=n.gradient,
            nested=n.nested,
            keeps_input=n.keeps_input,
            branch=branch,
        )

    def norm(self, kind: str) -> NormForm:
        """The form of the norms of a layer."""
        n = self.numerics
        offset = self.layout.unit_offset_norm
        return NormForm(kind, n.norm, n.trains_base, autocast=n.autocast is not None, unit_offset=offset)


def builder(
    architecture: Architecture, numerics: Numerics, adaptation: Adaptation, version: Behaviour, sequence: int
) -> Builder:
    """A builder for a family whose activations are covered; refuses the others by name."""
    layout = Layout() if architecture.family in ENCODERS else layout_of(architecture)  # encoders have their own
    by_suffix = {module.path.rpartition("{}.")[2]: module for module in architecture.modules if "{}" in module.path}
    return Builder(architecture, numerics, adaptation, by_suffix, version, sequence, layout)


def layer_form(build: Builder, kind: LayerKind) -> LayerForm:
    """The form of one kind of layer."""
    return LayerForm(
        hidden=build.architecture.hidden,
        attention=_attention(build, kind),
        feed_forward=_feed_forward(build, kind.feed_forward),
        norm=build.norm(kind.norm),
        after=kind.norms == 4,
        parallel=kind.parallel_residual,
        parallel_norms=build.layout.parallel_norms,
        dropout=kind.dropout > 0,
        holds=build.layout.holds,
    )


def kernel(kind: LayerKind, attention: str, sequence: int) -> str:
    """The kernel that a kind of layer attends with: torch's sdpa has no soft caps and no sinks, and masks a window."""
    a = kind.attention
    if attention == "flash":
        return "flash"
    if attention == "eager" or a.softcap or a.sinks:
        return "eager"
    # transformers masking_utils.py, _ignore_causal_mask_sdpa: a window as long as the sequence makes a mask.
    return "masked" if a.window is not None and a.window <= sequence else "flash"


def masks(build: Builder) -> Size:
    """The masks that the model makes: one for each window among its layers, 16-bit for eager, boolean for sdpa."""
    dtypes = {"eager": build.numerics.stream, "masked": "bool"}
    made = {
        (k, kind.attention.window) for kind in build.architecture.layers if (k := _kernel_of(build, kind)) in dtypes
    }
    return Size(pair=sum(BYTES[dtypes[name]] for name, _ in made))


def _kernel_of(build: Builder, kind: LayerKind) -> str:
    return kernel(kind, build.numerics.attention, build.sequence)


def _attention(build: Builder, kind: LayerKind) -> AttentionForm:
    a = kind.attention
    n = build.numerics
    if a.latent_rank is not None:
        raise UnsupportedRow("attention_states", "no formula for latent attention yet")
    layout = build.layout
    fused = build.linear(layout.fused) if layout.fused is not None else None
    return AttentionForm(
        query_heads=a.query_heads,
        key_value_heads=a.key_value_heads,
        head_dim=a.head_dim,
        value_head_dim=a.value_head_dim,
        projections=fused or tuple(build.linear(name) for name in (layout.query, layout.key, layout.value)),
        output=build.linear(layout.output),
        kernel=_kernel_of(build, kind),
        softcap=a.softcap,
        sinks=a.sinks,
        rotary=layout.rotary,
        scaled_query=layout.scaled_query,
        query_norm=build.norm(kind.norm) if a.query_norm else None,
        autocast=n.autocast,
        wide_rotary=n.stream == "fp32",
        repeats=build.version.repeats and a.query_heads != a.key_value_heads,
        binds_probabilities=build.version.binds_probabilities,
    )


def _feed_forward(build: Builder, part: FeedForward) -> FeedForwardForm | MixtureForm:
    layout = build.layout
    if part.experts:
        return _mixture(build, part)
    down = build.linear(layout.down)
    if layout.gate_up is not None:
        return FeedForwardForm(up=build.linear(layout.gate_up), down=down, activation=part.activation, joined=True)
    gate = build.linear(layout.gate) if part.gated else None
    own = layout.up == "fc1"  # a linear of the layer itself
    return FeedForwardForm(build.linear(layout.up), down, part.activation, gate=gate, lets_go=own)


def _mixture(build: Builder, part: FeedForward) -> MixtureForm:
    n = build.numerics
    hidden = build.architecture.hidden
    looped = _looped_experts(build, part)
    return MixtureForm(
        experts=part.experts,
        chosen=part.experts_per_token,
        router=LinearForm(
            hidden, part.experts, n.linear, trains=n.trains_base, autocast=n.autocast, gradient=n.gradient
        ),
        products=looped or _grouped_experts(build, part),
        casts_weights=bool(looped) or build.layout.weighs_as_routed,
        clamped=build.architecture.family == "gpt_oss",
        biased=build.architecture.family == "gpt_oss" and not looped,
        looped=bool(looped),
    )


def _grouped_experts(build: Builder, part: FeedForward) -> tuple[LinearForm, ...]:
    """Gate-and-up and down of all experts, each one product of a token's chosen experts side by side.

    Autocast does not know grouped_mm (aten/src/ATen/autocast_mode.h): it works in the dtype of the weights.
    """
    n = build.numerics
    hidden, chosen, inner = build.architecture.hidden, part.experts_per_token, part.intermediate

    def grouped(inputs: int, outputs: int) -> LinearForm:
        return LinearForm(
            inputs=chosen * inputs,
            outputs=chosen * outputs,
            dtype=n.linear,
            trains=n.trains_base,
            compute=n.compute,
            gradient=n.gradient,
            weights=part.experts * inputs * outputs,
        )

    return grouped(hidden, 2 * inner), grouped(inner, hidden)


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
