"""What stands in a layer where others have attention: recurrences with a state of one size, and short convolutions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from toolkit.frozen import frozen

PIECE = 64
"""Tokens that the gated delta rule goes through at once (chunk_size of torch_chunk_gated_delta_rule)."""

SINGLE_PIECES = 3
"""Pieces of a sequence that are followed one by one: the first, the last, and one of those between, which are alike."""


@frozen
class DeltaNet:
    """A gated delta net: heads of keys and values with their widths, and the tokens that its convolution sees."""

    key_heads: int
    value_heads: int
    key_width: int
    value_width: int
    kernel: int
    piece: int = PIECE

    @property
    def keys(self) -> int:
        """The width of all keys, which is that of all queries."""
        return self.key_heads * self.key_width

    @property
    def values(self) -> int:
        """The width of all values."""
        return self.value_heads * self.value_width

    @property
    def convolved(self) -> int:
        """The channels of the convolution: queries, keys and values."""
        return 2 * self.keys + self.values

    @property
    def window(self) -> int:
        """The elements of a sequence that the convolution keeps."""
        return self.convolved * self.kernel

    @property
    def state(self) -> int:
        """The elements of a sequence's state."""
        return self.value_heads * self.key_width * self.value_width


@frozen
class ShortConvolution:
    """A convolution of each channel over a few tokens, between two gates (LFM2)."""

    channels: int
    kernel: int
    bias: bool = False
    piece: int = PIECE

    @property
    def window(self) -> int:
        """The elements of a sequence that it keeps."""
        return self.channels * self.kernel

    @property
    def state(self) -> int:
        """It has no state beside them."""
        return 0


@frozen
class Mamba2:
    """Mamba 2: heads with their width, groups that share B and C, the width of a state, and the tokens of a chunk."""

    heads: int
    head_width: int
    groups: int
    state_width: int
    kernel: int
    piece: int

    @property
    def inner(self) -> int:
        """The width of all heads."""
        return self.heads * self.head_width

    @property
    def convolved(self) -> int:
        """The channels of the convolution: what goes in, B and C."""
        return self.inner + 2 * self.groups * self.state_width

    @property
    def projected(self) -> int:
        """What the projection gives: a gate, what is convolved, and dt."""
        return self.inner + self.convolved + self.heads

    @property
    def window(self) -> int:
        """The elements of a sequence that the convolution keeps."""
        return self.convolved * self.kernel

    @property
    def state(self) -> int:
        """The elements of a sequence's state."""
        return self.inner * self.state_width


@frozen
class Mamba1:
    """Mamba: the width that is convolved, of each of whose channels a state of a width is kept, and the rank of dt.

    `norms` says that dt, B and C are normed (Falcon Mamba).
    """

    inner: int
    state_width: int
    rank: int
    kernel: int
    norms: bool = False
    piece: int = PIECE

    @property
    def convolved(self) -> int:
        """The channels of the convolution."""
        return self.inner

    @property
    def window(self) -> int:
        """The elements of a sequence that the convolution keeps."""
        return self.inner * self.kernel

    @property
    def state(self) -> int:
        """The elements of a sequence's state."""
        return self.inner * self.state_width


Mixer = DeltaNet | ShortConvolution | Mamba1 | Mamba2


class HasMixer(Protocol):
    """A kind of layer."""

    @property
    def mixer(self) -> Mixer | None:
        """What it has in place of attention."""


def piece_of(layers: Iterable[HasMixer]) -> int:
    """The tokens that a model's recurrence goes through at once."""
    return next((kind.mixer.piece for kind in layers if kind.mixer is not None), PIECE)
