"""What a forward pass leaves behind is what real code leaves behind, to about a kilobyte for each 50 tokens.

A share of a peak hides what is small beside weights and logits: one float32 number for each head of each token, a
router's logits. Here nothing of that size goes unseen, in two layers of each family.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.memory.trace.cut import cut
from tests.memory.whole_blocks import as_traced
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import Ledger, PhaseName
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Setting

SIZE: dict[str, Any] = {"weights": "bf16", "batch_size": 2, "sequence_length": 512, "gpu": "L40S"}

CLOSE = 24_000
"""Bytes, of 1,024 tokens: batches and norms of a few bytes a token, and what blocks of 512 bytes round up."""

MODELS = (
    "01-ai/Yi-1.5-9B", "HuggingFaceTB/SmolLM3-3B", "LGAI-EXAONE/EXAONE-4.0-1.2B", "Qwen/QwQ-32B", "Qwen/Qwen3-0.6B",
    "allenai/OLMo-1B-hf", "allenai/OLMo-2-1124-7B", "allenai/Olmo-3-1025-7B", "bigcode/starcoder2-3b",
    "bigscience/bloom-1b1", "deepseek-ai/DeepSeek-R1", "dphn/dolphin-2.6-mistral-7b", "EleutherAI/gpt-j-6b",
    "EleutherAI/gpt-neox-20b", "facebook/opt-1.3b", "ibm/PowerLM-3b", "microsoft/Phi-3-medium-128k-instruct",
    "microsoft/phi-1", "openai-community/gpt2", "stabilityai/stable-code-3b", "state-spaces/mamba-1.4b-hf",
    "swiss-ai/Apertus-8B-2509", "tiiuae/falcon-180B", "zai-org/GLM-4-9B-0414",
)  # fmt: skip

ROUTED = {"openai/gpt-oss-20b": 160_000, "Qwen/Qwen3-30B-A3B": 220_000}
"""Mixtures, whose experts get as many tokens as the trace's own numbers say: further apart."""


@pytest.mark.parametrize("model", MODELS)
def test_a_forward_pass_leaves_behind_what_real_code_does(model: str) -> None:
    assert _beyond(Setting(model, method="full", **SIZE)) == pytest.approx(0, abs=CLOSE)


@pytest.mark.parametrize("model", ["Qwen/Qwen3-0.6B", "allenai/OLMo-2-1124-7B", "01-ai/Yi-1.5-9B"])
def test_so_it_does_with_adapters(model: str) -> None:
    setting = Setting(model, method="lora", lora=Lora(8, 16), gradients="fp32", optimizer_states="fp32", **SIZE)
    assert _beyond(setting) == pytest.approx(0, abs=CLOSE)


@pytest.mark.parametrize(("model", "close"), ROUTED.items())
def test_so_does_one_of_a_mixture(model: str, close: int) -> None:
    assert _beyond(Setting(model, method="full", **SIZE)) == pytest.approx(0, abs=close)


def test_what_transformers_leaves_unquantized_of_tied_olmo_is_so_in_the_ledger() -> None:
    """The last layer's down projection, whose name ends the parameters, for its norms have none."""
    setting = Setting(
        "allenai/OLMo-1B-hf", method="qlora", lora=Lora(8, 16), **{**SIZE, "weights": "nf4", "compute": "bf16"},
        gradients="fp32", optimizer_states="fp32",
    )  # fmt: skip
    seen, computed = _ledgers(setting)
    assert _of(computed, PhaseName.LOAD) == pytest.approx(_of(seen, PhaseName.LOAD), abs=CLOSE)


def _beyond(setting: Setting) -> int:
    """By how many bytes the estimate is beyond the trace at the end of forward."""
    seen, computed = _ledgers(setting)
    return _of(computed, PhaseName.FORWARD_END) - _of(seen, PhaseName.FORWARD_END)


def _ledgers(setting: Setting) -> tuple[Ledger, Ledger]:
    model = cut(setting.model)
    return trace(setting, model, whole=True).ledger, estimate(setting, model).ledger


def _of(ledger: Ledger, name: PhaseName) -> int:
    phase = ledger.phase(name)
    assert phase is not None
    return as_traced(phase)
