"""The programs of a model, from which all its moments are made."""

from __future__ import annotations

from dataclasses import field

from toolkit.frozen import frozen, frozen_by_identity
from toolkit.memory.formula.embeddings import EmbeddingsForm
from toolkit.memory.formula.layer import RESIDUAL
from toolkit.memory.programs.layer_order import Around
from toolkit.memory.programs.program import CHECKPOINTS, Program
from toolkit.memory.size import NOTHING, Amounts, Size


@frozen
class Opening:
    """What runs before the first layer: the embeddings' sum, norm and dropout, from embeddings of a dtype.

    `rows` are those of the front that it makes; `grad`: the layers' input gets a gradient.
    """

    form: EmbeddingsForm
    dtype: str
    grad: bool
    rows: frozenset[str]


@frozen
class Joint:
    """The joint between an encoder's layers and a decoder's, where the decoder's embeddings get their gradient."""

    program: int  # the first one of the decoder
    result: Size  # of the encoder
    kept: Amounts  # what lies between: what the encoder's end has saved, and gradients of positions
    shares: bool = True  # encoder and decoder have the same token embedding (not where the encoder reads sounds)


@frozen_by_identity
class Programs:
    """The programs of a model: of its layers, the first alone at the front, and of its end."""

    layers: tuple[Program, ...]
    head: Program
    hidden: Size  # the first layer's input
    passing: Amounts  # what the model's code holds during its layers
    masks: Amounts  # masks that it holds as well, and that checkpoints hold until their backward
    front: Amounts = field(default_factory=dict)  # what the embeddings' norm and dropout save for their backward
    opening: Opening | None = None  # how the embeddings come to be, where that is followed
    named_inputs: int = 0  # of so many layers the model's code has the inputs, whether they are saved or not
    called: Amounts = field(default_factory=dict)  # what the model's caller holds until the model returns
    embedding: int = 0  # bytes of the gradient of a trained token embedding
    # bytes of a token embedding of which a few rows are trained: both passes make a temporary copy of all of it
    scattered: int = 0
    added: int = 0  # bytes of gradients of other trained embeddings, which are made with that of the tokens
    tied: bool = False  # the output weight is the token embedding
    accumulates: bool = False  # as in a tape
    steps: int | None = None  # as in gradients
    # the gradients of a tied embedding are added in place, as the engine does where autocast's copy or tiles of the
    # logits gave the first (torch/csrc/autograd/input_buffer.cpp)
    adds_in_place: bool = False
    sums_chunks: bool = False  # the first of these gradients is a sum over the loss's chunks
    logits: Program | None = None  # the end up to its logits, where the loop refers to those of the last pass
    decoding: tuple[Program, ...] = ()  # the layers for one token of each sequence
    before: tuple[Program, ...] = ()  # an encoder's layers in inference, one of which runs at a time
    encoding: Amounts = field(default_factory=dict)  # what its code holds meanwhile; if empty, `passing`
    joint: Joint | None = None  # of an encoder and a decoder
    around: tuple[Around, ...] = ()  # the layers before and after those of each program, where that matters
    inputs: Program | None = None  # makes the layers' own inputs; its backward follows that of the first layer
    lingering: Amounts = field(default_factory=dict)  # what recomputed layers leave until the first of them is done
    leads: bool = False  # the first program is not a layer, but makes the first layer's input
    # embeddings that are a leaf, and their gradient: both stay with a name for the pass's result
    leaf: Amounts = field(default_factory=dict)
    # the previous layer's probabilities, which in a pass without gradients the model's code alone holds
    scores: Amounts = field(default_factory=dict)
    penalty: int = 0  # bytes of gradients of adapters that a penalty gives first, and that wait for those of the loss
    holds_embeddings: bool = False  # what the code holds may be the first layer's input
    detaches: bool = False  # the model's caller detaches its result after backward, so that nothing holds its nodes

    @property
    def waiting(self) -> list[tuple[Amounts, int]]:
        """What is stored for backward after the forward pass, each with its count."""
        checkpoints = any(CHECKPOINTS in one.stored for one in self.layers)
        stored = [(one.stored, one.count) for one in self.layers]
        return [*stored, (self.masks if checkpoints else {}, 1), (self.front, 1), (self.head.stored, 1)]

    @property
    def held(self) -> Amounts:
        """What the model's code holds during its layers, but embeddings that the first layer has stored, too."""
        first = self.layers[0]
        received = first.origin is not None and first.origin.stream.received  # in a buffer of a stage's
        stored = self.holds_embeddings and first.input == NOTHING and CHECKPOINTS not in first.kept and not received
        if not stored or self.passing.get(RESIDUAL) != self.hidden:
            return self.passing
        return {row: size for row, size in self.passing.items() if row != RESIDUAL}

    def first_of(self, index: int) -> int | None:
        """The position of a program's first layer among all layers, if a decoder's follow an encoder's."""
        return None if self.joint is None else sum(self.around[index].before)

    def last_of(self, index: int) -> int | None:
        """The position of its last layer."""
        if self.joint is None:
            return None
        return sum(one.count for one in self.layers) - 1 - sum(self.around[index].after)

    @property
    def shares_embedding(self) -> bool:
        """Whether a trained embedding already has a gradient when that of the first layer's input comes."""
        return self.tied or (self.joint is not None and self.joint.shares)

    def adds_anew(self, chunks: int) -> bool:
        """Whether the gradients of a tied embedding are added into a new tensor, after so many chunks of a loss."""
        return self.tied and not self.adds_in_place and not (self.sums_chunks and chunks > 1)
