"""sdpa's own operations in the place of a kernel: torch's, traced, and the formula held against them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("bitsandbytes")

import torch

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.trace.stand_ins import on_gpu
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Kernels, Setting, Stack

pytestmark = pytest.mark.reference

GROUPED, ALONE = "Qwen/Qwen2.5-0.5B", "openai-community/gpt2"
MATH = Kernels(sdpa="math")


def written_out(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_mask: torch.Tensor | None = None, **said: Any
) -> torch.Tensor:
    """What torch does where it has no kernel (aten/src/ATen/native/transformers/attention.cpp)."""
    found: tuple[torch.Tensor, ...] = torch.ops.aten._scaled_dot_product_attention_math(
        query, key, value, attn_mask, **said
    )
    return found[0]


@pytest.mark.parametrize(("model", "heads", "length"), [(GROUPED, 14, 347), (ALONE, 12, 700)])
def test_the_formula_follows_torchs_operations(
    monkeypatch: pytest.MonkeyPatch, model: str, heads: int, length: int
) -> None:
    """The trace sees a sum beside the scores, a GPU adds in place; _safe_softmax makes a boolean of each, unseen."""
    monkeypatch.setitem(on_gpu._STAND_INS, "scaled_dot_product_attention", written_out)
    sizes = {"batch_size": 2, "sequence_length": length, "generated_length": 2}
    setting = replace(Setting(model, "inference", "fp16", compute="fp16", stack=Stack("transformers")), **sizes)
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    traced = trace(setting, facts).ledger.phase(PhaseName.PREFILL)
    computed = estimate(replace(setting, kernels=MATH), facts).ledger.phase(PhaseName.PREFILL)
    assert traced is not None
    assert computed is not None
    booleans = 2 * heads * length**2
    assert computed.total - booleans == pytest.approx(traced.total, rel=0.0004)
