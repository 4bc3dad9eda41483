"""Unsloth's Triton kernels that replace parts of a decoder: RMSNorm, rotary embedding, cross-entropy.

Source: unsloth kernels/rms_layernorm.py, rope_embedding.py and cross_entropy_loss.py, as copied by fms-acceleration in
2024 (plugins/fused-ops-and-kernels, fms_acceleration_foak/kernels/unsloth).
"""

from __future__ import annotations

from toolkit.memory.formula.operations import Given, widened
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

NORM = "norm_states"
LOSSES = "log_probabilities"


def fast_norm(tape: Tape, x: Buffer, rows: int = 1) -> Buffer:
    """Fast_RMS_Layernorm: saves its input, its weight and a float32 number per row; backward overwrites its gradient.

    The weight gets no gradient.
    """
    result = tape.new(NORM, x.width, x.dtype, grad=x.grad, size=x.size)
    inverse = tape.new(NORM, rows, "fp32", size=widened(x, rows, "fp32"))
    saved = tape.save(x, inverse, constants=1) if x.grad else ()

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.share(gradient, x))]

    tape.node(result, backward, saved)
    tape.drop(inverse)
    return result


def fast_rotary(tape: Tape, x: Buffer, *, copies: bool) -> Buffer:
    """Fast_RoPE_Embedding: rotates x in place, and its gradient too, which must be contiguous.

    `copies` says that the gradient is not: that of keys that were repeated for every query head.
    """

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.gradient(x) if copies else tape.share(gradient, x))]

    return tape.node(x, backward)


def fast_cross_entropy(tape: Tape, x: Buffer) -> Buffer:
    """Fast_CrossEntropyLoss: saves the logits in their dtype, and overwrites them with their gradient."""
    whole = x.base or x
    rows = widened(x, 1, "fp32")
    sums = tape.new(LOSSES, 1, "fp32", size=rows)
    with tape.temporary(LOSSES, rows):
        result = tape.new(LOSSES, 0, "fp32", grad=True)

    def backward(_tape: Tape, _: Buffer) -> Given:
        whole.references += 1
        return [(x, whole)]

    tape.node(result, backward, tape.save(x, sums, constants=1))
    tape.drop(sums)
    return result
