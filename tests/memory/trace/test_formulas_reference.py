"""Formulas against traces of models of few layers, one case for each thing that only some of them do."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.agree import agree
from tests.memory.trace.cut import cut
from tests.memory.whole_blocks import as_traced
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

COMPUTED = 0.0006

MIXED = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
AUTOCAST = {"method": "full", "weights": "fp32", **MIXED}
SIXTEEN_BIT = {"method": "full", "weights": "bf16"}
HALF = {"weights": "fp16", "compute": "fp16", "gradients": "fp16", "optimizer_states": "fp16"}
LORA = {"method": "lora", "weights": "bf16", "lora": Lora(8, 16, ("q_proj", "v_proj")), **MIXED}
GENERATION = {"method": "inference", "weights": "bf16", "generated_length": 3}

CASES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "experts that autocast leaves alone": ("mistralai/Mixtral-8x7B-v0.1", 1, AUTOCAST),
    "experts of many": ("Qwen/Qwen3-30B-A3B", 1, AUTOCAST),
    "biased experts and sinks": ("openai/gpt-oss-20b", 2, SIXTEEN_BIT),
    "biased experts and sinks under autocast": ("openai/gpt-oss-20b", 2, AUTOCAST),
    "copies of the chosen experts": ("mistralai/Mixtral-8x7B-v0.1", 2, GENERATION),
    "copies of the chosen experts of many": ("Qwen/Qwen3-30B-A3B", 2, GENERATION),
    "copies of biases, probabilities with a name": ("openai/gpt-oss-20b", 2, GENERATION),
    "a tower that no text reaches": ("google/gemma-3-4b-pt", 1, SIXTEEN_BIT),
    "powers under autocast": ("microsoft/phi-2", 2, AUTOCAST),
    "a part that is turned": ("stabilityai/stablelm-2-1_6b", 2, SIXTEEN_BIT),
    "all of it turned, and put together anew": ("microsoft/Phi-3-mini-4k-instruct", 2, SIXTEEN_BIT),
    "the same, eagerly": ("microsoft/Phi-3-mini-4k-instruct", 2, {**SIXTEEN_BIT, "attention": "eager"}),
    "two norms side by side": ("EleutherAI/pythia-14m", 2, SIXTEEN_BIT),
    "a window as long as the sequence": ("google/gemma-3-270m", 6, SIXTEEN_BIT),
    "a feed-forward without a module": ("facebook/opt-125m", 3, SIXTEEN_BIT),
    "eager attention under autocast": ("Qwen/Qwen2.5-0.5B", 3, {**AUTOCAST, "attention": "eager"}),
    "eager attention of float16, whose softmax widens it": (
        "Qwen/Qwen2.5-0.5B", 3, {**HALF, "method": "full", "attention": "eager"}
    ),
    "the same under autocast": ("Qwen/Qwen2.5-0.5B", 3, {**AUTOCAST, "compute": "fp16", "attention": "eager"}),
    "the same of a prompt": (
        "Qwen/Qwen2.5-0.5B", 3, {**GENERATION, **HALF, "attention": "eager"}
    ),
    "eager attention to frozen keys": ("Qwen/Qwen2.5-0.5B", 3, {**LORA, "attention": "eager"}),
}  # fmt: skip


def _agree(setting: Setting, layers: int) -> None:
    agree(setting, layers, peak=COMPUTED, elsewhere=0.003)


@pytest.mark.parametrize(("name", "layers", "fields"), CASES.values(), ids=CASES)
def test_a_formula_gives_what_the_trace_sees(name: str, layers: int, fields: dict[str, Any]) -> None:
    _agree(Setting(**{"model": name, "batch_size": 2, "sequence_length": 512, **fields}), layers)


@pytest.mark.parametrize("fields", [SIXTEEN_BIT, AUTOCAST, LORA], ids=["16 bit", "autocast", "lora"])
def test_tiles_of_logits_are_those_of_trl(fields: dict[str, Any]) -> None:
    utils = pytest.importorskip("trl.trainer.utils")
    if not hasattr(utils, "add_fused_lm_head"):
        pytest.skip("a TRL whose head is not fused")
    stack = Stack("trl", "chunked")
    _agree(
        Setting(**{"model": "Qwen/Qwen2.5-0.5B", "batch_size": 2, "sequence_length": 512, "stack": stack, **fields}), 4
    )


def test_nothing_is_remembered_of_what_no_text_reaches() -> None:
    """Gemma 3 reads images too: its tower and projector are loaded, and no gradient comes to them."""
    model = cut("google/gemma-3-4b-pt", 1)
    setting = Setting(**{"model": model.id, "batch_size": 1, "sequence_length": 64, **SIXTEEN_BIT})
    step = estimate(setting, model).ledger.phase(PhaseName.OPTIMIZER_STEP)
    seen = trace(setting, model, whole=True).ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    assert seen is not None
    assert as_traced(step) == pytest.approx(seen.total, rel=0.0001)
