"""Activation functions: kernels that save one tensor, and those written in torch operations, which save several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from toolkit.memory.formula.operations import Given, activate, add, cast, multiply, scale, shifted
from toolkit.memory.formula.xielu import xielu
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

Activation = Callable[[Tape, Buffer, str], Buffer]


def activated(tape: Tape, x: Buffer, name: str, row: str, *, autocast: bool = False, trains: bool = True) -> Buffer:
    """Applies the activation of that name; the caller keeps `x`. `trains` says that its own parameters are trained."""
    if name == "xielu":
        return xielu(tape, x, row, wide=autocast, trains=trains)
    function = AUTOCAST.get(name) if autocast and name in AUTOCAST else ACTIVATIONS.get(name)
    if function is None:
        raise UnsupportedRow(row, f"no formula for the activation {name[:40]!r}; known: {', '.join(ACTIVATIONS)}")
    return function(tape, x, row)


@contextmanager
def _several(tape: Tape, row: str, size: Size, count: int) -> Iterator[None]:
    """So many tensors of a size that are there at once: the allocator gives each a block of its own."""
    with ExitStack() as taken:
        for _ in range(count):
            taken.enter_context(tape.temporary(row, size))
        yield


def rectify(tape: Tape, x: Buffer, row: str) -> Buffer:
    """Relu; like tanh and the sigmoid it saves its result."""
    result = tape.new(row, x.width, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    return tape.node(result, backward, tape.save(result) if x.grad else ())


def _new_gelu(tape: Tape, x: Buffer, row: str, power: str | None = None) -> Buffer:
    """0.5 * x * (1 + tanh(c * (x + a * x^3))), written out (transformers activations.py, NewGELUActivation)."""
    half = scale(tape, x, row)
    base = cast(tape, x, power or x.dtype, row)
    cube = _powered(tape, base, row)
    if base is not x:
        tape.drop(base)
    scaled = scale(tape, cube, row)
    tape.drop(cube)
    total = add(tape, x, scaled, row)
    tape.drop(scaled)
    inner = scale(tape, total, row)
    tape.drop(total)
    squashed = rectify(tape, inner, row)
    tape.drop(inner)
    plus_one = shifted(tape, squashed, row)
    tape.drop(squashed)
    product = multiply(tape, half, plus_one, row)
    tape.drop(half, plus_one)
    return product


def _wide_new_gelu(tape: Tape, x: Buffer, row: str) -> Buffer:
    """The same under autocast, which computes powers, and all that is computed from them, in float32."""
    return _new_gelu(tape, x, row, "fp32")


def _squared_relu(tape: Tape, x: Buffer, row: str, power: str | None = None) -> Buffer:
    """square(relu(x)) in separate operations (transformers activations.py, ReLUSquaredActivation)."""
    positive = rectify(tape, x, row)
    base = cast(tape, positive, power or x.dtype, row)
    result = _powered(tape, base, row)
    tape.drop(positive)
    if base is not positive:
        tape.drop(base)
    return result


def _powered(tape: Tape, x: Buffer, row: str) -> Buffer:
    """`x ** n`: in backward the power below and that times n are there while the gradient is made (pow_backward)."""
    saved = tape.save(x) if x.grad else ()
    result = tape.new(row, x.width, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        with _several(tape, "activation_gradients", x.size, 2):
            return [(x, tape.gradient(x))]

    return tape.node(result, backward, saved)


def _wide_squared_relu(tape: Tape, x: Buffer, row: str) -> Buffer:
    """The same under autocast, which computes powers in float32."""
    return _squared_relu(tape, x, row, "fp32")


BLOOM_GELU_BACKWARD = 5
"""Tensors that bloom_gelu_back has beside its input and the gradient; two of them live until it returns."""


def _bloom_gelu(tape: Tape, x: Buffer, row: str) -> Buffer:
    """BLOOM's gelu in separate operations; it saves only its input (modeling_bloom.py, GeLUFunction)."""
    with _several(tape, row, x.size, 4):  # half of x, two factors, and their product
        pass
    saved = tape.save(x) if x.grad else ()
    with _several(tape, row, x.size, 2):
        result = tape.new(row, x.width, x.dtype, grad=x.grad, size=x.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        with _several(tape, "activation_gradients", x.size, BLOOM_GELU_BACKWARD):
            pass
        with _several(tape, "activation_gradients", x.size, 2):
            return [(x, tape.gradient(x))]

    return tape.node(result, backward, saved)


AUTOCAST: Mapping[str, Activation] = {"gelu_new": _wide_new_gelu, "relu2": _wide_squared_relu}
"""The activations that run differently under autocast (aten/src/ATen/autocast_mode.h, AT_FORALL_FP32)."""

ACTIVATIONS: Mapping[str, Activation] = {
    "silu": activate,
    "swish": activate,
    "gelu": activate,
    "gelu_pytorch_tanh": activate,
    "relu": rectify,
    "tanh": rectify,
    "gelu_new": _new_gelu,
    "bloom_gelu": _bloom_gelu,
    "relu2": _squared_relu,
}
"""The activations of the covered families."""
