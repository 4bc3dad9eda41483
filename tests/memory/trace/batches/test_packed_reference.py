"""Samples that lie one after the other in a row: traces of transformers' and TRL's code, and a real run on a CPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.trace.agree import agree
from tests.memory.trace.cut import cut
from tests.memory.trace.methods import METHODS
from tests.memory.trace.real_run import real_peaks
from toolkit.facts.models import model_from_config
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Setting, Stack

pytestmark = pytest.mark.reference

LLAMA, QWEN, NEOX = "meta-llama/Llama-2-7b-hf", "Qwen/Qwen2.5-0.5B", "EleutherAI/pythia-1b"
FAMILIES = (
    QWEN, NEOX, "microsoft/Phi-3-mini-4k-instruct", "google/gemma-3-1b-it", "openai-community/gpt2",
    "mistralai/Mixtral-8x7B-v0.1", "deepseek-ai/DeepSeek-V2-Lite",
)  # fmt: skip
BATCH, LENGTH = 3, 200
SIZES: dict[str, Any] = {"batch_size": BATCH, "sequence_length": LENGTH, "samples_per_row": 4}


@pytest.mark.parametrize("packing", ["padding-free", "rows"])
@pytest.mark.parametrize("attention", ["flash", "sdpa"])
@pytest.mark.parametrize("name", [QWEN, *(pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES[1:])])
def test_families_agree(name: str, attention: str, packing: str) -> None:
    setting = Setting(name, "full", "bf16", attention=attention, packing=packing, **SIZES)
    agree(setting, 2, peak=0.0003, elsewhere=0.0003)


@pytest.mark.parametrize("method", ["full under autocast", "full, checkpoints", "lora", "qlora"])
@pytest.mark.parametrize("attention", ["flash", "sdpa", "eager"])
def test_methods_agree(method: str, attention: str) -> None:
    fields = {**METHODS[method], "attention": attention, **SIZES}
    agree(Setting(QWEN, **fields, packing="padding-free"), 2, peak=0.0003, elsewhere=0.0003)


@pytest.mark.parametrize("name", [QWEN, NEOX])
def test_trl_agrees(name: str) -> None:
    pytest.importorskip("trl")
    stack = Stack("trl", "chunked")
    setting = Setting(name, "full", "bf16", attention="flash", packing="padding-free", stack=stack, **SIZES)
    agree(setting, 2, peak=0.0003, elsewhere=0.0003)


def test_sdpa_of_one_row_keeps_a_bias_of_every_pair_of_its_tokens() -> None:
    """Two layers of 600 x 600 x 2 bytes, which one long sample has none of; its heads are not grouped."""
    packed = Setting(LLAMA, "full", "bf16", attention="sdpa", packing="padding-free", **SIZES)
    long = replace(packed, packing="none", samples_per_row=1, batch_size=1, sequence_length=BATCH * LENGTH)
    first, second = (
        trace(one, cut(LLAMA, 2), whole=True).ledger.phase(PhaseName.FORWARD_END) for one in (packed, long)
    )
    assert first is not None
    assert second is not None
    assert first.total - second.total == pytest.approx(2 * (BATCH * LENGTH) ** 2 * 2, abs=8192)


REAL: dict[str, Any] = {
    "method": "full", "weights": "fp32", "compute": "fp32", "gradients": "fp32", "optimizer_states": "fp32",
    "optimizer": "sgd", "optimizer_implementation": "for-loop", "attention": "eager", "batch_size": 2,
    "sequence_length": 64, "samples_per_row": 2,
}  # fmt: skip
SMALL = {"vocab_size": 2048, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}


@pytest.mark.parametrize("packing", ["padding-free", "rows"])
def test_a_trace_is_what_a_real_run_asks_for(packing: str) -> None:
    """Eagerly, as a CPU does: the mask of all pairs of the one row, or of each of two."""
    facts = model_from_config({**cut(QWEN, 2).config, **SMALL}, QWEN)
    setting = Setting(QWEN, **REAL, packing=packing)
    real, found = real_peaks(setting, facts), trace(setting, facts).ledger
    seen = [found.phase(phase) for phase in (PhaseName.FORWARD_END, PhaseName.BACKWARD)]
    forward, backward = (phase.total - phase.of(Category.WORKSPACE) for phase in seen if phase is not None)
    assert forward == pytest.approx(real.forward, rel=0.0005)
    assert backward == pytest.approx(real.backward, rel=0.0005)
