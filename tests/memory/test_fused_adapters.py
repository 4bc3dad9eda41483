"""Fused adapters against their own code: foundation-model-stack/fms-acceleration, unsloth_lora/*/fast_lora.py.

LoRA_QKV and LoRA_W of commits 97fc3c1 and 9239802 (which masks what flows back) ran on meta tensors, with weights that
were written out by plain allocations of the same sizes (dequant248; fast_dequantize and its float32 scales), while
every storage was counted that they made beside input and adapters, in bytes: the most in forward, what is left with the
input, what of that the graph keeps, and the most in backward. 2 sequences of 512 tokens, 1,024 wide, keys and values
256 wide, rank 8, all bfloat16; 8 bytes of a loss and its gradient are in the last.
"""

from __future__ import annotations

import pytest

from toolkit.memory.context import Scale
from toolkit.memory.formula.adapters.fused_adapters import fused_products, fuses
from toolkit.memory.formula.linear.linear_form import Branch, LinearForm
from toolkit.memory.formula.operations import Given, scale
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import NOTHING, Alive
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

WIDTH, KEYS, RANK = 1024, 256, 8
LAYERS = {"qkv": (WIDTH, KEYS, KEYS), "o": (WIDTH,)}
SCALE = Scale(2, 512)
LOSS = 8

RAN = {
    ("4bit", "qkv", False, False): (6_324_224, 5_242_880, 2_097_152, 7_938_056),
    ("4bit", "qkv", False, True): (12_582_912, 11_534_336, 8_388_608, 14_229_512),
    ("4bit", "qkv", True, False): (6_324_224, 5_242_880, 2_097_152, 10_559_496),
    ("4bit", "qkv", True, True): (12_582_912, 11_534_336, 8_388_608, 16_850_952),
    ("4bit", "o", False, False): (6_324_224, 4_194_304, 2_097_152, 8_454_152),
    ("4bit", "o", True, True): (8_421_376, 6_291_456, 4_194_304, 13_664_264),
    ("triton", "qkv", False, False): (9_469_952, 5_242_880, 2_097_152, 10_035_208),
    ("triton", "qkv", False, True): (15_728_640, 11_534_336, 8_388_608, 16_326_664),
    ("triton", "qkv", True, True): (15_728_640, 11_534_336, 8_388_608, 18_948_104),
    ("triton", "o", False, True): (10_518_528, 6_291_456, 4_194_304, 10_551_304),
    ("triton", "o", True, False): (8_421_376, 4_194_304, 2_097_152, 11_567_112),
}
"""By storage, layers, whether what flows back is masked, and dropout."""


def total(alive: Alive, less: int = 0) -> int:
    size = NOTHING
    for part in alive.values():
        size = size.plus(part)
    return SCALE.bytes(size.parts()) - less


def layers(storage: str, which: str, branch: Branch) -> tuple[LinearForm, ...]:
    return tuple(
        LinearForm(WIDTH, outputs, "bf16", storage=storage, compute="bf16", nested=True, branch=branch)
        for outputs in LAYERS[which]
    )


def followed(storage: str, which: str, *, masks: bool, dropout: bool) -> tuple[int, int, int, int]:
    """The same four amounts by the tape, with an end that makes the gradients of all results at once."""
    tape = Tape(records=True)
    source = tape.new("source", WIDTH, "bf16", grad=True)
    x = scale(tape, source, "input", constants=0)
    before = SCALE.bytes(source.size.parts())
    tape.begin()
    branch = Branch(RANK, "bf16", "bf16", dropout, fused=True, masks=masks)
    results = fused_products(tape, x, layers(storage, which, branch), "results")
    forward = max(total(moment, before) for moment in tape.moments)
    tape.drop(x)
    left = total(tape.alive, before)
    end = tape.new("loss", 0, "fp32", grad=True)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(result, tape.gradient(result)) for result in results]

    tape.node(end, backward)
    tape.drop(*results)
    kept = total(tape.alive, before)
    tape.begin()
    tape.backward(end)
    return forward, left, kept, max(total(moment, before) for moment in tape.moments)


@pytest.mark.parametrize("case", RAN, ids=lambda case: "-".join(map(str, case)))
def test_it_is_what_their_own_code_makes(case: tuple[str, str, bool, bool]) -> None:
    storage, which, masks, dropout = case
    forward, left, kept, backward = RAN[case]
    assert followed(storage, which, masks=masks, dropout=dropout) == (forward, left, kept, backward - LOSS)


def test_layers_without_adapters_are_no_part_of_it() -> None:
    fused = Branch(RANK, "fp32", "fp32", dropout=False, fused=True)
    plain = Branch(RANK, "fp32", "fp32", dropout=False)
    [adapted] = layers("4bit", "o", fused)
    [other] = layers("4bit", "o", plain)
    assert fuses(adapted, adapted)
    assert not fuses(adapted, other)
    assert not fuses(adapted, LinearForm(WIDTH, WIDTH, "bf16"))


def test_other_inputs_than_those_of_the_products_are_refused() -> None:
    tape = Tape(records=True)
    x = tape.new("input", WIDTH, "fp32", grad=True)
    forms = layers("4bit", "o", Branch(RANK, "fp32", "fp32", dropout=False, fused=True))
    with pytest.raises(UnsupportedRow, match="adapter_states"):
        fused_products(tape, x, forms, "results")
