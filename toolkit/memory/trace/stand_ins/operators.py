"""Operators that meta tensors lack or refuse, with the results that their CUDA kernels make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from toolkit.memory.trace.refusal import UnsupportedTrace

ALIGNMENT = 16
"""Bytes to which a grouped product's rows are padded."""


def stand_in_for(name: str, func: Callable[..., Any]) -> Callable[..., Any]:
    """What runs an operator on meta tensors: its own kernel, or what stands for the one of CUDA."""
    return partial(_by_value, name, func) if name in _BY_VALUE else _STAND_INS.get(name, func)


def _grouped_product(
    rows: torch.Tensor, weights: torch.Tensor, offsets: torch.Tensor | None = None, bias: object = None,
    out_dtype: torch.dtype | None = None,
) -> torch.Tensor:  # fmt: skip
    """One product for each expert, in any dtype, rows padded to 16 bytes: how tokens are spread does not matter.

    Source: aten/src/ATen/native/GroupedMMUtils.h, create_grouped_gemm_output_tensor. torch's own meta kernel takes
    bfloat16 alone and pads only in a build with CUDA. Tables of pointers that Hopper's kernel makes are left out.
    """
    del bias
    dtype = out_dtype or rows.dtype
    by_group = offsets is not None and rows.dim() == weights.dim() == 2
    batch = [offsets.shape[0]] if by_group and offsets is not None else []
    if not batch and rows.dim() == weights.dim() == 3:
        batch = [rows.shape[0]]
    shape = [*batch, rows.shape[-2], weights.shape[-1]]
    unit = ALIGNMENT // dtype.itemsize
    wide = -(-shape[-1] // unit) * unit
    strides = [shape[-2] * wide, wide, 1][-len(shape) :]
    return torch.empty_strided(shape, strides, dtype=dtype, device="meta")


def _nonzero(values: torch.Tensor) -> torch.Tensor:
    """Where one value for each example is not zero: everywhere, as what is asked for is whether it has a label."""
    if values.dim() != 1:
        return _reads_values("aten::nonzero")
    return torch.empty((values.numel(), 1), dtype=torch.long, device="meta")


def _copied(into: torch.Tensor, source: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    """A copy; what this rank sent to all others stands where it was sent from, and is not read back from the device."""
    if source.device.type != "meta" or into.device.type == "meta":
        copied: torch.Tensor = torch.ops.aten.copy_.default(into, source, non_blocking)
        return copied
    return into if torch.distributed.is_initialized() else _reads_values("aten::copy_")


def _by_value(name: str, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What goes by values runs on tensors that have some, as counters of optimizers do."""
    if args[0].device.type == "meta":
        return _reads_values(name)
    return func(*args, **kwargs)


def _reads_values(name: str) -> torch.Tensor:
    raise UnsupportedTrace(f"the model's code depends on values of tensors ({name}), which a trace does not have")


_BY_VALUE = frozenset(
    f"aten::{name}" for name in ("_local_scalar_dense", "unique_consecutive", "_unique2", "masked_select", "equal")
)


def selects(args: Sequence[Any]) -> bool:
    """Whether elements of a meta tensor are picked by a mask."""
    mask = args[1]
    masks = mask if isinstance(mask, (list, tuple)) else (mask,)
    return any(one is not None and one.dtype == torch.bool and one.device.type == "meta" for one in masks)


def _picked(values: torch.Tensor, masks: Sequence[torch.Tensor]) -> torch.Tensor:
    """Rows by a mask that is true everywhere: its positions are written out while they are gathered."""
    _positions(masks[0])
    return torch.empty((masks[0].numel(), *values.shape[masks[0].dim() :]), dtype=values.dtype, device="meta")


def _rows(values: torch.Tensor, indices: Sequence[torch.Tensor | None]) -> torch.Tensor:
    """Rows by index; by a mask there are as many as it has values that are true."""
    if selects((values, indices)):
        return _reads_values("aten::index by a mask")
    rows: torch.Tensor = torch.ops.aten.index.Tensor(values, indices)
    return rows


def _put(
    values: torch.Tensor, masks: Sequence[torch.Tensor], given: torch.Tensor, accumulate: bool = False
) -> torch.Tensor:
    """The backward of picking: added in place; a sum by index sorts positions."""
    where = _positions(masks[0])
    if accumulate:
        _ = [torch.empty_like(where[:, 0]) for _ in range(3)]
    del given
    return values


def _selected(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    del mask
    return torch.empty(values.numel(), dtype=values.dtype, device="meta")


def _positions(mask: torch.Tensor) -> torch.Tensor:
    return torch.empty((mask.numel(), mask.dim()), dtype=torch.long, device="meta")


SELECTIONS: Mapping[str, Callable[..., Any]] = {
    "aten::index.Tensor": _picked,
    "aten::index_put": _put,
    "aten::index_put_": _put,
    "aten::_index_put_impl_": _put,
    "aten::masked_select": _selected,
}
"""What a mask that is true everywhere picks, with every allocation seen."""

IN_PLACE: Mapping[str, Callable[..., Any]] = {
    "aten::scatter_add": torch.ops.aten.scatter_add_.default,
    "aten::index_put": torch.ops.aten.index_put_.default,
    "aten::index_add": torch.ops.aten.index_add_.default,
}
"""What backward formulas do in place, but not while a dispatch mode looks on; a GPU run has none.

Source: torch/csrc/autograd/FunctionsManual.cpp, gather_backward and index_backward, which ask isTensorSubclassLike.
"""

_STAND_INS: Mapping[str, Callable[..., Any]] = {
    "aten::copy_": _copied,
    "aten::nonzero": _nonzero,
    "aten::index.Tensor": _rows,
    "aten::_grouped_mm": _grouped_product,
}


@contextmanager
def standing_in(owner: Any, name: str, stand_in: Any) -> Iterator[None]:
    """Puts something in the place of an attribute, whether there was one or not, and puts it back."""
    missing = object()
    before = getattr(owner, name, missing)
    setattr(owner, name, stand_in)
    try:
        yield
    finally:
        if before is missing:
            delattr(owner, name)
        else:
            setattr(owner, name, before)
