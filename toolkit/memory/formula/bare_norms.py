"""LayerNorms of a few families: without weights (OLMo), in float32 (Cohere, DeBERTa), of 1 + weight (Nemotron)."""

from __future__ import annotations

from toolkit.memory.formula.operations import Given, cast, letting_go, widened
from toolkit.memory.size import Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

ROW = "norm_states"


def kernel_norm(tape: Tape, x: Buffer, row: str = ROW, *, constants: int = 0) -> Buffer:
    """native_layer_norm in the dtype of its input; it saves the input, the mean and the inverse deviation."""
    statistics = tape.new(row, 2, "fp32", size=widened(x, 2, "fp32"))
    result = tape.new(row, x.width, x.dtype, grad=x.grad, size=x.size)
    saved = tape.save(x, statistics, constants=constants) if x.grad else ()

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    tape.node(result, backward, saved)
    tape.drop(statistics)
    return result


def bare_norm(tape: Tape, x: Buffer) -> Buffer:
    """layer_norm(x.float()).to(dtype), without weights (modeling_olmo.py, OlmoLayerNorm)."""
    wide = cast(tape, x, "fp32", ROW)
    result = kernel_norm(tape, wide)
    if wide is not x:
        tape.drop(wide)
    return letting_go(tape, result, cast(tape, result, x.dtype, ROW))


def one_plus_norm(tape: Tape, x: Buffer, autocast: str | None) -> Buffer:
    """layer_norm(x, weight + 1) in the dtype of autocast (modeling_nemotron.py, NemotronLayerNorm1P)."""
    inner = cast(tape, x, autocast or x.dtype, ROW)
    result = kernel_norm(tape, inner, constants=1)
    if inner is not x:
        tape.drop(inner)
    return result


def mean_of(tape: Tape, wide: Buffer, rows: int = 1) -> Buffer:
    """The mean of each of a token's `rows` of a float32 tensor; its gradient is expanded over the row."""
    narrow = Size(*[part // max(wide.width, 1) * rows for part in wide.size])
    mean = tape.new(ROW, 1, "fp32", grad=wide.grad, size=narrow)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(wide, tape.gradient(wide))]

    return tape.node(mean, backward)


def less(tape: Tape, wide: Buffer, mean: Buffer) -> Buffer:
    """Wide - mean: wide gets the gradient unchanged; that of the mean is the sum of its negative."""
    result = tape.new(ROW, wide.width, "fp32", grad=wide.grad, size=wide.size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        with tape.temporary("activation_gradients", wide.size):
            to_mean = tape.gradient(mean)
        return [(wide, tape.share(gradient, wide)), (mean, to_mean)]

    return tape.node(result, backward)


def divided(tape: Tape, wide: Buffer, root: Buffer) -> Buffer:
    """`wide / root`, both float32 and saved: the root's gradient takes four temporary tensors of the row's size.

    Source: torch/csrc/autograd/FunctionsManual.cpp, div_tensor_other_grad.
    """
    saved = tape.save(wide, root) if wide.grad else ()
    result = tape.new(ROW, wide.width, "fp32", grad=wide.grad, size=wide.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        passing = [tape.gradient(wide) for _ in range(4)]
        to_root = tape.gradient(root)
        for temporary in passing:
            tape.discard(temporary)
        return [(wide, tape.gradient(wide)), (root, to_root)]

    return tape.node(result, backward, saved)


def biased_row(tape: Tape, x: Buffer, *, trains: bool) -> Buffer:
    """`x + bias`: saves nothing; where the bias is trained, its gradient is summed over the tokens."""
    result = tape.new(ROW, x.width, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        if trains and x.size.token:
            tape.summed(x.width)
        return [(x, tape.share(gradient, x))]

    return tape.node(result, backward)
