"""What GPU kernels take beside their results: memory that exists only while an operator runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch

from toolkit.memory.timeline.sizes import EFFICIENT_BLOCK, EFFICIENT_TILE, FLASH_TILE, FUSED_ROWS, SORTED_FROM

Scratch = tuple[Sequence[int], Sequence[int]]
"""Bytes of the buffers that are made before the operator's results, and after them.

Where a kernel needs a buffer only from some size on, it stands here with no bytes below: so the same events are seen at
every size."""

NOTHING: Scratch = ((), ())

EFFICIENT_LOCK = 16
"""Bytes of a lock, a counter and padding of each block (kernel_backward.h, GradQTempStorage)."""

_MULTIPLICATIONS = frozenset(
    f"aten::{name}" for name in ("mm", "addmm", "bmm", "baddbmm", "matmul", "linear", "_scaled_mm", "_grouped_mm")
)


def multiplies(name: str) -> bool:
    """Whether an operator asks cuBLAS for its workspace."""
    return name.partition(".")[0] in _MULTIPLICATIONS or name.startswith("bitsandbytes::gemm_4bit")


def as_made(name: str, results: list[Any]) -> list[Any]:
    """The results of an operator in the order in which its kernel on a GPU asks for them.

    Dropout makes its mask first (aten/src/ATen/native/cuda/Dropout.cu, dropout_cuda).
    """
    return results[::-1] if name == "aten::native_dropout" else results


def sum_of(name: str, args: Sequence[Any]) -> tuple[int, int] | None:
    """Outputs and rows of a sum of all rows of a tensor in one piece, as for the gradient of a bias.

    Dimensions are taken in the order in which they lie in memory, as torch does (TensorIterator.cpp,
    reorder_dimensions). Sums within rows are left out: a block of threads, or few of them, add up an output.
    """
    if name != "aten::sum.dim_IntList" or not args[1]:
        return None
    tensor = args[0]
    given = {one % tensor.dim() for one in args[1]}
    lies = sorted((one for one in range(tensor.dim()) if tensor.shape[one] > 1), key=tensor.stride, reverse=True)
    outer = [one for one in lies if one in given]
    rows, outputs = (prod(tensor.shape[one] for one in some) for some in (outer, set(lies) - given))
    leading = lies[: len(outer)] == outer and tensor.permute(*lies, *_of_one(tensor)).is_contiguous()
    return (outputs, rows) if leading and rows > 1 and outputs > 1 else None


def _of_one(tensor: torch.Tensor) -> list[int]:
    return [one for one, size in enumerate(tensor.shape) if size == 1]


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
    padded = -(-length // FLASH_TILE) * FLASH_TILE
    sums = batch * heads * padded * 4
    accumulated = batch * heads * padded * (-(-width // 32) * 32) * 4
    expanded = [
        batch * heads * part.shape[2] * part.shape[3] * part.element_size()
        for part in (key, value)
        if part.shape[1] != heads
    ]
    return (), (sums, accumulated, *expanded)


def _varying_backward(args: Sequence[Any], _: Mapping[str, Any]) -> Scratch:
    """The same for rows of any length one after the other: as many tokens as there are, and 128 more for each row.

    Source: as above, mha_varlen_bwd.
    """
    _, query, key, value, _, _, rows = args[:7]
    tokens, heads, width = query.shape
    padded = tokens + FLASH_TILE * (rows.numel() - 1)
    accumulated = padded * heads * (-(-width // 32) * 32) * 4
    expanded = [
        part.shape[0] * heads * part.shape[2] * part.element_size() for part in (key, value) if part.shape[1] != heads
    ]
    return (), (padded * heads * 4, accumulated, *expanded)


def _efficient_backward(args: Sequence[Any], _: Mapping[str, Any]) -> Scratch:
    """Row sums of the output and its gradient, and float32 sums of the gradient of the queries, block by block.

    Each block of 64 tokens and 64 columns of a head has a lock, too. Heads of more than 64 have blocks of 128 tokens on
    some GPUs, and sums of the gradients of keys and values on others; these are left out. Sources:
    aten/src/ATen/native/transformers/cuda/attention_backward.cu; mem_eff_attention/kernel_backward.h, workspace_size.
    """
    query = args[1]
    batch, heads, length, width = query.shape
    blocks = -(-length // EFFICIENT_BLOCK) * -(-width // EFFICIENT_BLOCK)
    sums = batch * heads * (-(-length // EFFICIENT_TILE) * EFFICIENT_TILE) * 4
    return (), (sums, batch * heads * blocks * (EFFICIENT_BLOCK * EFFICIENT_BLOCK * 4 + EFFICIENT_LOCK))


def _product(args: Sequence[Any], _: Mapping[str, Any]) -> Scratch:
    """Copies of matrices whose elements lie in one place: cuBLAS takes none (cuda/Blas.cpp, prepare_matrix_for_cublas).

    Such is the gradient of a sum. The copy is made once the result is there.
    """
    matrices = [part for part in args if part.dim() == len(MATRIX) and part.numel() > 1 and not any(part.stride())]
    return (), tuple(part.numel() * part.element_size() for part in matrices)


def _singular_vectors(args: Sequence[Any], _: Mapping[str, Any]) -> Scratch:
    """A copy, column by column, that cuSOLVER overwrites (cuda/linalg/BatchLinearAlgebraLib.cpp, svd_cusolver).

    Its workspace is of a size that only cuSOLVER tells, and is left out.
    """
    return (), (args[0].numel() * args[0].element_size(),)


def _gemm_4bit(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Scratch:
    """The unpacked weight, and for doubly quantized ones its unpacked scales first (backends/cuda/ops.py).

    Few rows are multiplied with packed weights, if scales do not cross rows (_gemm_4bit_use_custom_cuda). From there up
    to 1,536 rows it depends on shape, compute capability and number of multiprocessors; here they are unpacked, which
    takes the most memory.
    """
    rows, weight_shape, block = args[0], args[2], args[4]
    unpacks = prod(rows.shape[:-1]) > FUSED_ROWS or rows.shape[-1] % block != 0
    elements = prod(weight_shape) if unpacks else 0
    nested = kwargs.get("absmax_8bit", args[7] if len(args) > 7 else None)
    scales = () if nested is None else (nested.numel() * torch.float32.itemsize if unpacks else 0,)
    return (*scales, elements * rows.element_size()), ()


def _embedding_backward(args: Sequence[Any], _: Mapping[str, Any]) -> Scratch:
    """Sorted copies of many indices (aten/src/ATen/native/cuda/Embedding.cu): few are summed as they stand."""
    indices = args[1]
    size = indices.numel() * indices.element_size() if indices.numel() > SORTED_FROM else 0
    return (), (size, size)


MATRIX = ("rows", "columns")


def _convolution(args: Sequence[Any], _: Mapping[str, Any]) -> Scratch:
    """A copy in one piece of what channels are convolved of, each by itself (native/Convolution.cpp, _convolution)."""
    return (_piece(args[0]) if args[8] > 1 else 0,), ()


def _convolution_backward(args: Sequence[Any], _: Mapping[str, Any]) -> Scratch:
    """The same of what was convolved (native/cuda/DepthwiseConv2d.cu, conv_depthwise2d_backward_cuda)."""
    return (_piece(args[1]) if args[9] > 1 else 0,), ()


def _piece(tensor: torch.Tensor) -> int:
    return 0 if tensor.is_contiguous() else tensor.numel() * tensor.element_size()


_SCRATCH: Mapping[str, Callable[[Sequence[Any], Mapping[str, Any]], Scratch]] = {
    "aten::_scaled_dot_product_flash_attention_backward": _flash_backward,
    "aten::_flash_attention_backward": _varying_backward,
    "aten::_scaled_dot_product_efficient_attention_backward": _efficient_backward,
    "aten::embedding_dense_backward": _embedding_backward,
    "aten::_linalg_svd": _singular_vectors,
    "aten::convolution": _convolution,
    "aten::convolution_backward": _convolution_backward,
    "aten::mm": _product,
    "bitsandbytes::gemm_4bit": _gemm_4bit,
}
