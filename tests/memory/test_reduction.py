"""Partial sums that torch's CUDA kernel for sums stages: by hand from Reduce.cuh, and where they count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.facts.multiprocessors import Multiprocessors
from toolkit.memory.estimate import estimate
from toolkit.memory.formula.reduction import ROW, STAGED_FROM, staged_bytes
from toolkit.memory.size import outputs_and_rows
from toolkit.memory.tape.tape import Tape
from toolkit.spec.settings.setting import Peft, Setting, Stack

RTX_3050 = Multiprocessors(20, 1536)
T4 = Multiprocessors(40, 1024)
A100 = Multiprocessors(108, 2048)

BY_HAND = (
    # 768 / 4 in blocks of 32 x 4 threads: 6 columns of blocks. 1,648 / 4 = 412 values a thread. 20 x (1536 / 128) = 240
    # blocks are wanted: min(240 / 6 = 40, ceil(412 / 16) = 26).
    (768, 1648, RTX_3050, 4 * 768 * 26 * 32 * 4),
    # 40 x (1024 / 128) = 320 blocks: min(ceil(320 / 6) = 54, 1024 / 16 = 64).
    (768, 4096, T4, 4 * 768 * 54 * 32 * 4),
    # 108 x (2048 / 128) = 1,728 blocks over 32 columns: 54 of them, of ceil(2048 / 16) = 128.
    (4096, 8192, A100, 4 * 4096 * 54 * 32 * 4),
    # 30,522 is even only: pairs, so that a block has 32 x 8 = 256 threads. ceil(15261 / 32) = 477 columns; 864 blocks.
    (30522, 4096, A100, 4 * 30522 * 2 * 32 * 2),
    # 25 pairs: 16 x 16 threads, 2 columns of 20 x (1536 / 256) = 120 blocks: min(60, 8192 / 16 / 16 = 32).
    (50, 8192, RTX_3050, 4 * 50 * 32 * 16 * 2),
    # Beyond 256 values a thread: 65,536 / 4 / 256 = 64 blocks, more than the 40 that fill the GPU.
    (768, 65536, RTX_3050, 4 * 768 * 64 * 32 * 4),
    # 152,064 / 128 = 1,188 columns of blocks fill the GPU by themselves.
    (152064, 8192, RTX_3050, 0),
)


@pytest.mark.parametrize(("outputs", "rows", "on", "expected"), BY_HAND)
def test_sizes_are_those_of_the_header(outputs: int, rows: int, on: Multiprocessors, expected: int) -> None:
    assert staged_bytes(outputs, rows, on) == expected


def test_the_buffer_grows_with_the_rows_until_the_gpu_is_full() -> None:
    sizes = [staged_bytes(768, rows, RTX_3050) for rows in range(1, 40_000)]
    assert sizes == sorted(sizes)
    assert sizes[STAGED_FROM - 2] == 0 < sizes[STAGED_FROM - 1]
    full = 4 * 768 * 40 * 32 * 4
    assert set(sizes[40 * 16 * 4 :]) == {full}, "240 blocks over 6 columns: 40 share an output"


def test_neither_of_two_sums_hides_the_other() -> None:
    """Fewer outputs may need more: 8 blocks share each of 4,096, and 6 each of 5,120."""
    assert staged_bytes(4096, 4096, RTX_3050) > staged_bytes(5120, 4096, RTX_3050)
    tape = Tape(records=True)
    tape.summed(4096)
    tape.summed(5120)
    assert sorted(outputs_and_rows(moment[ROW].outputs) for moment in tape.moments) == [(4096, 1), (5120, 1)]


def _tuned(**changes: object) -> Setting:
    peft = Peft(("k_lin", "v_lin", "lin2"), None, "fp32", (("feedforward_modules", ("lin2",)),))
    plain = Setting(
        "distilbert/distilbert-base-uncased", "ia3", "fp32", compute="fp32", gradients="fp32", optimizer="sgd",
        head="sequence-classification", labels=2, batch_size=32, sequence_length=66, stack=Stack("plain"), peft=peft,
        gpu="RTX 3050 6GB Laptop GPU",
    )  # fmt: skip
    return replace(plain, **changes)


@pytest.fixture(scope="module")
def model() -> ModelFacts:
    facts = load_model("distilbert/distilbert-base-uncased")
    assert isinstance(facts, ModelFacts)
    return facts


def _staged(setting: Setting, model: ModelFacts) -> int:
    return sum(row.bytes for row in estimate(setting, model).ledger.peak.rows if row.name == ROW)


def test_the_row_is_that_of_the_gpu_and_of_enough_tokens(model: ModelFacts) -> None:
    """The factor of lin2 has 3,072 numbers: 240 / 24 = 10 blocks share one on 20 multiprocessors."""
    assert _staged(_tuned(), model) == 4 * 3072 * 10 * 32 * 4
    assert _staged(_tuned(gpu="T4"), model) == 4 * 3072 * 14 * 32 * 4, "ceil(320 / 24) blocks"
    assert _staged(_tuned(batch_size=15), model) == 0, "990 tokens"
    assert _staged(_tuned(gpu=None), model) == 0


def test_an_unknown_number_of_multiprocessors_is_said(model: ModelFacts) -> None:
    found = estimate(_tuned(gpu="TITAN V"), model)
    assert ROW not in [row.name for row in found.ledger.peak.rows]
    assert any(ROW in note and "TITAN V" in note for note in found.notes)
    assert not any(ROW in note for note in estimate(_tuned(), model).notes)
