"""Muon: the momentum of each matrix is made orthogonal before it updates its weight; AdamW updates all else.

Source: torch/optim/_muon.py of torch 2.13. Muon's matrices are those of hidden layers, as in its documentation,
LLaMA-Factory and axolotl; AdamW has embeddings, output layers and tensors that are not matrices.
"""

from __future__ import annotations

from collections.abc import Iterable

from toolkit.memory.size import BYTES
from toolkit.memory.weights.sums import Trained

ITERATED = BYTES["bf16"]
"""Bytes per element in the Newton-Schulz iteration, whatever the gradient's dtype."""


def is_orthogonalized(tensor: Trained) -> bool:
    """Whether Muon updates a tensor."""
    return len(tensor.shape) == 2 and not (tensor.embedding or tensor.head or tensor.copied)


def orthogonalizing(trained: Iterable[Trained], gradients: str) -> tuple[int, ...]:
    """The bytes of each tensor at the fullest moment of the iteration, for the largest matrix.

    These are the update in the gradient's dtype, which the caller holds; two steps of the iteration, in its shape; and
    two products of the shorter side squared.
    """
    return max((_of_matrix(one.shape, gradients) for one in trained if is_orthogonalized(one)), key=sum, default=())


def _of_matrix(shape: tuple[int, ...], gradients: str) -> tuple[int, ...]:
    rows, columns = shape
    whole, square = rows * columns, min(shape) ** 2
    return whole * BYTES[gradients], whole * ITERATED, whole * ITERATED, square * ITERATED, square * ITERATED
