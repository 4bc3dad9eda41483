"""The cache that a model fills in a loop of one's own, against the code of transformers on tensors without storage."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.memory.trace.agree import agree
from toolkit.spec.settings.setting import Setting, Stack

pytestmark = pytest.mark.reference


@pytest.mark.parametrize("padding", [True, False], ids=["padded", "full rows"])
@pytest.mark.parametrize("model", ["Qwen/Qwen2.5-0.5B", "openai-community/gpt2"])
def test_a_classifier_in_a_plain_loop_fills_its_cache(model: str, padding: bool) -> None:
    setting = Setting(
        model, "full", "bf16", head="sequence-classification", labels=2, batch_size=4, sequence_length=256,
        padding=padding, stack=Stack("plain"),
    )  # fmt: skip
    agree(setting, 4, peak=0.002, elsewhere=0.002)
