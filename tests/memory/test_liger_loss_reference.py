"""Liger's fused loss by the formula, against what its own code asks for on tensors without storage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("liger_kernel.ops.fused_linear_cross_entropy")

import torch
from liger_kernel.ops import fused_linear_cross_entropy as fused

from tests.memory.trace.cut import cut
from toolkit.memory.estimate import estimate
from toolkit.memory.replay.events import Events
from toolkit.memory.replay.played import play_forward
from toolkit.memory.replay.script import script_of
from toolkit.memory.replay.writer import Writer
from toolkit.memory.tape.recording import programs_of
from toolkit.memory.trace.recorder import Recorder
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

MODEL, TOKENS, HIDDEN, VOCABULARY = "meta-llama/Llama-3.1-8B", 8192, 4096, 128256
ADAPTED = {"method": "lora", "lora": Lora(8, 16, "all-linear")}
SMALL = 1 << 20
"""Losses and counts of each token, which the formula leaves out."""

Change = tuple[bool, int]


class _Kernel:
    """In place of Triton's kernel, which needs a GPU and works in place."""

    def __getitem__(self, grid: Any) -> Any:
        return lambda *_args, **_options: None


def _asked(*, trains: bool, monkeypatch: pytest.MonkeyPatch) -> list[Change]:
    """What Liger's forward asks for and lets go of beyond what it is given, of more than a few bytes a token."""
    monkeypatch.setattr(fused, "liger_cross_entropy_kernel", _Kernel())
    with Recorder(0) as recorder:
        states = torch.empty(TOKENS, HIDDEN, dtype=torch.bfloat16, device="meta", requires_grad=True)
        weight = torch.empty(VOCABULARY, HIDDEN, dtype=torch.bfloat16, device="meta", requires_grad=trains)
        given = len(recorder.timeline.events)
        with torch.no_grad():
            made = fused.fused_linear_cross_entropy_forward(states, weight, torch.zeros(TOKENS, dtype=torch.int64))
        events = recorder.timeline.events[given:]
    assert made[0] is not None
    sizes = [one.bytes for one in recorder.timeline.allocations]
    return [(event > 0, sizes[abs(event) - 1]) for event in events if sizes[abs(event) - 1] > SMALL]


def _followed(**fields: Any) -> list[Change]:
    """The same by the formula, after the norm."""
    options: dict[str, Any] = {"method": "full", "weights": "bf16", "attention": "flash", **fields}
    stack = Stack("plain", "fused", {"liger-kernel": "0.8.0"})
    setting = Setting(MODEL, batch_size=1, sequence_length=TOKENS, stack=stack, **options)
    context = estimate(setting, cut(MODEL, 2)).context
    assert context is not None
    origin = programs_of(context).head.origin
    assert origin is not None
    events = Events()
    writer = Writer(events, context.scale)
    play_forward(writer, script_of(origin), 0)
    found = [(event > 0, events.sizes[abs(event)]) for event in events.order]
    return [change for change in found if change[1] > SMALL]


def _rounds(changes: list[Change], size: int) -> Iterator[list[Change]]:
    """What comes with each request of a size, up to the next."""
    part: list[Change] = []
    for change in changes:
        if change == (True, size):
            yield part
            part = []
        part.append(change)
    yield part


@pytest.mark.parametrize("trains", [True, False])
def test_each_chunk_asks_for_what_the_code_asks_for(monkeypatch: pytest.MonkeyPatch, *, trains: bool) -> None:
    """Two chunks of 256 tokens: the first, and one that finds the logits of the one before."""
    chunk = 256 * VOCABULARY * 2
    real = [*_rounds(_asked(trains=trains, monkeypatch=monkeypatch), chunk)]
    ours = [*_rounds(_followed(**({} if trains else ADAPTED)), chunk)]
    assert len(real) == 1 + TOKENS // 256
    assert len(ours) == 1 + 2
    assert ours[0][-len(real[0]) :] == real[0]  # before it the norm
    assert ours[1] == real[1]
    assert ours[2][: len(real[2])] == real[2]
