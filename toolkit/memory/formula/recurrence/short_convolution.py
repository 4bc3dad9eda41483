"""A short convolution between two gates, in place of attention.

Source: transformers 5.23 modeling_lfm2.py, Lfm2ShortConv.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.operations import multiply, split
from toolkit.memory.formula.recurrence.convolution import ROW, ConvolutionForm, convolve
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape


@frozen
class ShortForm:
    """A short convolution as a tape needs it: `inward` computes two gates and the convolution's input."""

    inward: LinearForm
    output: LinearForm
    convolution: ConvolutionForm


def short_convolution(tape: Tape, x: Buffer, form: ShortForm) -> Buffer:
    """out(C * convolved(B * x)); the caller keeps `x`."""
    whole = linear(tape, x, form.inward, ROW)
    width = form.convolution.channels
    before, after, inner = split(tape, whole, (width, width, width))
    gated = multiply(tape, before, inner, ROW)
    convolved = convolve(tape, gated, form.convolution)
    product = multiply(tape, after, convolved, ROW)
    tape.drop(convolved.base or convolved)
    result = linear(tape, product, form.output, ROW)
    tape.drop(product, whole)
    return result
