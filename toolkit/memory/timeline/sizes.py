"""Sizes as functions of batch and length: from a few runs with the same events, the bytes at any other point.

The bytes of a tensor are a polynomial: at most linear in the batch, at most quadratic in the length. Kernels round
lengths up, and use some buffers only from a number of rows on; both are columns like the powers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial

from toolkit.facts.multiprocessors import Multiprocessors
from toolkit.frozen import frozen
from toolkit.memory.formula.reduction import staged_bytes
from toolkit.memory.timeline.stream import Run
from toolkit.memory.timeline.timeline import Allocation, Timeline

Point = tuple[int, int]
"""A batch and a length."""

Column = Callable[[int, int], int]


class NoFormError(Exception):
    """None of the known functions gives the sizes."""


def _power(degree: int, batch: int, length: int, *, by_batch: bool) -> int:
    return int(length**degree) * (batch if by_batch else 1)


def _padded(unit: int, degree: int, batch: int, length: int, *, by_batch: bool) -> int:
    return -(-length // unit) * unit * int(length**degree) * (batch if by_batch else 1)


def _tokens(batch: int, length: int) -> int:
    return batch * length


def _beyond(rows: int, column: Column, batch: int, length: int) -> int:
    return column(batch, length) if batch * length > rows else 0


def _longer(rows: int, _: int, length: int) -> int:
    return length if length > rows else 0


def _larger(rows: int, batch: int, _: int) -> int:
    return int(batch > rows)


def _both(make: Callable[..., int], *given: int) -> tuple[Column, Column]:
    return partial(make, *given, by_batch=False), partial(make, *given, by_batch=True)


CONSTANTS = _both(_power, 0)
POWERS = (*CONSTANTS, *_both(_power, 1), *_both(_power, 2))

FLASH_TILE = 128
"""Tokens to which FlashAttention's backward pads (flash_attn/flash_api.cpp, mha_bwd)."""
EFFICIENT_TILE = 16
"""Tokens to which the memory-efficient kernel's backward pads row sums (attention_backward.cu)."""
EFFICIENT_BLOCK = 64
"""Tokens, and columns of a head, of a block of which that backward sums gradients of queries (kernel_backward.h)."""
EFFICIENT_ROWS = 32
"""Tokens to which the memory-efficient kernel pads its log-sum-exp (attention.cu, kAlignLSE)."""
MASK_ALIGNMENT = 8
"""Columns to which a mask is padded for the memory-efficient kernel (transformers/attention.cpp, pad_bias)."""
SORTED_FROM = 3072
"""Indices above which the backward of an embedding sorts them (cuda/Embedding.cu)."""
FUSED_ROWS = 4
"""Rows up to which bitsandbytes multiplies by packed 4-bit weights (backends/cuda/ops.py)."""

KINDS: Mapping[str, tuple[Column, ...]] = {
    "powers": POWERS,
    "flash tiles": _both(_padded, FLASH_TILE, 0),
    "efficient rows": _both(_padded, EFFICIENT_ROWS, 0),
    "efficient tiles": _both(_padded, EFFICIENT_TILE, 0),
    "efficient blocks": _both(_padded, EFFICIENT_BLOCK, 0),
    "aligned masks": _both(_padded, MASK_ALIGNMENT, 1),
    "sorted tokens": (partial(_beyond, SORTED_FROM, _tokens),),
    "sorted positions": (partial(_longer, SORTED_FROM),),
    "rows of a pass": (partial(_beyond, FUSED_ROWS, CONSTANTS[0]),),
    "rows of a token": (partial(_larger, FUSED_ROWS),),
}
"""The forms that sizes may have, simplest first: sums of these columns, each with a factor."""


@frozen
class Form:
    """Bytes as a sum of columns of a kind, each with its factor."""

    kind: str
    factors: tuple[Fraction, ...]

    def at(self, point: Point) -> int:
        """The bytes at a batch and a length. Raises NoFormError if they are not a whole number."""
        columns = KINDS[self.kind]
        pairs = zip(self.factors, columns, strict=True)
        size = sum((factor * column(*point) for factor, column in pairs if factor), Fraction(0))
        if size.denominator != 1 or size < 0:
            raise NoFormError("a size would be no whole number of bytes")
        return int(size)


@frozen
class StagedForm:
    """The bytes of partial sums, from the forms of their outputs and rows."""

    outputs: Form
    rows: Form
    on: Multiprocessors

    def at(self, point: Point) -> int:
        """The bytes at a batch and a length."""
        return staged_bytes(self.outputs.at(point), self.rows.at(point), self.on)


