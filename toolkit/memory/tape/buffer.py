"""A tensor of a tape."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.memory.size import Size


@dataclass(slots=True, eq=False)
class Buffer:
    """One tensor of a tape: `size` bytes in the row of the ledger that it belongs to."""

    row: str
    size: Size
    width: int  # elements per token
    dtype: str
    grad: bool  # a gradient flows to it
    references: int = 1
    held: bool = True  # the forward code still has a name for it
    counted: bool = True
    parameter: bool = False  # not a tensor of the tape itself: only its gradient is one, and stays
    base: Buffer | None = None  # the tensor that it is a view of: it takes nothing, and keeps all of the base
    expands: Size | None = None  # a gradient that is one number seen as a tensor of this size; a product copies it
    reshaped: bool = False  # a gradient that shares its storage with the matrix that it is a view of
    uses: int = 1  # of a parameter: how many gradients it gets
    multiplies: bool = False  # a weight as a product uses it
