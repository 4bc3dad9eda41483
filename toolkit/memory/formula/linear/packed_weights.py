"""Products with GPTQ, AWQ and FP8 weights in generation, and the buffers of their kernels."""

from __future__ import annotations

from toolkit.memory.architecture.autoawq import FAMILY as AUTOAWQ
from toolkit.memory.context import Context
from toolkit.memory.formula.linear.exllama import unsplit_end
from toolkit.memory.formula.operations import resized
from toolkit.memory.ledger import PhaseName
from toolkit.memory.loading.autoawq import made
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape
from toolkit.memory.weights.quantization import FP8_BLOCK

DEQUANTIZED = "dequantized_weight"
PARTIAL = "split_products"
QUANTIZED_INPUTS = "cast_copies"

HALF = BYTES["fp16"]
"""Bytes of a float16 or an int16."""

WIDE = 8
"""Bits of values that are unpacked as int16."""
AWQ_PARTS = 8
"""The number of parts into which AWQ's kernel splits the inputs before it adds their products (split_k_iters)."""


def awq_product(tape: Tape, x: Buffer, weight: int, outputs: int, row: str, *, dense: bool) -> Buffer:
    """WQLinear_GEMM (autoawq, awq/modules/linear/gemm.py): `weight` elements, dequantized to float16 where `dense`.

    Otherwise the partial products of gemm_forward_cuda (AutoAWQ_kernels, gemm_cuda_gen.cu) are added.
    """
    if dense:
        unpacked = tape.new(DEQUANTIZED, 0, "fp16", size=Size(fixed=weight * BYTES["fp16"]))
    else:
        unpacked = tape.new(PARTIAL, AWQ_PARTS * outputs, "fp16")
    result = tape.new(row, outputs, x.dtype)
    tape.drop(unpacked)
    return result


def gptq_product(tape: Tape, x: Buffer, weight: int, outputs: int, row: str, *, dense: bool, bits: int = 8) -> Buffer:
    """auto-gptq's first kernel (nn_modules/qlinear/qlinear_cuda_old.py), which takes 8 bits, unlike ExLlama's.

    Where `dense` the `weight` elements are shifted as int32, cast to int16 (int8 for 4 bits) and masked; minus their
    zeros they are multiplied by the scales in float16. Otherwise input and result are float32.
    """
    whole = HALF if bits == WIDE else BYTES["int8"]
    if not dense:
        wide = tape.new(QUANTIZED_INPUTS, x.width, "fp32", size=resized(x, "fp32"))
        sums = tape.new(QUANTIZED_INPUTS, outputs, "fp32")
        result = tape.new(row, outputs, x.dtype)
        tape.drop(wide, sums)
        return result
    with tape.temporary(DEQUANTIZED, Size(fixed=weight * (BYTES["int32"] + whole))):
        pass
    with tape.temporary(DEQUANTIZED, Size(fixed=weight * (2 * whole + HALF))):  # masked, minus zeros, and scaled
        pass
    unpacked = tape.new(DEQUANTIZED, 0, "fp16", size=Size(fixed=weight * HALF))
    result = tape.new(row, outputs, x.dtype)
    tape.drop(unpacked)
    return result


def biased(tape: Tape, x: Buffer, row: str) -> Buffer:
    """`x + bias` in a new tensor, where a kernel has no bias of its own."""
    result = tape.new(row, x.width, x.dtype, size=x.size)
    tape.drop(x)
    return result


def fp8_product(tape: Tape, x: Buffer, inputs: int, outputs: int, row: str) -> Buffer:
    """FP8Linear (transformers, integrations/finegrained_fp8.py): the input in FP8, with a scale for 128 values."""
    scales = -(-inputs // FP8_BLOCK) * BYTES["fp32"]
    with tape.temporary(QUANTIZED_INPUTS, Size(token=inputs * BYTES["fp8"] + scales)):
        return tape.new(row, outputs, x.dtype)


def fused_copies(context: Context, _: PhaseName) -> int:
    """What AutoAWQ concatenates or casts while it makes its blocks, beside the modules that they replace."""
    return made(context).copies if context.architecture.family == AUTOAWQ else 0


def unsplit_blocks(context: Context, phase: PhaseName) -> int:
    """The ends of blocks that the allocator does not split off while the model is loaded."""
    if context.architecture.family == AUTOAWQ:
        return made(context).ends if phase is PhaseName.LOAD else made(context).ends_after
    return context.sums.unsplit + unsplit_end(context)
