"""The forms of recurrent mixers, in place of attention or beside it."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import LayerKind
from toolkit.memory.architecture.falcon_h1 import FIRST
from toolkit.memory.architecture.mamba import FAMILIES as MAMBAS
from toolkit.memory.architecture.mixers import SINGLE_PIECES, DeltaNet, Mamba1, Mamba2, Mixer, ShortConvolution
from toolkit.memory.forms.builder import Builder
from toolkit.memory.formula.attention.attention_form import AttentionForm
from toolkit.memory.formula.norms import NormForm
from toolkit.memory.formula.recurrence.convolution import TORCH, ConvolutionForm
from toolkit.memory.formula.recurrence.fla_delta_rule import FLA
from toolkit.memory.formula.recurrence.gated_delta import DeltaForm
from toolkit.memory.formula.recurrence.mamba import MambaForm
from toolkit.memory.formula.recurrence.mamba_beside import MambaBesideForm
from toolkit.memory.formula.recurrence.rule_form import RuleForm
from toolkit.memory.formula.recurrence.selective_scan import SelectiveForm
from toolkit.memory.formula.recurrence.short_convolution import ShortForm
from toolkit.memory.formula.recurrence.state_space import ScanForm
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.fields.packing import UNPACKED

_APART = tuple(f"linear_attn.in_proj_{name}" for name in ("qkv", "z", "b", "a"))
_JOINED = tuple(f"linear_attn.in_proj_{name}" for name in ("qkvz", "ba"))


PEFT_REFUSES = "peft puts no adapters on out_proj of Mamba (tuners_utils.py)"

MixerForm = DeltaForm | ShortForm | MambaForm | SelectiveForm


def mixer_form(build: Builder, mixer: Mixer) -> MixerForm:
    """The form of a layer's mixer in place of attention."""
    if build.numerics.padded:
        raise UnsupportedRow("recurrence_states", "no formula for padded rows beside linear attention yet")
    if build.numerics.packing != UNPACKED:
        raise UnsupportedRow("recurrence_states", "no formula for packed rows beside linear attention yet")
    if isinstance(mixer, ShortConvolution):
        return _short_form(build, mixer)
    if isinstance(mixer, Mamba2):
        return _mamba_form(build, mixer)
    if isinstance(mixer, Mamba1):
        return _selective_form(build, mixer)
    return _delta_form(build, mixer)


def pieces_of(sequence: int, piece: int) -> tuple[int, bool]:
    """The number of chunks of a sequence, and whether the last one is padded."""
    return min(-(-sequence // piece), SINGLE_PIECES), sequence % piece > 0


def _delta_form(build: Builder, net: DeltaNet) -> DeltaForm:
    n = build.numerics
    names = _APART if _APART[0] in build.by_suffix else _JOINED
    pieces, ragged = pieces_of(build.sequence, net.piece)
    return DeltaForm(
        inward=tuple(build.linear(name) for name in names),
        output=build.linear("linear_attn.out_proj"),
        convolution=_convolution(build, net.convolved, net.kernel),
        rule=RuleForm(net, pieces, ragged, n.autocast),
        norm=NormForm("rms", n.norm, n.trains_base, autocast=n.autocast is not None),
        dtype=n.norm,
        trains=n.trains_base,
        fused=n.kernels.linear_attention == FLA,
    )


def _short_form(build: Builder, mixer: ShortConvolution) -> ShortForm:
    convolution = replace(_convolution(build, mixer.channels, mixer.kernel), activates=False, bias=mixer.bias)
    return ShortForm(build.linear("conv.in_proj"), build.linear("conv.out_proj"), convolution)


def _mamba_form(build: Builder, mixer: Mamba2) -> MambaForm:
    n = build.numerics
    path = build.layout.mamba
    refused = build.architecture.family in ("falcon_h1", "nemotron_h", *MAMBAS)
    if refused and build.branch(f"{path}.out_proj") is not None:
        raise UnsupportedRow("adapter_states", PEFT_REFUSES)
    return MambaForm(
        inward=build.linear(f"{path}.in_proj"),
        output=build.linear(f"{path}.out_proj"),
        convolution=_convolution(build, mixer.convolved, mixer.kernel),
        scan=ScanForm(mixer, pieces_of(build.sequence, mixer.piece)[1], n.trains_base, n.autocast),
        norm=NormForm("rms", n.norm, n.trains_base, autocast=n.autocast is not None),
    )


def _selective_form(build: Builder, mixer: Mamba1) -> SelectiveForm:
    n, path = build.numerics, build.layout.mamba
    if n.storage != "plain":
        reason = "no formula for packed weights of Mamba, whose code multiplies dt_proj's weight itself, yet"
        raise UnsupportedRow("recurrence_states", reason)
    if build.branch(f"{path}.out_proj") is not None:
        raise UnsupportedRow("adapter_states", PEFT_REFUSES)
    return SelectiveForm(
        mamba=mixer,
        inward=build.linear(f"{path}.in_proj"),
        chooses=build.linear(f"{path}.x_proj"),
        rate=replace(build.linear(f"{path}.dt_proj"), bias=False, branch=None),
        output=build.linear(f"{path}.out_proj"),
        convolution=_convolution(build, mixer.inner, mixer.kernel),
        norm=replace(build.norm("bare rms"), trains=False) if mixer.norms else None,
    )


def mamba_beside_form(build: Builder, kind: LayerKind, attention: AttentionForm) -> MambaBesideForm:
    """Falcon-H1's mixer: Mamba 2 with a multiplied projection, beside attention with multiplied keys."""
    mixed = mixer_form(build, kind.mixer) if kind.mixer is not None else None
    if not isinstance(mixed, MambaForm):
        raise TypeError("a layer without Mamba")
    norm = mixed.norm if kind.mixer_norm else None
    mamba = replace(mixed, norm=norm, norms_first=kind.mixer_norm == FIRST, multiplied=build.numerics.stream)
    return MambaBesideForm(mamba, replace(attention, scaled_key=True))


def _convolution(build: Builder, channels: int, kernel: int) -> ConvolutionForm:
    n = build.numerics
    how = n.kernels.convolution or TORCH
    return ConvolutionForm(channels, kernel, n.norm, n.trains_base, n.gradient, n.autocast, how=how)
