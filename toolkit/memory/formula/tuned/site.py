"""The linear layer on a tape that a peft method adapts, and the operations of the method's code.

Matrices of weights have a fixed size, activations a size per token; operations take both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from toolkit.memory.formula.adapters.lora_branch import BRANCH
from toolkit.memory.formula.linear.linear_form import LinearForm, Tuner
from toolkit.memory.formula.operations import Backward, Given, narrowed, resized, widened, wider
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape

MATRIX = "adapter_matrices"
"""The row of matrices that a method computes from its parameters in every pass."""

Base: TypeAlias = Callable[[Buffer], Buffer]


@dataclass(slots=True)
class Site:
    """A linear layer with an adapter; `base` computes the layer's own result of an input."""

    tape: Tape
    form: LinearForm
    tuner: Tuner
    row: str
    base: Base

    @property
    def dtype(self) -> str:
        """The dtype of the adapter."""
        return self.tuner.dtype

    def parameter(self, elements: int) -> Buffer:
        """A trained tensor of the adapter."""
        return self.tape.parameter(elements, self.tuner.gradient)

    def frozen(self, elements: int, dtype: str) -> Buffer:
        """A tensor that always exists and gets no gradient."""
        size = Size(fixed=elements * BYTES[dtype])
        return Buffer(MATRIX, size, 0, dtype, grad=False, held=False, counted=False, parameter=True)

    def drop(self, *buffers: Buffer) -> None:
        """The code drops its references."""
        self.tape.drop(*buffers)

    def swap(self, old: Buffer, new: Buffer) -> Buffer:
        """The code rebinds a name to another tensor."""
        if new is not old:
            self.tape.drop(old)
        return new

    def made(
        self, size: Size, dtype: str, inputs: tuple[Buffer, ...], keeps: tuple[Buffer, ...] = (), *,
        width: int = 0, row: str = "", backward: Backward | None = None,
    ) -> Buffer:  # fmt: skip
        """The result of an operation; its backward makes a new gradient for each input that needs one."""
        sources = [one for one in inputs if one.grad]
        counted = [one for one in keeps if not one.parameter] if sources else []
        saved = self.tape.save(*counted, constants=len(keeps) - len(counted)) if sources else ()
        name = row or (MATRIX if size.fixed else BRANCH)
        result = self.tape.new(name, width, dtype, grad=bool(sources), size=size)

        def own(tape: Tape, _: Buffer) -> Given:
            return [(one, given(tape, one)) for one in sources]

        return self.tape.node(result, backward or own, saved)

    def matrix(
        self, elements: int, dtype: str, inputs: tuple[Buffer, ...] = (), keeps: tuple[Buffer, ...] = (),
        backward: Backward | None = None,
    ) -> Buffer:  # fmt: skip
        """A matrix of weights that an operation makes."""
        return self.made(Size(fixed=elements * BYTES[dtype]), dtype, inputs, keeps, backward=backward)

    def view(self, x: Buffer, size: Size | None = None, *, shares: bool = False) -> Buffer:
        """A view of a tensor; backward makes a new gradient for the tensor, or `shares` the incoming one."""
        view = Buffer(x.row, size or x.size, x.width, x.dtype, x.grad, held=False, counted=False, base=x)

        def backward(tape: Tape, gradient: Buffer) -> Given:
            return [(x, tape.share(gradient, x) if shares else tape.gradient(x))]

        return self.tape.node(view, backward)

    def alike(self, x: Buffer, *inputs: Buffer, keeps: tuple[Buffer, ...] = (), row: str = "") -> Buffer:
        """A result of the size and dtype of `x`."""
        return self.made(x.size, x.dtype, inputs or (x,), keeps, width=x.width, row=row)

    def cast(self, x: Buffer, dtype: str, row: str = "") -> Buffer:
        """`x.to(dtype)`: itself where it has that dtype."""
        return x if x.dtype == dtype else self.made(resized(x, dtype), dtype, (x,), width=x.width, row=row)

    def low(self, x: Buffer) -> Buffer:
        """The operand of a product: under autocast a copy in its dtype."""
        return x if self.form.autocast is None else self.cast(x, self.form.autocast)

    def product(self, x: Buffer, weight: Buffer, width: int, row: str = "", *, turned: bool = False) -> Buffer:
        """`x @ weight`, activations times a matrix; `turned` as of `matmul`."""
        return self._multiplied(x, weight, lambda inner: widened(inner, width, inner.dtype), width, row, turned)

    def matmul(self, left: Buffer, right: Buffer, elements: int, *, turned: bool = False) -> Buffer:
        """`left @ right`, two matrices; `turned`: parameters are views, whose copies autocast does not cache."""
        return self._multiplied(left, right, lambda inner: Size(fixed=elements * BYTES[inner.dtype]), 0, "", turned)

    def _multiplied(
        self, left: Buffer, right: Buffer, size: Callable[[Buffer], Size], width: int, row: str, turned: bool = False
    ) -> Buffer:
        weight, inner = self.low(right), self.low(left)
        keeps = ((inner,) if weight.grad else ()) + ((weight,) if inner.grad else ())
        result = self.made(size(inner), inner.dtype, (inner, weight), keeps, width=width, row=row)
        for copy, original in ((inner, left), (weight, right)):
            if copy is not original and (turned or not (original.parameter and original.grad)):  # others autocast keeps
                self.drop(copy)
        return result

    def times(self, x: Buffer, y: Buffer, row: str = "") -> Buffer:
        """`x * y`, elementwise; one may be smaller, and its gradient has the result's size until it is summed."""
        dtype, larger = wider(x.dtype, y.dtype), x if _elements(x) >= _elements(y) else y
        whole = resized(larger, dtype)
        keeps = ((x,) if y.grad else ()) + ((y,) if x.grad else ())

        def backward(tape: Tape, _: Buffer) -> Given:
            parts = [(one, tape.fresh(INCOMING, whole, dtype, larger.width)) for one in (x, y) if one.grad]
            tape.returned()  # sums are the engine's (validate_outputs)
            return [(one, _fitted(tape, one, part)) for one, part in parts]

        return self.made(whole, dtype, (x, y), keeps, width=larger.width, row=row, backward=backward)

    def plus(self, x: Buffer, y: Buffer, row: str = "") -> Buffer:
        """`x + y`; one may be smaller: the larger gets the gradient unchanged, and it is summed for the other."""
        dtype, larger = wider(x.dtype, y.dtype), x if _elements(x) >= _elements(y) else y
        size = resized(larger, dtype)

        def backward(tape: Tape, gradient: Buffer) -> Given:
            return [(one, _shared(tape, one, gradient)) for one in (x, y) if one.grad]

        return self.made(size, dtype, (x, y), width=larger.width, row=row, backward=backward)

    def minus(self, x: Buffer, y: Buffer) -> Buffer:
        """`x - y`, of one size: the gradient is negated for the second."""

        def backward(tape: Tape, gradient: Buffer) -> Given:
            return [(one, _shared(tape, x, gradient) if one is x else tape.gradient(x)) for one in (x, y) if one.grad]

        return self.made(x.size, x.dtype, (x, y), width=x.width, backward=_narrowing(backward))

    def added_in_place(self, x: Buffer, y: Buffer) -> None:
        """`x += y`: the gradient goes to both."""
        x.grad = x.grad or y.grad

        def backward(tape: Tape, gradient: Buffer) -> Given:
            return [(one, _shared(tape, one, gradient)) for one in (x, y) if one.grad]

        self.tape.node(x, backward)

    def added_to_base(self, result: Buffer, y: Buffer) -> None:
        """`result += y`, where `result` is what the layer gave.

        With a bias that is a view of torch's addmm (Linear.cpp, _flatten_nd_linear; transformers' Conv1D): in backward
        the view's gradient is spread out, and copied once whole and once as the part that the sum gets
        (as_strided_backward in FunctionsManual.cpp, CopySlices in autograd/functions/tensor.cpp).
        """
        if not (self.form.bias and self.form.storage == "plain"):
            self.added_in_place(result, y)
            return
        given_on, result.grad = result.grad, result.grad or y.grad

        def of_sum(tape: Tape, _: Buffer) -> Given:
            whole = tape.gradient(result)
            part = tape.fresh(INCOMING, result.size, result.dtype, result.width)
            if not given_on:
                tape.discard(whole)
            return [*([(result, whole)] if given_on else []), *([(y, narrowed(tape, y, part))] if y.grad else [])]

        self.tape.node(result, of_sum)
        self.tape.node(result, lambda tape, _: [(result, tape.gradient(result))])

    def scaled(self, x: Buffer, row: str = "") -> Buffer:
        """`x * c` with a Python number."""
        return self.alike(x, row=row)

    def fresh(self, elements: int, dtype: str = "") -> Buffer:
        """A temporary matrix in backward, in a dtype or that of the adapter."""
        made = dtype or self.dtype
        return self.tape.fresh(INCOMING, Size(fixed=elements * BYTES[made]), made)

    def finished(self, result: Buffer, dtype: str) -> Buffer:
        """`result.to(dtype)`."""
        return self.swap(result, self.cast(result, dtype, self.row))


