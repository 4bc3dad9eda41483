"""A gated delta rule as a tape sees it, and the row that recurrences fill."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.architecture.mixers import DeltaNet
from toolkit.memory.size import BYTES, Size

ROW = "recurrence_states"
FLOAT = BYTES["fp32"]


@frozen
class RuleForm:
    """A gated delta rule as a tape needs it: its net, the chunks of a sequence (three for more), autocast's dtype.

    `ragged` says that the last chunk is padded.
    """

    net: DeltaNet
    pieces: int
    ragged: bool
    autocast: str | None = None
    strided: bool = False  # inputs that are float32 from the start keep heads after tokens, unless they are padded

    def padded(self, width: int) -> Size:
        """So many float32 numbers per token, padded to whole chunks."""
        return Size(piece=self.net.piece * width * FLOAT)

    def of_piece(self, width: int) -> Size:
        """The same for one chunk of each sequence."""
        return Size(sequence=self.net.piece * width * FLOAT)

    @property
    def state(self) -> Size:
        """The state of each sequence."""
        return Size(sequence=self.net.state * FLOAT)

    @property
    def keys(self) -> int:
        """The width of keys repeated for every value head."""
        return self.net.value_heads * self.net.key_width

    @property
    def pairs(self) -> int:
        """The width of the products of each token with the tokens of its chunk."""
        return self.net.value_heads * self.net.piece


def resized_to(size: Size, dtype: str) -> Size:
    """A float32 size in another dtype."""
    return Size(*[one * BYTES[dtype] // FLOAT for one in size])
