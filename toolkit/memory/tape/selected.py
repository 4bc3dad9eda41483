"""What a checkpoint that selects by operation keeps of a layer, and what the layer's recomputation finds."""

from __future__ import annotations

from toolkit.memory.size import Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape


def selected(
    tape: Tape, row: str, width: int, dtype: str, *, grad: bool, size: Size | None = None, product: bool = False
) -> Buffer:
    """Allocate a result that a selective checkpoint keeps; of products it drops every second one.

    A recomputation returns the kept result, and the checkpoint drops its reference. Sources: torch.utils.checkpoint,
    _CachingTorchDispatchMode and _CachedTorchDispatchMode; torchtitan's policy (_apply_op_sac).
    """
    tape.products += product
    if tape.chosen is None or tape.stopped or (product and tape.products % 2 == 0):
        return tape.new(row, width, dtype, grad=grad, size=size)
    if tape.stop_after is not None:
        buffer = tape.adopted(tape.chosen.pop(0))
        buffer.grad = grad
        return buffer
    buffer = tape.new(row, width, dtype, grad=grad, size=size)
    buffer.references += 1
    tape.chosen.append(buffer)
    return buffer
