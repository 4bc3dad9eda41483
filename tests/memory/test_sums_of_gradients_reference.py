"""How autograd's engine adds a second gradient to a first, by torch itself: in place to what alone has its storage."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

import torch

from tests.memory.trace.agree import agree
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.operations import add
from toolkit.memory.size import NOTHING
from toolkit.memory.tape.gradients import INCOMING
from toolkit.memory.tape.tape import Tape
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

WIDTH, SEQUENCES, LENGTH = 64, 4, 16


def additions(*shape: int) -> dict[str, int]:
    """How often backward adds out of place and in place, where two frozen products read one tensor of a shape."""
    x = torch.ones(*shape, WIDTH, requires_grad=True) * 1.0
    first, second = (torch.nn.Linear(WIDTH, WIDTH).requires_grad_(requires_grad=False) for _ in range(2))
    loss = (first(x) + second(x)).sum()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        loss.backward()
    counts = {event.key: event.count for event in seen.key_averages()}
    return {name: counts.get(f"aten::{name}", 0) for name in ("add", "add_")}


def test_gradients_of_products_of_sequences_are_views_and_not_added_in_place() -> None:
    assert additions(SEQUENCES, LENGTH) == {"add": 1, "add_": 0}
    assert additions(SEQUENCES * LENGTH) == {"add": 0, "add_": 1}


def test_a_tape_has_both_and_their_sum_at_once() -> None:
    """Two products from 256 to 64 numbers: of 16 bits, a gradient of each and their sum are 3 x 512 bytes a token."""
    tape = Tape(records=True)
    x = tape.new("input", 4 * WIDTH, "bf16", grad=True)
    form = LinearForm(4 * WIDTH, WIDTH, "bf16")
    first, second = (linear(tape, x, form, "result") for _ in range(2))
    result = add(tape, first, second, "result")
    tape.drop(first, second)
    tape.begin()
    tape.backward(result)
    assert max(moment.get(INCOMING, NOTHING).token for moment in tape.moments) == 3 * 4 * WIDTH * 2


@pytest.mark.parametrize("model", ["bigcode/starcoder2-3b", "bigcode/gpt_bigcode-santacoder"])
def test_an_adapter_beside_a_frozen_float32_projection_of_wide_states(model: str) -> None:
    """Both give the activation's result a gradient: at their sum there are three, where the peak is."""
    setting = Setting(
        model, "lora", "fp32", compute="fp32", gradients="fp32", optimizer="adamw", optimizer_states="fp32",
        head="sequence-classification", labels=2, attention="eager", batch_size=2, sequence_length=512,
        lora=Lora(8, 16, ("c_proj",)), stack=Stack("plain"),
    )  # fmt: skip
    agree(setting, 2, peak=0.0001, elsewhere=0.0002)
