"""Products with torchao's NF4 weights, which are dequantized by 64-bit indices each time.

Source: torchao quantize_/workflows/nf4/nf4_tensor.py, LinearNF4 and NF4Tensor.get_original_weight.
"""

from __future__ import annotations

from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.linear.products import DEQUANTIZED
from toolkit.memory.formula.operations import Given
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

INDEXED = "torchao-nf4"


def nf4_product(tape: Tape, x: Buffer, form: LinearForm, row: str) -> Buffer:
    """The whole weight is dequantized in forward and in backward; the input is not saved."""
    saved = tape.save(constants=1) if x.grad else ()
    weight = Size(fixed=form.elements * BYTES[form.compute])
    with tape.temporary(DEQUANTIZED, _writing_out(form)):
        pass
    with tape.temporary(DEQUANTIZED, weight):
        made = tape.new(row, form.outputs, form.compute, grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(DEQUANTIZED, _writing_out(form)):
            pass
        with tape.temporary(DEQUANTIZED, weight):
            given = tape.gradient(x)
        return [(x, given)]

    return tape.node(made, backward, saved)


def _writing_out(form: LinearForm) -> Size:
    """All at once: an index for each value, the values, the values times their scales, and the interleaved halves.

    Scales, one per 64 values, are there in the compute dtype.
    """
    item = BYTES[form.compute]
    return Size(fixed=form.elements * (BYTES["int64"] + 3 * item) + form.elements // 64 * item)
