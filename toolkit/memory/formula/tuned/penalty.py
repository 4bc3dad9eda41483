"""The penalty of AdaLoRA: how far A and B are from orthogonal, which peft adds to the loss that a model returns.

Source: peft 0.21 tuners/adalora/model.py, AdaLoraModel.forward; torch/csrc/autograd/engine.cpp, whose ready queue takes
what was made last first. So all gradients of the penalty are there before the loss goes back, and each waits for the
one that the layer gives (input_buffer.cpp), to which it is added in place.
"""

from __future__ import annotations

from toolkit.memory.context import Context
from toolkit.memory.size import BYTES


def waiting_matrices(context: Context) -> tuple[tuple[int, int], ...]:
    """Of each form of matrix that the penalty is of the bytes of one gradient, and how many there are."""
    setting = context.setting
    if setting.method != "adalora" or not setting.trains or setting.objective != "next-token" or setting.peft is None:
        return ()
    numbers = (setting.peft.rank, 1)  # of the ranks, which the penalty is not of
    item = BYTES[context.numerics.gradient]
    return tuple(
        (one.elements * item, one.count)
        for one in context.sums.trained
        if len(one.shape) == len(numbers) and one.shape != numbers and not one.copied and not one.embedding
    )


def waiting_bytes(context: Context) -> int:
    """Bytes of all gradients of the penalty."""
    return sum(size * count for size, count in waiting_matrices(context))
