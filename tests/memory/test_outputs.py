"""What the result of the last step holds, against shapes of Llama-3.2-3B written down by hand."""

from __future__ import annotations

from typing import Any

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate, holdings
from toolkit.spec.settings.setting import Lora, Setting, Stack

TOKENS = 4 * 768
LOGITS = TOKENS * 128_256 * 2
KEYS = TOKENS * 28 * (8 * 128) * 2
LORA = {"method": "lora", "weights": "bf16", "lora": Lora(32, 64, ("q_proj", "v_proj"))}


def _outputs(**fields: Any) -> int:
    facts = load_model("meta-llama/Llama-3.2-3B")
    assert isinstance(facts, ModelFacts)
    setting = Setting("meta-llama/Llama-3.2-3B", **{**LORA, "batch_size": 4, "sequence_length": 768, **fields})
    assert holdings(setting, facts).outputs == estimate(setting, facts).outputs
    return estimate(setting, facts).outputs


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"stack": Stack("plain")}, LOGITS + 2 * KEYS),
        ({"stack": Stack("plain"), "gradient_checkpointing": "reentrant"}, LOGITS),
        ({"stack": Stack("plain", versions={"transformers": "4.44.2"})}, 2 * LOGITS + 2 * KEYS),
        ({"stack": Stack("plain", loss="fused")}, 2 * KEYS),
        ({"stack": Stack("transformers")}, 0),
        ({"stack": Stack("plain"), "method": "inference", "lora": None}, 0),
    ],
    ids=["bf16", "checkpoints fill no cache", "float32 before 4.45", "no logits", "a Trainer lets go", "no training"],
)
def test_the_last_outputs(fields: dict[str, Any], expected: int) -> None:
    assert _outputs(**fields) == expected
