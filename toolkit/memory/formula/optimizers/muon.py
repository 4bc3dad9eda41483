"""Muon: the momentum of each matrix, made orthogonal before it updates its weight; AdamW does all else.

Source: torch/optim/_muon.py of torch 2.13. Which matrices: hidden layers' own, as its documentation, LLaMA-Factory and
axolotl have it; embeddings, output layers and tensors of another number of dimensions are AdamW's.
"""

from __future__ import annotations

from collections.abc import Iterable

from toolkit.memory.size import BYTES
from toolkit.memory.weights.sums import Trained

ITERATED = BYTES["bf16"]
"""Bytes of an element while Newton and Schulz's iteration runs, whatever the gradient's dtype."""


def is_orthogonalized(tensor: Trained) -> bool:
    """Whether Muon updates a tensor."""
    return len(tensor.shape) == 2 and not (tensor.embedding or tensor.head or tensor.copied)


def orthogonalizing(trained: Iterable[Trained], gradients: str) -> tuple[int, ...]:
    """The bytes of each tensor that is there at the fullest moment of the iteration, for the largest matrix.

    The update in the gradient's dtype, which its caller holds; a step of the iteration and the next, both of its shape;
    and two products of the shorter side squared.
    """
    return max((_of_matrix(one.shape, gradients) for one in trained if is_orthogonalized(one)), key=sum, default=())


def _of_matrix(shape: tuple[int, ...], gradients: str) -> tuple[int, ...]:
    rows, columns = shape
    whole, square = rows * columns, min(shape) ** 2
    return whole * BYTES[gradients], whole * ITERATED, whole * ITERATED, square * ITERATED, square * ITERATED
