"""What GPU kernels take beside their results: memory that exists only while an operator runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch

Scratch = tuple[Sequence[int], Sequence[int]]
"""Bytes of the buffers that are made before the operator's results, and after them."""

NOTHING: Scratch = ((), ())

FUSED_ROWS = 4
"""Up to so many rows bitsandbytes multiplies packed 4-bit weights without unpacking them, on every GPU, if scales do
not cross rows (backends/cuda/ops.py, _gemm_4bit_use_custom_cuda). Up to 1,536 it depends on shape, compute capability
and number of multiprocessors whether it does; here it then unpacks, which takes the most memory."""

_MULTIPLICATIONS = frozenset(
    f"aten::{name}" for name in ("mm", "addmm", "bmm", "baddbmm", "matmul", "linear", "_scaled_mm", "_grouped_mm")
)


def multiplies(name: str) -> bool:
    """Whether an operator asks cuBLAS for its workspace."""
    return name in _MULTIPLICATIONS or name.startswith("bitsandbytes::gemm_4bit")


def scratch_of(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Scratch:
    """What the kernel of an operator takes meanwhile, in bytes."""
    found = _SCRATCH.get(name)
    return found(args, kwargs) if found else NOTHING


def _flash_backward(args: Sequence[Any], _: Mapping[str, Any]) -> Scratch:
    """Sums of dq in float32 over lengths padded to 128, row sums, and dk and dv for every query head.

    Source: aten/src/ATen/native/transformers/cuda/flash_attn/flash_api.cpp, mha_bwd.
    """
    _, query, key, value = args[:4]
    batch, heads, length, width = query.shape
    padded = -(-length // 128) * 128
    sums = batch * heads * padded * 4
    accumulated = batch * heads * padded * (-(-width // 32) * 32) * 4
    expanded = [
        batch * heads * part.shape[2] * part.shape[3] * part.element_size()
        for part in (key, value)
        if part.shape[1] != heads
    ]
    return (), (sums, accumulated, *expanded)


def _efficient_backward(args: Sequence[Any], _: Mapping[str, Any]) -> Scratch:
    """Row sums of the output and its gradient (aten/src/ATen/native/transformers/cuda/attention_backward.cu)."""
    query = args[1]
    batch, heads, length, _width = query.shape
    return (batch * heads * (-(-length // 16) * 16) * 4,), ()


def _gemm_4bit(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Scratch:
    """The unpacked weight, and for doubly quantized ones its unpacked scales first (backends/cuda/ops.py)."""
    rows, weight_shape, block = args[0], args[2], args[4]
    if prod(rows.shape[:-1]) <= FUSED_ROWS and rows.shape[-1] % block == 0:
        return NOTHING
    elements = prod(weight_shape)
    nested = kwargs.get("absmax_8bit", args[7] if len(args) > 7 else None)
    scales = () if nested is None else (nested.numel() * torch.float32.itemsize,)
    return (*scales, elements * rows.element_size()), ()


def _embedding_backward(args: Sequence[Any], _: Mapping[str, Any]) -> Scratch:
    """Sorted copies of many indices (aten/src/ATen/native/cuda/Embedding.cu): few are summed as they stand."""
    indices = args[1]
    if indices.numel() <= 3072:
        return NOTHING
    size = indices.numel() * indices.element_size()
    return (), (size, size)


_SCRATCH: Mapping[str, Callable[[Sequence[Any], Mapping[str, Any]], Scratch]] = {
    "aten::_scaled_dot_product_flash_attention_backward": _flash_backward,
    "aten::_scaled_dot_product_efficient_attention_backward": _efficient_backward,
    "aten::embedding_dense_backward": _embedding_backward,
    "bitsandbytes::gemm_4bit": _gemm_4bit,
}
