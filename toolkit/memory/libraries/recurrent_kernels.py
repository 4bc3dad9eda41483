"""Whose kernels run linear attention, state spaces and short convolutions: what is taken, and what is no choice."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.memory.architecture import Architecture
from toolkit.memory.architecture.mixers import DeltaNet, Mamba1, Mamba2
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Kernels


def recurrence_notes(architecture: Architecture, kernels: Kernels) -> Iterator[str]:
    """What runs a recurrence, where nothing was said of it or no other is followed."""
    mixers = [kind.mixer for kind in architecture.layers]
    if kernels.linear_attention is None and any(isinstance(one, DeltaNet) for one in mixers):
        yield "linear attention: by torch's operations; with flash-linear-attention, say kernels.linear_attention: fla"
    if any(isinstance(one, Mamba1 | Mamba2) for one in mixers):
        yield "state spaces: by torch's operations, as without mamba-ssm, whose kernels need less and have no formula"


def refuse_recurrent_kernels(architecture: Architecture, kernels: Kernels) -> None:
    """Raise where a kernel is named for what a model does not have."""
    mixers = [kind.mixer for kind in architecture.layers if kind.mixer is not None]
    if kernels.linear_attention is not None and not any(isinstance(one, DeltaNet) for one in mixers):
        raise UnsupportedRow("recurrence_states", f"{kernels.linear_attention} runs no part of {architecture.family}")
    if kernels.convolution is not None and not mixers:
        raise UnsupportedRow("convolution_states", f"{architecture.family} has no short convolution")
