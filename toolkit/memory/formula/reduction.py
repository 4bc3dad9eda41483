"""The buffer of torch's CUDA kernel for sums: partial sums of the blocks of threads that share an output.

Letters: T rows are summed to N outputs that are contiguous in memory, as for the gradient of a bias.
"""

from __future__ import annotations

from functools import lru_cache

from toolkit.facts.multiprocessors import Multiprocessors

ROW = "reduction_buffer"

MAX_THREADS = 512
WARP = 32
MAX_VECTOR = 4
MIN_VALUES, MAX_VALUES = 16, 256
"""The fewest values that each thread adds up where several blocks share an output, and the most unless it must."""
STAGED_FROM = 1021
"""Rows from which more than one block may share an output: four threads then add up 256 values each."""
ACCUMULATOR = 4
"""Bytes of a partial sum: float32 for tensors of float32, float16 and bfloat16."""


@lru_cache(maxsize=4096)
def staged_bytes(outputs: int, rows: int, on: Multiprocessors) -> int:
    """Bytes of the partial sums of `rows` to `outputs`; 0 where one block of threads sums up each output.

    Each thread loads up to four outputs at once. The buffer has room for outputs x blocks x width x vector, although
    outputs already includes width and vector. The semaphores beside it, 4 bytes for each 128 outputs, are left out.
    Source: aten/src/ATen/native/cuda/Reduce.cuh, setReduceConfig, set_block_dimension, global_memory_size.
    """
    vector = MAX_VECTOR
    while outputs % vector:
        vector //= 2
    most = MAX_THREADS // vector
    columns, deep = _floor_power(min(outputs // vector, most)), _floor_power(min(rows, most))
    width = min(columns, WARP)
    height = min(deep, most // width)
    width = min(columns, most // height)
    values = -(-rows // height)
    grid = -(-(outputs // vector) // width)
    target = on.count * (on.threads // (width * height))
    if rows < min(height * MIN_VALUES, MAX_VALUES) or values < MAX_VALUES or grid > target:
        return 0
    blocks = max(min(-(-target // grid), -(-values // MIN_VALUES)), -(-values // MAX_VALUES))
    return ACCUMULATOR * outputs * blocks * width * vector if blocks > 1 else 0


def _floor_power(number: int) -> int:
    return 1 << (number.bit_length() - 1)
