"""What a traced generation hands to a model, call by call, is what transformers' own generate() hands to it."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

import torch

from tests.memory.trace.cut import cut
from toolkit.facts.models import model_from_config
from toolkit.memory.trace.build import load
from toolkit.memory.trace.generate import generate
from toolkit.spec.settings.setting import Setting

pytestmark = pytest.mark.reference

BATCH, LENGTH, ANSWER = 2, 16, 5
Calls = list[dict[str, tuple[Any, ...]]]


def watched(model: Any) -> Calls:
    """The shapes and dtypes of all tensors of each call from here on."""
    calls: Calls = []

    def before(_module: Any, _args: Any, given: dict[str, Any]) -> None:
        calls.append(
            {name: (tuple(one.shape), one.dtype) for name, one in given.items() if isinstance(one, torch.Tensor)}
        )

    model.register_forward_pre_hook(before, with_kwargs=True)
    return calls


@pytest.mark.parametrize("name", ["Qwen/Qwen2.5-0.5B", "openai-community/gpt2", "bigscience/bloom-560m"])
def test_padded_rows_come_with_masks_and_positions_as_generate_makes_them(name: str) -> None:
    facts = model_from_config({**cut(name).config, "vocab_size": 2048, "bos_token_id": 0, "eos_token_id": 0}, name)
    setting = Setting(name, "inference", "fp32", compute="fp32", batch_size=BATCH, sequence_length=LENGTH,
                      generated_length=ANSWER, padding=True)  # fmt: skip
    model: Any = load(setting, facts)
    calls = watched(model)
    ids = torch.zeros(BATCH, LENGTH, dtype=torch.long)
    mask = torch.ones_like(ids)
    mask[0, 0] = 0
    model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=ANSWER, do_sample=False, eos_token_id=None)
    own = calls[:]
    calls.clear()
    generate(setting, model, lambda _: None, lambda _: None)
    assert len(own) == ANSWER
    assert calls == own
    assert own[1]["attention_mask"] == ((BATCH, LENGTH + 1), torch.int64)
