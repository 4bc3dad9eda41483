"""Axolotl's operations for adapters against their own code: axolotl 0.19, kernels/lora.py.

LoRA_QKV, LoRA_O and LoRA_MLP ran on meta tensors, with 4-bit weights that were written out by plain allocations of the
same sizes (kernels/quantize.py: 16-bit weights, and float32 scales before they are returned) and with the kernels of
the gate as what they allocate (kernels/swiglu.py: one tensor in forward, none in backward), while every storage was
counted that they made beside input and adapters, in bytes: the most in forward, what is left with the results, what
the graph keeps, and the most in backward. 2 sequences of 512 tokens, 1,024 wide, keys and values 256, feed-forward
2,816 wide, rank 8, bfloat16 beside float32 adapters; 8 bytes of a loss and its gradient are in the last.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.memory.trace.cut import cut
from tests.memory.trace.methods import METHODS
from toolkit.memory.context import Scale
from toolkit.memory.estimate import estimate
from toolkit.memory.formula.adapters.axolotl_adapters import axolotl_feed_forward
from toolkit.memory.formula.adapters.fused_adapters import fused_products
from toolkit.memory.formula.linear.linear_form import Branch, LinearForm
from toolkit.memory.formula.operations import Given, scale
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import NOTHING, Alive
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape
from toolkit.spec.settings.setting import Kernels, Lora, Setting

WIDTH, KEYS, INNER, RANK = 1024, 256, 2816, 8
LAYERS = {
    "qkv": ((WIDTH, WIDTH), (WIDTH, KEYS), (WIDTH, KEYS)),
    "o": ((WIDTH, WIDTH),),
    "mlp": ((WIDTH, INNER), (WIDTH, INNER), (INNER, WIDTH)),
}
SCALE = Scale(2, 512)
LOSS = 8

RAN = {
    ("4bit", "qkv", False): (4_194_304, 3_219_456, 73_728, 7_536_648),
    ("4bit", "qkv", True): (7_340_032, 6_365_184, 3_219_456, 10_682_376),
    ("4bit", "o", False): (4_194_304, 2_129_920, 32_768, 6_373_384),
    ("4bit", "o", True): (7_340_032, 5_275_648, 3_178_496, 11_616_264),
    ("4bit", "mlp", False): (25_165_824, 13_815_808, 11_718_656, 27_861_000),
    ("4bit", "mlp", True): (28_311_552, 16_961_536, 14_864_384, 31_006_728),
    ("plain", "qkv", False): (3_219_456, 3_219_456, 73_728, 5_439_496),
    ("plain", "qkv", True): (6_365_184, 6_365_184, 3_219_456, 10_682_376),
    ("plain", "o", False): (2_146_304, 2_129_920, 32_768, 4_276_232),
    ("plain", "o", True): (5_292_032, 5_275_648, 3_178_496, 11_616_264),
    ("plain", "mlp", False): (19_582_976, 13_815_808, 11_718_656, 21_913_608),
    ("plain", "mlp", True): (22_728_704, 16_961_536, 14_864_384, 27_156_488),
}
"""By storage, layers, and dropout."""


def total(alive: Alive, less: int) -> int:
    size = NOTHING
    for part in alive.values():
        size = size.plus(part)
    return SCALE.bytes(size.parts()) - less


def forms(storage: str, which: str, branch: Branch) -> tuple[LinearForm, ...]:
    return tuple(
        LinearForm(*sides, "bf16", storage=storage, compute="bf16", nested=True, branch=branch)
        for sides in LAYERS[which]
    )


def followed(storage: str, which: str, *, dropout: bool) -> tuple[int, int, int, int]:
    """The same four amounts by the tape, with an end that makes the gradients of all results at once."""
    tape = Tape(records=True)
    source = tape.new("source", WIDTH, "bf16", grad=True)
    x = scale(tape, source, "input", constants=0)
    before = 2 * SCALE.bytes(source.size.parts())
    tape.begin()
    layers = forms(storage, which, Branch(RANK, "fp32", "fp32", dropout, fused=True, axolotl=True))
    results = (
        (axolotl_feed_forward(tape, x, *layers),) if which == "mlp" else fused_products(tape, x, layers, "results")
    )
    forward = max(total(moment, before) for moment in tape.moments)
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
def test_it_is_what_their_own_code_makes(case: tuple[str, str, bool]) -> None:
    forward, left, kept, backward = RAN[case]
    assert followed(case[0], case[1], dropout=case[2]) == (forward, left, kept, backward - LOSS)


def allocated(kernels: Kernels, **lora: object) -> int:
    model = "Qwen/Qwen3-0.6B"
    adapters = Lora(8, 16, **{"targets": "all-linear", **lora})  # type: ignore[arg-type] - a test's shorthand
    setting = Setting(model, **{**METHODS["lora"], "lora": adapters, "batch_size": 2, "sequence_length": 2048})
    found = estimate(replace(setting, kernels=kernels), cut(model, 2)).ledger.phase(PhaseName.FORWARD_END)
    assert found is not None
    return sum(row.bytes for row in found.rows if row.name in ("adapter_states", "feed_forward_states"))


def test_they_keep_less_than_pefts_code() -> None:
    assert allocated(Kernels(adapters="axolotl")) < allocated(Kernels()) // 2


def test_what_they_do_not_know_is_refused() -> None:
    with pytest.raises(UnsupportedRow, match="axolotl's kernels with DoRA, a bias, this storage or dtype"):
        allocated(Kernels(adapters="axolotl"), dora=True)
