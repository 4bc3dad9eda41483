"""Kernels that stand in for parts of a model against their own code, with the kernels themselves left out.

Sources: foundation-model-stack/fms-acceleration at 9239802, fms_acceleration_foak/kernels/unsloth/*.py and
fms_acceleration_peft/gptqmodel/nn_modules/triton_utils/dequant.py; peft 0.13.2, tuners/lora/gptq.py. They ran on meta
tensors, on 2 sequences of 512 tokens, 1,024 wide, while every storage was counted that they made beside their weights
and what their input was scaled from, in bytes: the most in forward, what is left with the input, what of that the graph
keeps, and the most in backward, with a loss and its gradient. Gradients of one tensor were added in place, as
autograd's engine does where no mode looks on.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from toolkit.memory.context import Scale
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import Branch, LinearForm
from toolkit.memory.formula.operations import Given, scale
from toolkit.memory.formula.trainers.triton_kernels import fast_cross_entropy, fast_norm, fast_rotary
from toolkit.memory.size import NOTHING, Alive
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

WIDTH, KEYS, ENTRIES = 1024, 256, 4096
SCALE = Scale(2, 512)
LOSS = 4
COUNTS = 8 + 1024
"""The number of labels that count, and the mask of those, beside a loss."""

Follow = Callable[[Tape, Buffer], Buffer]


def total(alive: Alive) -> int:
    size = NOTHING
    for part in alive.values():
        size = size.plus(part)
    return SCALE.bytes(size.parts())


def followed(follow: Follow, width: int = WIDTH, dtype: str = "bf16") -> tuple[int, int, int, int]:
    tape = Tape(records=True)
    source = tape.new("source", width, dtype, grad=True)
    before = SCALE.bytes(source.size.parts())
    x = scale(tape, source, "input", constants=0)
    tape.begin()
    result = follow(tape, x)
    forward = max(map(total, tape.moments)) - before
    if result is not x:
        tape.drop(x)
    left = total(tape.alive) - before
    end = tape.new("loss", 0, "fp32", grad=True)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(result, tape.gradient(result))]

    tape.node(end, backward)
    tape.drop(result)
    kept = total(tape.alive) - before
    tape.begin()
    tape.backward(end)
    return forward, left, kept, max(map(total, tape.moments)) - before


def test_the_norm_keeps_its_input_and_a_number_a_row() -> None:
    assert followed(fast_norm) == (4_198_400, 4_198_400, 2_101_252 - LOSS, 4_198_408 - 2 * LOSS)


def test_rotary_embeddings_are_turned_in_place() -> None:
    def turned(tape: Tape, x: Buffer) -> Buffer:
        return fast_rotary(tape, x, copies=False)

    assert followed(turned) == (2_097_152, 2_097_152, 4 - LOSS, 4_194_312 - 2 * LOSS)


def test_the_gradient_of_logits_is_written_over_them() -> None:
    forward, left, kept, backward = followed(fast_cross_entropy, ENTRIES, "fp32")
    assert forward == 16_786_440 - COUNTS
    assert (left, kept) == (16_781_324 - LOSS - 8, 16_781_324 - LOSS - 8)
    assert backward == 33_554_440 - 2 * LOSS


def product(branch: Branch | None = None, autocast: str | None = "fp16") -> Follow:
    form = LinearForm(WIDTH, KEYS, "fp16", storage="triton", compute="fp16", autocast=autocast, branch=branch)
    return lambda tape, x: linear(tape, x, form, "result")


def test_a_gptq_weight_is_written_out_for_each_product() -> None:
    assert followed(product(), dtype="fp16") == (3_145_728, 524_288, 4 - LOSS, 4_194_312 - 2 * LOSS)


ZEROS = 8 * KEYS
"""A byte for each group of 128 inputs and each output, which the formula leaves out."""


def test_torchs_operators_unpack_a_weight_that_autograd_keeps() -> None:
    """gptqmodel 7.3.4, nn_modules/qlinear/__init__.py (dequantize_weight), and torch.matmul."""
    form = LinearForm(WIDTH, KEYS, "fp16", storage="torch", compute="fp16", autocast="fp16")
    found = followed(lambda tape, x: linear(tape, x, form, "result"), dtype="fp16")
    assert found == (3_672_064 - ZEROS, 1_048_576, 524_292 - LOSS, 4_194_312 - 2 * LOSS)


SUM = 2 * 512 * 1024
"""What was added in place there and is not by the engine: a factor's gradient is a view of a matrix, and shares it."""
ADAPTED = {
    (True, False): (3_686_400, 2_637_824, 2_113_540, 5_263_368 + SUM),
    (True, True): (6_832_128, 3_686_400, 3_162_116, 5_804_040),
    (False, False): (8_421_376, 4_751_360, 4_227_076, 8_986_632),
    (False, True): (13_664_256, 5_799_936, 5_275_652, 10_035_208),
}
"""Peft's layer over it, with factors of rank 8: in 16 bit under autocast, else in float32; without and with dropout."""


@pytest.mark.parametrize("case", ADAPTED, ids=str)
def test_peft_adds_to_a_gptq_layer_in_place(case: tuple[bool, bool]) -> None:
    autocast, dropout = case
    dtype = "fp16" if autocast else "fp32"
    branch = Branch(8, dtype, dtype, dropout, in_place=True)
    forward, left, kept, backward = ADAPTED[case]
    found = followed(product(branch, "fp16" if autocast else None), dtype="fp16")
    assert found == (forward, left, kept - LOSS, backward - 2 * LOSS)
