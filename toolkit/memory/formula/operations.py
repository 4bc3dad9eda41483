"""Elementwise operations as autograd runs them: what each allocates and saves, and what its backward allocates.

Source: torch/csrc/autograd derivatives.yaml, checked by tracing torch 2.13. Widths are elements per token.
"""

from __future__ import annotations

from collections.abc import Callable

from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

Given = list[tuple[Buffer, Buffer]]
Backward = Callable[[Tape, Buffer], Given]


def wider(first: str, second: str) -> str:
    """The dtype to which torch promotes two floating dtypes."""
    if first == second:
        return first
    return "fp32" if "fp32" in (first, second) or {first, second} == {"bf16", "fp16"} else max(first, second)


def resized(buffer: Buffer, dtype: str) -> Size:
    """The size of a tensor in another dtype."""
    return Size(*[part * BYTES[dtype] // BYTES[buffer.dtype] for part in buffer.size])


def widened(buffer: Buffer, width: int, dtype: str) -> Size:
    """The size of a tensor of as many rows as another has, each of a width and a dtype."""
    own = buffer.width * BYTES[buffer.dtype]
    return Size(*[part * width * BYTES[dtype] // own for part in buffer.size])


def cast(tape: Tape, x: Buffer, dtype: str, row: str) -> Buffer:
    """`x.to(dtype)`: x itself where it has that dtype. Saves nothing."""
    if x.dtype == dtype:
        return x
    result = tape.new(row, x.width, dtype, grad=x.grad, size=resized(x, dtype))

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.share(gradient, x))]

    return tape.node(result, backward)


def lowered(tape: Tape, x: Buffer, dtype: str, row: str) -> Buffer:
    """The operand in autocast's dtype: a float32 leaf is cast once, and the copy is cached until autocast ends.

    A reentrant checkpoint detaches its input, which makes it a leaf (aten/src/ATen/autocast_mode.cpp, cached_cast).
    """
    if x is not tape.leaf or x.dtype != "fp32":
        return cast(tape, x, dtype, row)
    if dtype not in tape.lowered:
        tape.lowered[dtype] = cast(tape, x, dtype, row)
        tape.hold(tape.lowered[dtype])
    return tape.lowered[dtype]


def letting_go(tape: Tape, original: Buffer, replacement: Buffer) -> Buffer:
    """Drop a tensor whose name is rebound, unless it is rebound to the same tensor."""
    if replacement is not original:
        tape.drop(original)
    return replacement


def add_into(tape: Tape, x: Buffer, y: Buffer) -> Buffer:
    """`x += y`: returns x itself; its gradient goes to both."""
    x.grad = x.grad or y.grad

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(part, tape.share(gradient, part)) for part in (x, y) if part.grad]

    return tape.node(x, backward)


def scale_in_place(tape: Tape, x: Buffer) -> Buffer:
    """`x *= c`, where c needs no gradient: returns x itself; its gradient is a new tensor."""
    saved = tape.save(constants=1) if x.grad else ()

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(x, backward, saved)


def clip_in_place(tape: Tape, x: Buffer, row: str) -> Buffer:
    """`x.clamp_()`: autograd saves a copy of the original x; backward makes masks of the elements within bounds."""
    if not x.grad:
        return x
    before = tape.new(row, x.width, x.dtype, size=x.size)
    saved = tape.save(before)

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary("activation_gradients", resized(x, "bool").times(2)):
            return [(x, tape.gradient(x))]

    tape.node(x, backward, saved)
    tape.drop(before)
    return x


def add(tape: Tape, x: Buffer, y: Buffer, row: str) -> Buffer:
    """`x + y`: saves nothing and passes its gradient on to both."""
    dtype = wider(x.dtype, y.dtype)
    larger = x if x.dtype == dtype else y
    result = tape.new(row, larger.width, dtype, grad=x.grad or y.grad, size=resized(larger, dtype))

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(part, tape.share(gradient, part)) for part in (x, y) if part.grad]

    return tape.node(result, backward)


def add_in_place(tape: Tape, x: Buffer, y: Buffer) -> Buffer:
    """`x += y`: the result is in the memory of x, and both share one gradient."""
    result = Buffer(x.row, x.size, x.width, x.dtype, x.grad or y.grad, held=False, counted=False, base=x.base or x)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(part, tape.share(gradient, part)) for part in (x, y) if part.grad]

    return tape.node(result, backward)


def part_of(tape: Tape, whole: Buffer, width: int, *, copies: bool) -> Buffer:
    """A part of a tensor, as a view or as a copy; backward puts its gradient into zeros of the size of the whole."""
    part = tape.new(whole.row, width, whole.dtype, grad=whole.grad) if copies else _view(whole, width)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(whole, tape.gradient(whole))]

    return tape.node(part, backward)


