"""What is known of a GPU: one card, several that share a name, or any card of a memory size."""

from __future__ import annotations

from dataclasses import field

from toolkit.frozen import frozen


@frozen
class Reading:
    """A total that somebody's machine showed: `kind` is "cuda" (what PyTorch sees) or "nvidia-smi"."""

    kind: str
    value: str
    source: str
    low: int
    high: int


@frozen
class Gpu:
    """One card (or one GPU of a board). Memory is in bytes.

    `marketing_bytes` is what it is sold with, in units of 2**30. What a program can use lies between
    `usable_low` and `usable_high`: "reported" by PyTorch on such a card, or "derived" by the rule in
    `usable_rule`. Of that the CUDA context takes between `context_low` and `context_high`, which PyTorch does
    not count. `cublas_workspace` is what each BLAS handle takes from PyTorch's allocator. No card of the architecture
    does more than `peak_flops` operations a second in dense products of 16 bits; None where that is not known.
    """

    name: str
    vendor: str
    aliases: tuple[str, ...]
    marketing_bytes: int
    usable_low: int
    usable_high: int
    usable_kind: str
    usable_rule: str
    architecture: str
    context_low: int
    context_high: int
    cublas_workspace: int
    peak_flops: int | None = None
    sold_as: tuple[int, ...] = ()
    readings: tuple[Reading, ...] = ()
    note: str | None = None
    sources: tuple[str, ...] = field(default=())

    @property
    def members(self) -> tuple[Gpu, ...]:
        """The card itself, so that one card and several are asked alike."""
        return (self,)


@frozen
class GpuSet:
    """Several cards that a name leaves open: every interval is the hull of theirs."""

    name: str
    members: tuple[Gpu, ...]
    note: str | None = None

    @property
    def usable_low(self) -> int:
        """What any of them can use, in bytes."""
        return min(gpu.usable_low for gpu in self.members)

    @property
    def usable_high(self) -> int:
        """What none of them exceeds, in bytes."""
        return max(gpu.usable_high for gpu in self.members)

    @property
    def usable_kind(self) -> str:
        """Reported only where it is for every one of them."""
        kinds = {gpu.usable_kind for gpu in self.members}
        return "reported" if kinds == {"reported"} else "derived"

    @property
    def context_low(self) -> int:
        """The smallest CUDA context of any, in bytes."""
        return min(gpu.context_low for gpu in self.members)

    @property
    def context_high(self) -> int:
        """The largest CUDA context of any, in bytes."""
        return max(gpu.context_high for gpu in self.members)

    @property
    def cublas_workspace(self) -> int:
        """The largest workspace of any, in bytes."""
        return max(gpu.cublas_workspace for gpu in self.members)

    @property
    def peak_flops(self) -> int | None:
        """The most that any does; None where that of one is not known."""
        known = [gpu.peak_flops for gpu in self.members if gpu.peak_flops is not None]
        return max(known) if len(known) == len(self.members) else None

    @property
    def memories(self) -> tuple[int, ...]:
        """The different amounts of memory that they are sold with, in bytes, smallest first."""
        return tuple(sorted({gpu.marketing_bytes for gpu in self.members}))


@frozen
class GpuVariants(GpuSet):
    """A name under which several cards were sold ("A100", "RTX 3060"): which one is meant is open."""


@frozen
class GenericGpu(GpuSet):
    """Any card sold with an amount of memory ("24 GB"): all such cards of the table."""

    @property
    def marketing_bytes(self) -> int:
        """The memory that they are sold with, in bytes."""
        return self.members[0].marketing_bytes


Card = Gpu | GpuVariants | GenericGpu
"""What a name of a GPU stands for: one card, several that share the name, or all with an amount of memory."""
