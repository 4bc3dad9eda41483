"""From an architecture and the dtypes of a run to the forms that tapes are recorded from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.memory.architecture import Architecture, FeedForward, LayerKind, Module
from toolkit.memory.formula.attention import AttentionForm
from toolkit.memory.formula.feed_forward import FeedForwardForm
from toolkit.memory.formula.layer import LayerForm
from toolkit.memory.formula.linear import Branch, LinearForm
from toolkit.memory.formula.logits import HeadForm
from toolkit.memory.formula.mixture import MixtureForm
from toolkit.memory.formula.norms import NormForm
from toolkit.memory.numerics import Numerics
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.transformers_versions import Behaviour

# Families whose layers are q/k/v/o projections with rotary embedding around the residual stream of LLaMA.
LLAMA_LIKE = frozenset(
    {
        "llama",
        "mistral",
        "qwen2",
        "qwen3",
        "gemma",
        "gemma2",
        "gemma3",
        "gemma3_text",
        "mixtral",
        "qwen3_moe",
        "gpt_oss",
    }
)
GEMMA_LIKE = frozenset({"gemma", "gemma2", "gemma3", "gemma3_text"})

# Families that cast the routing weights back to the dtype of the router; the others keep them in float32.
WEIGHS_AS_ROUTED = frozenset({"qwen3_moe", "gpt_oss"})


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

    def linear(self, suffix: str, *, trains: bool | None = None) -> LinearForm:
        """The form of the linear layer whose path ends in `suffix`."""
        module = self.by_suffix[suffix]
        n = self.numerics
        quantized = module.quantized and n.storage != "plain"
        branch = None
        if module.path in self.adaptation.paths and n.adapter is not None:
            branch = Branch(self.adaptation.rank, n.adapter, n.gradient, self.adaptation.dropout)
        return LinearForm(
            inputs=module.in_features,
            outputs=module.out_features,
            dtype=n.linear,
            bias=any(tensor.name == "bias" for tensor in module.tensors),
            trains=n.trains_base if trains is None else trains,
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
        offset = self.architecture.family in GEMMA_LIKE
        return NormForm(kind, n.norm, n.trains_base, autocast=n.autocast is not None, unit_offset=offset)


def builder(
    architecture: Architecture, numerics: Numerics, adaptation: Adaptation, version: Behaviour, sequence: int
) -> Builder:
    """A builder for a family whose activations are covered; refuses the others by name."""
    if architecture.family not in LLAMA_LIKE:
        raise UnsupportedRow("activations", f"no formula for the layers of {architecture.family} yet")
    by_suffix = {
        module.path.rpartition("{}.")[2]: module for module in architecture.modules if "{}" in module.path
    }
    return Builder(architecture, numerics, adaptation, by_suffix, version, sequence)


def layer_form(build: Builder, kind: LayerKind) -> LayerForm:
    """The form of one kind of layer."""
    return LayerForm(
        hidden=build.architecture.hidden,
        attention=_attention(build, kind),
        feed_forward=_feed_forward(build, kind.feed_forward),
        norm=build.norm(kind.norm),
        after=kind.norms == 4,
        parallel=kind.parallel_residual,
    )


def head_form(build: Builder, loss: str) -> HeadForm:
    """The form of the end of a causal language model."""
    architecture, n = build.architecture, build.numerics
    if architecture.head != "causal-lm":
        raise UnsupportedRow("logits", f"no formula for a {architecture.head} head yet")
    projection = LinearForm(
        inputs=architecture.hidden,
        outputs=architecture.vocabulary,
        dtype=n.head,
        trains=n.trains_base,
        compute=n.compute,
        autocast=n.autocast,
        gradient=n.gradient,
    )
    return HeadForm(
        norm=build.norm(architecture.layers[0].norm),
        projection=projection,
        loss=loss,
        softcap=architecture.logit_softcap,
        upcasts_early=build.version.upcasts_early,
        shifts=build.version.shifts,
    )


def kernel(kind: LayerKind, attention: str, sequence: int) -> str:
    """The kernel that a kind of layer attends with: torch's sdpa has no soft caps and no sinks, and masks a window."""
    a = kind.attention
    if attention == "flash":
        return "flash"
    if attention == "eager" or a.softcap or a.sinks:
        return "eager"
    return "masked" if a.window is not None and a.window < sequence else "flash"


def _attention(build: Builder, kind: LayerKind) -> AttentionForm:
    a = kind.attention
    n = build.numerics
    if a.latent_rank is not None:
        raise UnsupportedRow("attention_states", "no formula for latent attention yet")
    return AttentionForm(
        query_heads=a.query_heads,
        key_value_heads=a.key_value_heads,
        head_dim=a.head_dim,
        value_head_dim=a.value_head_dim,
        query=build.linear("self_attn.q_proj"),
        key=build.linear("self_attn.k_proj"),
        value=build.linear("self_attn.v_proj"),
        output=build.linear("self_attn.o_proj"),
        kernel=kernel(kind, n.attention, build.sequence),
        softcap=a.softcap,
        sinks=a.sinks,
        rotary=True,
        query_norm=build.norm("rms") if a.query_norm else None,
        autocast=n.autocast,
        wide_rotary=n.stream == "fp32",
        repeats=build.version.repeats and a.query_heads != a.key_value_heads,
    )


def _feed_forward(build: Builder, part: FeedForward) -> FeedForwardForm | MixtureForm:
    if part.experts == 0:
        return FeedForwardForm(
            up=build.linear("mlp.up_proj"),
            down=build.linear("mlp.down_proj"),
            gate=build.linear("mlp.gate_proj") if part.gated else None,
        )
    return _mixture(build, part)


def _mixture(build: Builder, part: FeedForward) -> MixtureForm:
    n = build.numerics
    hidden, chosen = build.architecture.hidden, part.experts_per_token

    def grouped(inputs: int, outputs: int) -> LinearForm:
        return LinearForm(
            inputs=inputs,
            outputs=outputs,
            dtype=n.linear,
            trains=n.trains_base,
            compute=n.compute,
            autocast=n.autocast,
            gradient=n.gradient,
            weights=part.experts * inputs * outputs // (chosen * chosen),
        )

    return MixtureForm(
        experts=part.experts,
        chosen=chosen,
        router=LinearForm(
            hidden, part.experts, n.linear, trains=n.trains_base, autocast=n.autocast, gradient=n.gradient
        ),
        gate_up=grouped(chosen * hidden, chosen * 2 * part.intermediate),
        down=grouped(chosen * part.intermediate, chosen * hidden),
        intermediate=part.intermediate,
        weighted_in=n.linear if build.architecture.family in WEIGHS_AS_ROUTED else "fp32",
        clamped=build.architecture.family == "gpt_oss",
    )
