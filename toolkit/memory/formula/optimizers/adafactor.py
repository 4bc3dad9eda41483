"""Adafactor: second moments as means over rows and over columns, and what its step needs.

Source: transformers 5.23, optimization.py (Adafactor), as a Trainer sets it up: without a first moment; arXiv
1804.04235.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from toolkit.memory.size import BYTES
from toolkit.memory.weights.sums import Trained

WIDE = BYTES["fp32"]
"""Bytes per element of all of Adafactor's tensors."""


def factors(shape: tuple[int, ...]) -> int:
    """Elements of the means over rows and over columns of each matrix; tensors of one dimension are not factored."""
    if len(shape) == 1:
        return 0
    *outer, rows, columns = shape
    matrices = 1
    for side in outer:
        matrices *= side
    return matrices * (rows + columns)


def moments(tensor: Trained) -> int:
    """The bytes of a tensor's second moments, which are whole for tensors of one dimension."""
    return (factors(tensor.shape) or tensor.elements) * WIDE


def fullest_update(turns: Iterable[Trained], *, copies: Callable[[Trained], bool]) -> int:
    """The bytes at the fullest moment of a step; `copies` says which gradients and parameters are cast to float32."""
    return max(_update(turns, copies=copies), default=0)


def _update(turns: Iterable[Trained], *, copies: Callable[[Trained], bool]) -> Iterator[int]:
    """A gradient's square and the update made from it; the previous parameter's update is still referenced."""
    before = 0
    for tensor in turns:
        whole = tensor.elements * WIDE
        wide = 2 * whole if copies(tensor) else 0  # the gradient and the parameter
        yield before + wide + 2 * whole
        yield wide + 2 * whole + factors(tensor.shape) * WIDE  # the update is the product of its factors
        before = whole
