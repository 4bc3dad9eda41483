"""bitsandbytes' optimizers: states by hand from its sources."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("bitsandbytes")

from tests.memory.trace.cut import cut
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.trace.trace import UnsupportedTrace, trace
from toolkit.spec.setting import Setting, Stack

pytestmark = pytest.mark.reference

NAME = "Qwen/Qwen2.5-0.5B"
FULL = Setting(
    NAME, "full", "fp32", amp=True, gradients="fp32", optimizer_states="int8", sequence_length=64,
    optimizer="adamw_8bit",
)  # fmt: skip
EMBEDDING = 151_936 * 896
SHAPES = (
    (896, 896), (896,), (128, 896), (128,), (128, 896), (128,), (896, 896),
    (4864, 896), (4864, 896), (896, 4864), (896,), (896,), (896,),
)  # fmt: skip
"""Of one layer and the last norm: q, k, v with biases, o; gate, up, down; norms."""
SIZES = [prod(shape) for shape in SHAPES]
BLOCK, SMALL, PAGED = 256, 4096, 100_000


def states(setting: Setting) -> int:
    step = trace(setting, cut(NAME, 1)).ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    return step.of(Category.OPTIMIZER_STATES)


def scales(size: int) -> int:
    return 4 * -(-size // BLOCK)


def test_states_in_8_bit_but_those_of_embeddings_and_of_small_tensors() -> None:
    """Trainer keeps the states of embeddings in 32 bit (transformers/trainer.py)."""
    small = sum(8 * size for size in SIZES if size < SMALL)
    large = sum(2 * (size + scales(size)) for size in SIZES if size >= SMALL)
    tables = 2 * BLOCK * 4
    assert states(FULL) == pytest.approx(8 * EMBEDDING + small + large + tables, rel=1e-5)


def test_a_plain_loop_quantizes_the_states_of_embeddings_too() -> None:
    every = [EMBEDDING, *SIZES]
    expected = sum(8 * size if size < SMALL else 2 * (size + scales(size)) for size in every)
    assert states(replace(FULL, stack=Stack("plain"))) == pytest.approx(expected, rel=1e-4)


def test_paged_states_are_not_counted_but_their_scales_are() -> None:
    expected = sum(2 * scales(size) if size >= PAGED else 8 * size for size in SIZES)
    found = states(replace(FULL, optimizer="paged_adamw_8bit"))
    assert found == pytest.approx(expected + 2 * BLOCK * 4, abs=len(SIZES) * 2 * 512)


def test_states_of_32_bit_optimizers_are_float32_beside_16_bit_parameters() -> None:
    """Lion has one state, paged AdamW leaves the two of small tensors on the GPU."""
    short = replace(FULL, weights="bf16", amp=False, gradients="bf16", optimizer_states="fp32")
    lion = 4 * (EMBEDDING + sum(SIZES))
    assert states(replace(short, optimizer="lion")) == pytest.approx(lion, rel=1e-4)
    paged = sum(8 * size for size in SIZES if size < PAGED)
    assert states(replace(short, optimizer="paged_adamw")) == pytest.approx(paged, abs=len(SIZES) * 2 * 512)


def test_states_that_the_library_would_not_make_are_refused() -> None:
    with pytest.raises(UnsupportedTrace, match="lion keeps fp32"):
        trace(replace(FULL, optimizer="lion", optimizer_states="bf16"), cut(NAME, 1))