def multiply(tape: Tape, x: Buffer, y: Buffer, row: str) -> Buffer:
    """`x * y`, two activations: saves each where the other needs a gradient.

    Gradients come in the wider dtype, and the engine casts them once both are there (engine.cpp, validate_outputs).
    """
    dtype = wider(x.dtype, y.dtype)
    saved = tape.save(*([x] if y.grad else []), *([y] if x.grad else []))
    result = tape.new(row, x.width, dtype, grad=x.grad or y.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        wide = [(part, tape.gradient(part, dtype)) for part in (x, y) if part.grad]
        tape.returned()
        return [(part, narrowed(tape, part, given)) for part, given in wide]

    return tape.node(result, backward, saved)


def narrowed(tape: Tape, of: Buffer, gradient: Buffer) -> Buffer:
    """A gradient in the dtype of its tensor: the engine makes a copy, and frees the wider one."""
    if gradient.dtype == of.dtype:
        return gradient
    narrow = tape.gradient(of)
    tape.discard(gradient)
    return narrow


def contract(tape: Tape, x: Buffer, y: Buffer, row: str, width: int, size: Size, *, added: bool = False) -> Buffer:
    """`torch.bmm(x, y)` of two activations, with the result's size; saves each where the other needs a gradient.

    The gradient of y comes first, unless the product is `added` to something (baddbmm): an operator's gradients are
    made in the order of the names of its arguments (torchgen, derivatives.yaml).
    """
    saved = tape.save(*([x] if y.grad else []), *([y] if x.grad else []))
    result = tape.new(row, width, x.dtype, grad=x.grad or y.grad, size=size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(part, tape.gradient(part)) for part in ((x, y) if added else (y, x)) if part.grad]

    return tape.node(result, backward, saved)


def scale(tape: Tape, x: Buffer, row: str, *, dtype: str | None = None, constants: int = 1) -> Buffer:
    """`x * c` with a constant that needs no gradient and is not an activation: saves only the constant.

    A Python number is not a saved tensor: `constants` is then 0.
    """
    if x.grad and constants:
        tape.save(constants=constants)
    wide = dtype or x.dtype
    result = tape.new(row, x.width, wide, grad=x.grad, size=resized(x, wide))

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward)


def activate(tape: Tape, x: Buffer, row: str) -> Buffer:
    """A fused activation (silu, gelu, gelu_pytorch_tanh, relu): one result; saves its input (relu: its result)."""
    saved = tape.save(x) if x.grad else ()
    result = tape.new(row, x.width, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward, saved)


def drop_out(tape: Tape, x: Buffer, row: str) -> Buffer:
    """Dropout with a probability above zero: one result, and a mask of one byte an element that is saved."""
    if not tape.trains:
        return x
    mask = tape.new(row, x.width, "bool", size=resized(x, "bool"))
    result = tape.new(row, x.width, x.dtype, grad=x.grad, size=x.size)
    saved = tape.save(mask) if x.grad else ()

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    tape.node(result, backward, saved)
    tape.drop(mask)
    return result


def transposed(tape: Tape, x: Buffer) -> Buffer:
    """A contiguous copy with the heads before the positions, or back."""
    result = tape.new(x.row, x.width, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.share(gradient, x))]

    return tape.node(result, backward)


def headed(tape: Tape, x: Buffer) -> Buffer:
    """The same where its gradient is copied back as well, as that of a product of matrices, which has its own order."""
    result = tape.new(x.row, x.width, x.dtype, grad=x.grad, size=x.size)
    return tape.node(result, lambda tape, _: [(x, tape.gradient(x))])


def shifted(tape: Tape, x: Buffer, row: str, dtype: str | None = None) -> Buffer:
    """`x + c` with a number, or with a tensor without gradient in a wider `dtype`: x gets the gradient, or a cast."""
    wide = dtype or x.dtype
    result = tape.new(row, x.width, wide, grad=x.grad, size=resized(x, wide))
    return tape.node(result, lambda tape, gradient: [(x, tape.share(gradient, x))])


def split(tape: Tape, whole: Buffer, widths: tuple[int, ...]) -> tuple[Buffer, ...]:
    """Adjacent views of a tensor. Backward waits for all their gradients, and then concatenates them."""
    views = tuple(_view(whole, width) for width in widths)
    waiting: list[Buffer] = []
    for index, view in enumerate(views):
        tape.node(view, _joining(whole, waiting, last=index == 0))
    return views


def _view(whole: Buffer, width: int) -> Buffer:
    size = Size(token=width * BYTES[whole.dtype])
    return Buffer(whole.row, size, width, whole.dtype, whole.grad, held=False, counted=False, base=whole)


def _joining(whole: Buffer, waiting: list[Buffer], *, last: bool) -> Backward:
    """The part of one view in the backward of a split; the first view's comes last."""

    def backward(tape: Tape, gradient: Buffer) -> Given:
        gradient.references += 1
        waiting.append(gradient)
        if not last:
            return []
        joined = tape.gradient(whole)
        for part in waiting:
            tape.discard(part)
        waiting.clear()
        return [(whole, joined)]

    return backward
