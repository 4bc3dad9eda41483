"""A tensor of a tape."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.memory.size import Size


@dataclass(slots=True, eq=False)
class Buffer:
    """One tensor of a tape, named by its row. `width` is elements per token; `grad` says that a gradient flows to it.

    A `parameter` is no tensor of the tape itself: only its gradient is, and that stays. A view of `base` takes nothing
    of its own, and what keeps it keeps all of the base. A gradient that `expands` is one number seen as a tensor of
    that size, which a product has to copy; one that is `reshaped` shares its storage with the matrix that it is a view
    of. A parameter gets a gradient from each of its `uses`.
    """

    row: str
    size: Size
    width: int
    dtype: str
    grad: bool
    references: int = 1
    held: bool = True
    counted: bool = True
    parameter: bool = False
    base: Buffer | None = None
    expands: Size | None = None
    reshaped: bool = False
    uses: int = 1
