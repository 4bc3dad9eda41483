"""The cache that a model fills in a loop of one's own, against the code of transformers on tensors without storage."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.trace.agree import agree
from toolkit.spec.settings.setting import Lora, Setting, Stack, Validation

pytestmark = pytest.mark.reference


@pytest.mark.parametrize("padding", [True, False], ids=["padded", "full rows"])
@pytest.mark.parametrize("model", ["Qwen/Qwen2.5-0.5B", "openai-community/gpt2"])
def test_a_classifier_in_a_plain_loop_fills_its_cache(model: str, padding: bool) -> None:
    setting = Setting(
        model, "full", "bf16", head="sequence-classification", labels=2, batch_size=4, sequence_length=256,
        padding=padding, stack=Stack("plain"),
    )  # fmt: skip
    agree(setting, 4, peak=0.002, elsewhere=0.002)


def test_gemma_3_with_images_fills_its_cache_although_a_trainer_turns_it_off() -> None:
    """Nothing tells its text model, whose own config says use_cache: in training and in an evaluation."""
    setting = Setting(
        "google/gemma-3-4b-it", "qlora", "nf4", amp=True, gradients="fp32", optimizer_states="fp32", optimizer="sgd",
        lora=Lora(8, 16), batch_size=2, sequence_length=333, validation=Validation(8, 333),
    )  # fmt: skip
    agree(setting, 6, peak=0.001, elsewhere=0.001)