class Forms:
    """Finds the form of sizes seen at some points: the fewest columns that give every size exactly."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = tuple(points)
        self._solvers = {kind: _Solver(columns, self._points) for kind, columns in KINDS.items()}
        self._known: dict[tuple[int, ...], Form] = {}

    def of(self, sizes: tuple[int, ...]) -> Form:
        """The simplest form of sizes, one for each point. Raises NoFormError."""
        if sizes not in self._known:
            self._known[sizes] = self._found(sizes)
        return self._known[sizes]

    def of_allocations(self, made: Sequence[Allocation]) -> Form | StagedForm:
        """The form of one allocation's bytes, given the allocation at each point. Raises NoFormError."""
        staged = [one.staged for one in made if one.staged is not None]
        if len(staged) < len(made):
            return self.of(tuple(one.bytes for one in made))
        outputs, rows = (self.of(tuple(getattr(one, name) for one in staged)) for name in ("outputs", "rows"))
        return StagedForm(outputs, rows, staged[0].on)

    def _found(self, sizes: tuple[int, ...]) -> Form:
        if len(set(sizes)) == 1:
            return Form("powers", (Fraction(sizes[0]), *[Fraction(0)] * (len(POWERS) - 1)))
        for kind, solver in self._solvers.items():
            factors = solver.factors(sizes)
            if factors is not None:
                return Form(kind, factors)
        raise NoFormError(f"no known function gives {_said(self._points, sizes)}")


def _said(points: Sequence[Point], sizes: Sequence[int]) -> str:
    pairs = zip(points, sizes, strict=True)
    return ", ".join(f"{size:,} bytes at {batch:,} x {length:,}" for (batch, length), size in pairs)


@frozen
class SizedRun:
    """A run at one point whose allocations have forms; `labels` names the form, None where the bytes are constant."""

    run: Run
    labels: tuple[int | None, ...]
    forms: tuple[Form | StagedForm, ...]

    def at(self, point: Point) -> Run:
        """The run at a batch and a length. Raises NoFormError."""
        sizes = [form.at(point) for form in self.forms]
        old = self.run.timeline
        resized: dict[tuple[int, int], Allocation] = {}
        made = []
        for one, label in zip(old.allocations, self.labels, strict=True):
            size = one.bytes if label is None else sizes[label]
            key = id(one), size
            if key not in resized:
                resized[key] = one if one.bytes == size else replace(one, bytes=size)
            made.append(resized[key])
        return Run(Timeline(made, old.events, old.marks), self.run.kinds)


def sized(run: Run, origins: Sequence[int | None], forms: Sequence[Form | StagedForm]) -> SizedRun:
    """A run whose allocations repeat those of a smaller run (by index), for which the forms are known."""
    distinct = tuple(dict.fromkeys(forms))
    number = {form: at for at, form in enumerate(distinct)}
    labels = [number[form] for form in forms]
    return SizedRun(run, tuple(None if origin is None else labels[origin] for origin in origins), distinct)


def same_events(one: Run, other: Run) -> bool:
    """Whether two runs differ only in the sizes of their allocations."""
    first, second = one.timeline, other.timeline
    return (
        first.events == second.events
        and first.marks == second.marks
        and one.kinds == other.kinds
        and all(
            (a.operation, a.module, a.stage, a.scratch, a.stream)
            == (b.operation, b.module, b.stage, b.scratch, b.stream)
            for a, b in zip(first.allocations, second.allocations, strict=True)
        )
    )


class _Solver:
    """Solves exact linear equations for many right-hand sides; the columns are eliminated once.

    A column that is linearly dependent on earlier ones at these points gets no factor.
    """

    def __init__(self, columns: Sequence[Column], points: Sequence[Point]) -> None:
        count = len(points)
        rows = [
            [Fraction(column(*point)) for column in columns] + [Fraction(int(at == row)) for at in range(count)]
            for row, point in enumerate(points)
        ]
        self._width = len(columns)
        self._pivots: list[int] = []
        for column in range(len(columns)):
            done = len(self._pivots)
            pivot = next((row for row in range(done, count) if rows[row][column]), None)
            if pivot is None:
                continue
            rows[done], rows[pivot] = rows[pivot], rows[done]
            lead = rows[done][column]
            rows[done] = [value / lead for value in rows[done]]
            for row in range(count):
                factor = rows[row][column]
                if row != done and factor:
                    rows[row] = [value - factor * other for value, other in zip(rows[row], rows[done], strict=True)]
            self._pivots.append(column)
        self._inverse = [row[self._width :] for row in rows]

    def factors(self, sizes: Sequence[int]) -> tuple[Fraction, ...] | None:
        """The factors of the columns; None if no factors give all sizes."""
        values = [sum((part * size for part, size in zip(row, sizes, strict=True) if part), Fraction(0))
                  for row in self._inverse]  # fmt: skip
        if any(values[len(self._pivots) :]):
            return None
        found = [Fraction(0)] * self._width
        for column, value in zip(self._pivots, values, strict=False):
            found[column] = value
        return tuple(found)
