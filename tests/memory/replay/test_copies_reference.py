"""What is reserved beside copies of whole modules: the replay's interval holds that of a trace's allocations."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.cut import cut
from toolkit.memory.estimate import estimate
from toolkit.memory.replay.reserved import replayed
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Setting

pytestmark = pytest.mark.reference

MODEL = "mistralai/Mistral-7B-v0.1"


@pytest.mark.parametrize("accumulation", [1, 4])
def test_states_of_copies_are_replayed_in_their_own_dtype(accumulation: int) -> None:
    """Copies in 16 bits have states in 16 bits beside those of float32 adapters: 1 GB less than twice as much."""
    setting = Setting(
        MODEL, "lora", "bf16", lora=Lora(8, targets=("q_proj",), modules_to_save=("embed_tokens", "lm_head")),
        gradients="fp32", optimizer_states="fp32", batch_size=1, sequence_length=256, amp=True,
        gradient_accumulation=accumulation,
    )  # fmt: skip
    model = cut(MODEL, 4)
    low, high = replayed(estimate(setting, model))
    least, most = trace(setting, model, whole=True).reserved
    assert low <= most
    assert least <= high
    assert high - low < 0.05 * low
