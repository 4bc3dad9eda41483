"""The programs of a model, of which all its moments are made."""

from __future__ import annotations

from dataclasses import field

from toolkit.frozen import frozen, frozen_by_identity
from toolkit.memory.programs.layer_order import Around
from toolkit.memory.programs.program import CHECKPOINTS, Program
from toolkit.memory.size import Amounts, Size


@frozen
class Joint:
    """Where a decoder's layers begin after an encoder's: at which program, and the size of what the encoder gives.

    The decoder's embeddings get their gradient there, before that of the encoder, whose are the same but of a sound.
    `kept` is what lies between: what the encoder's end has saved, and gradients of positions.
    """

    program: int
    result: Size
    kept: Amounts
    shares: bool = True


@frozen_by_identity
class Programs:
    """The programs of a model: of its layers, the first alone at the front, and of its end.

    `hidden` is the first layer's input. The model's code holds `passing` during its layers, and `masks`, which
    checkpoints hold until their backward; what calls it holds `called` until it returns. `front` is what embeddings
    that are normed save for theirs. `embedding` is the gradient of a trained token embedding in bytes, and `tied` says
    that it is the output weight's too; `added` are the gradients of embeddings that are added to those of the tokens,
    which come with theirs; `accumulates` is as of a tape, and `adds_in_place` says that the gradients of a tied
    embedding are added in place, as the engine does where autocast's copy or tiles of the logits gave the first
    (torch/csrc/autograd/input_buffer.cpp); where the loss `sums_chunks`, the first is their sum. `scattered` are the
    bytes of a token embedding of which a few rows are trained: both passes make all of it, in passing. `logits` is the
    end up to its logits, where the loop has a name for those of the last pass, and so for its nodes. `decoding` are the
    layers' programs for one token of each sequence, if they have any; `before` are layers of an encoder, which leave
    nothing, and of which one is in turn, while its code holds `encoding`, or where that is empty what is passing;
    `joint` is as of a decoder beside an encoder. `around` says which layers come before and after those of each
    program, where that matters. `inputs` makes what all layers
    are given beside the stream, and gets the gradient of that when the first layer's is done. `lingering` is what
    layers that ran again for their checkpoints leave until the first of them is done. `leads` says that the first
    program is no layer, but makes what the first layer is given.
    """

    layers: tuple[Program, ...]
    head: Program
    hidden: Size
    passing: Amounts
    masks: Amounts
    front: Amounts = field(default_factory=dict)
    called: Amounts = field(default_factory=dict)
    embedding: int = 0
    scattered: int = 0
    added: int = 0
    tied: bool = False
    accumulates: bool = False
    steps: int | None = None
    adds_in_place: bool = False
    sums_chunks: bool = False
    logits: Program | None = None
    decoding: tuple[Program, ...] = ()
    before: tuple[Program, ...] = ()
    encoding: Amounts = field(default_factory=dict)
    joint: Joint | None = None
    around: tuple[Around, ...] = ()
    inputs: Program | None = None
    lingering: Amounts = field(default_factory=dict)
    leads: bool = False

    @property
    def waiting(self) -> list[tuple[Amounts, int]]:
        """What waits for backward once the forward pass is over: so many of each part."""
        checkpoints = any(CHECKPOINTS in one.stored for one in self.layers)
        stored = [(one.stored, one.count) for one in self.layers]
        return [*stored, (self.masks if checkpoints else {}, 1), (self.front, 1), (self.head.stored, 1)]

    def first_of(self, index: int) -> int | None:
        """The place of a program's first layer, where a decoder's follow an encoder's."""
        return None if self.joint is None else sum(self.around[index].before)

    def last_of(self, index: int) -> int | None:
        """The place of its last."""
        if self.joint is None:
            return None
        return sum(one.count for one in self.layers) - 1 - sum(self.around[index].after)

    @property
    def shares_embedding(self) -> bool:
        """Whether a trained embedding has a gradient before that of the first layer's input: another's, to be added."""
        return self.tied or (self.joint is not None and self.joint.shares)

    def adds_anew(self, chunks: int) -> bool:
        """Whether the gradients of a tied embedding are added in a new tensor, after so many chunks of a loss."""
        return self.tied and not self.adds_in_place and not (self.sums_chunks and chunks > 1)
