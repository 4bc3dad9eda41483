"""Keys and values that a layer keeps: of every query head where the code repeats them before they are cached."""

from __future__ import annotations

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.architecture import architecture_of
from toolkit.memory.estimate import estimate
from toolkit.memory.formula.kv_cache import cached_elements, kept_elements
from toolkit.memory.ledger import PhaseName
from toolkit.spec.setting import Setting, Stack


def facts(name: str) -> ModelFacts:
    found = load_model(name)
    assert isinstance(found, ModelFacts)
    return found


@pytest.mark.parametrize(
    ("name", "needed", "kept"),
    [
        ("tiiuae/falcon-40b", 2 * 8 * 64, 2 * 128 * 64),  # transformers modeling_falcon.py, _split_heads; config.json
        ("tiiuae/falcon-7b", 2 * 64, 2 * 64),
        ("mistralai/Mistral-7B-v0.1", 2 * 8 * 128, 2 * 8 * 128),
    ],
)
def test_falcon_keeps_what_it_has_repeated(name: str, needed: int, kept: int) -> None:
    [kind] = architecture_of(facts(name)).layers
    assert cached_elements(kind) == needed
    assert kept_elements(kind) == kept


def test_a_chunked_loss_is_that_of_the_stated_trl() -> None:
    """256 tokens of the whole vocabulary in float32 until 1.16, then 4,096 tokens of 32,768 entries in 16 bit."""

    def logits(version: str) -> int:
        stack = Stack("trl", "chunked", {"trl": version})
        setting = Setting("Qwen/Qwen2.5-0.5B", "full", "bf16", batch_size=4, sequence_length=2048, stack=stack)
        backward = estimate(setting, facts(setting.model)).ledger.phase(PhaseName.BACKWARD)
        assert backward is not None
        return sum(row.bytes for row in backward.rows if row.name in ("logits", "loss_weight_copy"))

    assert logits("1.15.0") == 151_936 * 896 * 4
    assert logits("1.16.0") == 4096 * 32_768 * 2