def given(tape: Tape, of: Buffer) -> Buffer:
    """A new gradient of a tensor; that of a parameter stays."""
    return tape.weight_gradient(of, of.dtype) if of.parameter else tape.gradient(of)


def _narrowing(backward: Backward) -> Backward:
    """Casts gradients to the dtypes of their tensors once all of them are there (engine.cpp, validate_outputs)."""

    def narrowed(tape: Tape, gradient: Buffer) -> Given:
        found = backward(tape, gradient)
        return [(of, part if part.dtype == of.dtype else _fitted(tape, of, part)) for of, part in found]

    return narrowed


def handed_on(x: Buffer) -> Backward:
    """An operation that rearranges elements: its gradient is a view of the incoming one."""
    return lambda tape, gradient: [(x, tape.share(gradient, x))]


def _elements(x: Buffer) -> tuple[int, int, int]:
    """Orders sizes: per-token parts count before per-sequence parts, and these before fixed ones."""
    size, own = x.size, BYTES[x.dtype]
    return size.token // own, size.sequence // own, size.fixed // own


def _fitted(tape: Tape, of: Buffer, whole: Buffer) -> Buffer:
    """A gradient with the result's size, reduced to the size and dtype of its tensor."""
    if of.size == whole.size and not of.parameter:
        return whole
    own = given(tape, of)
    if whole.size.token and not of.size.token:
        tape.summed(of.size.fixed // BYTES[of.dtype])
    tape.discard(whole)
    return own


def _shared(tape: Tape, of: Buffer, gradient: Buffer) -> Buffer:
    """A gradient that is passed on unchanged where possible."""
    if of.size == gradient.size and of.dtype == gradient.dtype and not of.parameter:
        gradient.references += 1
        return gradient
    return given(tape, of)
