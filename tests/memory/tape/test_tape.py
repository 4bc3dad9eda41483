"""Tapes against what autograd was seen to do, on operations small enough to count by hand."""

from __future__ import annotations

from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import Branch, LinearForm
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import add, cast, multiply, split
from toolkit.memory.size import Size
from toolkit.memory.tape.tape import Tape


def alive(tape: Tape) -> Size:
    total = Size()
    for size in tape.alive.values():
        total = total.plus(size)
    return total


def most(tape: Tape) -> int:
    return max(sum(size.token for size in moment.values()) for moment in tape.moments)


def test_a_product_keeps_each_factor_that_the_other_needs() -> None:
    tape = Tape(records=True)
    x, y = (tape.new("x", 10, "bf16", grad=grad) for grad in (True, False))
    product = multiply(tape, x, y, "product")
    tape.drop(x, y, product)
    assert alive(tape) == Size(token=20)  # y, for the gradient of x


def test_under_no_grad_nothing_is_kept() -> None:
    tape = Tape(records=False)
    x = tape.new("x", 10, "bf16")
    product = multiply(tape, x, x, "product")
    tape.drop(x, product)
    assert alive(tape) == Size()


def test_a_frozen_linear_keeps_nothing_and_a_trained_one_its_input() -> None:
    for trains, kept in ((False, 0), (True, 20)):
        tape = Tape(records=True)
        x = tape.new("x", 10, "bf16", grad=True)
        result = linear(tape, x, LinearForm(10, 30, "bf16", trains=trains), "result")
        tape.drop(x, result)
        assert alive(tape).token == kept


def test_backward_frees_all_but_the_gradients_of_weights() -> None:
    tape = Tape(records=True)
    x = tape.new("x", 10, "bf16", grad=True)
    result = linear(tape, x, LinearForm(10, 30, "bf16", trains=True, gradient="bf16"), "result")
    tape.unwind()
    left = tape.backward(result)
    assert left is not None
    assert tape.alive["gradients"] == Size(fixed=10 * 30 * 2)
    tape.discard(left)
    assert alive(tape) == Size(fixed=10 * 30 * 2)


def test_with_earlier_gradients_a_new_one_is_added_and_freed() -> None:
    tape = Tape(records=True, accumulates=True)
    x = tape.new("x", 10, "bf16", grad=True)
    result = linear(tape, x, LinearForm(10, 30, "bf16", trains=True, gradient="bf16"), "result")
    tape.unwind()
    tape.backward(result)
    assert "gradients" not in tape.alive
    assert "new_gradient" not in tape.alive
    assert any("new_gradient" in moment for moment in tape.moments)


def test_autocast_keeps_the_copies_of_trained_weights_and_frozen_ones_only_for_backward() -> None:
    for trains in (True, False):
        tape = Tape(records=True)
        x = tape.new("x", 10, "bf16", grad=True)
        form = LinearForm(10, 30, "fp32", trains=trains, autocast="bf16", gradient="fp32")
        result = linear(tape, x, form, "result")
        tape.drop(x, result)
        assert tape.alive["autocast_copies"] == Size(fixed=10 * 30 * 2)
        tape.backward(result)
        assert ("autocast_copies" in tape.alive) == trains  # the cache lasts until autocast ends


def test_an_adapter_keeps_a_copy_of_its_input_in_its_own_dtype() -> None:
    tape = Tape(records=True)
    x = tape.new("x", 10, "bf16", grad=True)
    form = LinearForm(10, 30, "bf16", branch=Branch(4, "fp32", "fp32", dropout=False))
    result = linear(tape, x, form, "result")
    tape.drop(x, result)
    assert alive(tape) == Size(token=10 * 4 + 4 * 4)  # the float32 input of A, the input of B


def test_rms_norm_keeps_its_float32_input_the_scale_and_the_normed_copy() -> None:
    tape = Tape(records=True)
    x = tape.new("x", 10, "bf16", grad=True)
    result = normalise(tape, x, NormForm("rms", "bf16", trains=True))
    tape.drop(x, result)
    assert alive(tape) == Size(token=10 * 4 + 4 + 10 * 2)


def test_a_cast_to_the_same_dtype_is_the_tensor_itself() -> None:
    tape = Tape(records=True)
    x = tape.new("x", 10, "bf16", grad=True)
    assert cast(tape, x, "bf16", "copy") is x


def test_keeping_a_view_keeps_the_whole() -> None:
    tape = Tape(records=True)
    whole = tape.new("whole", 10, "bf16", grad=True)
    gate, up = split(tape, whole, (5, 5))
    product = multiply(tape, gate, up, "product")
    tape.drop(whole, product)
    assert alive(tape) == Size(token=20)


def test_the_gradient_of_a_sum_is_shared_and_two_gradients_of_a_tensor_are_added_in_place() -> None:
    tape = Tape(records=True)
    x = tape.new("x", 10, "bf16", grad=True)
    total = add(tape, x, x, "total")
    tape.unwind()
    tape.backward(total)
    assert most(tape) == 20 + 20  # x and the sum in forward; one gradient, or the sum of two, in backward


def test_a_deferred_pass_runs_when_its_first_kept_tensor_is_asked_for_and_stops_after_the_last() -> None:
    tape = Tape(records=True)
    x = tape.new("x", 10, "bf16", grad=True)
    tape.defer(saves=2)
    square = multiply(tape, x, x, "square")
    total = add(tape, square, x, "total")
    tape.unwind()
    assert alive(tape) == Size(token=20)  # nothing of the pass has happened yet
    tape.backward(total)
    assert not any("total" in moment or "square" in moment for moment in tape.moments)
