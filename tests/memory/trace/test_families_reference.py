"""Formulas against traces of models of few layers: families whose layers no other has, and what a cache takes."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import pytest
from packaging.version import Version

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.cut import cut
from tests.memory.whole_blocks import as_traced
from toolkit.memory.estimate import estimate
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Setting

pytestmark = pytest.mark.reference

COMPUTED = 0.0003
"""What is left are tensors of a few kilobytes: positions, labels, lengths."""
MASKS_STAY = 0.001
ELSEWHERE = 0.001
"""Beside the peak: 0.7 MB more at the end of T5's forward pass where autocast and checkpoints meet, cause not found."""

SAME = Version(version("transformers")) >= Version("5.20")
"""Formulas follow the newest releases: T5 of 5.17 holds 0.06 % more at its peak."""

MIXED = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
FULL = {"method": "full", "weights": "bf16"}
AUTOCAST = {"method": "full", "weights": "fp32", **MIXED}
CHECKPOINTED = {**AUTOCAST, "gradient_checkpointing": "non-reentrant"}
REENTRANT = {**FULL, "gradient_checkpointing": "reentrant"}
LORA = {"method": "lora", "weights": "bf16", "lora": Lora(8, 16, "all-linear", 0.05), **MIXED}
QLORA = {**LORA, "method": "qlora", "weights": "nf4"}
ATTENTION_LORA = {**LORA, "lora": Lora(8, 16, ("q_proj", "kv_b_proj", "o_proj"))}
GENERATION = {"method": "inference", "weights": "bf16", "generated_length": 8}
EAGER = {"attention": "eager"}

FALCON, SANTACODER = "tiiuae/falcon-7b", "bigcode/gpt_bigcode-santacoder"
T5, MLA = "google-t5/t5-small", "deepseek-ai/DeepSeek-V2-Lite"

CASES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "Falcon": (FALCON, 3, FULL),
    "Falcon under autocast": (FALCON, 3, CHECKPOINTED),
    "Falcon with adapters": (FALCON, 3, QLORA),
    "Falcon generates": (FALCON, 3, GENERATION),
    "Falcon of two norms": ("tiiuae/falcon-40b", 2, FULL),
    "BLOOM": ("bigscience/bloom-560m", 3, FULL),
    "BLOOM under autocast": ("bigscience/bloom-560m", 3, AUTOCAST),
    "BLOOM with adapters": ("bigscience/bloom-560m", 3, LORA),
    "BLOOM generates": ("bigscience/bloom-560m", 3, GENERATION),
    "norms of each head": ("stabilityai/stablelm-2-12b", 2, FULL),
    "GPT-BigCode": (SANTACODER, 3, FULL),
    "GPT-BigCode under autocast": (SANTACODER, 3, AUTOCAST),
    "GPT-BigCode generates": (SANTACODER, 3, GENERATION),
    "T5": (T5, 3, FULL),
    "T5 under autocast": (T5, 3, CHECKPOINTED),
    "T5 with adapters": (T5, 3, LORA),
    "T5, its scores written out": (T5, 3, {**FULL, **EAGER}),
    "T5 generates": (T5, 3, GENERATION),
    "T5 of gates": ("google/flan-t5-small", 3, AUTOCAST),
    "latent attention": (MLA, 3, FULL),
    "latent attention again": (MLA, 3, REENTRANT),
    "latent attention with adapters": (MLA, 3, ATTENTION_LORA),
    "latent attention generates": (MLA, 3, GENERATION),
    "latent queries": ("deepseek-ai/DeepSeek-V2", 2, FULL),
    "dropout": ("openai-community/gpt2", 3, AUTOCAST),
    "dropout of eager attention": ("openai-community/gpt2", 3, {**FULL, **EAGER}),
    "tokens attend eagerly": ("google/gemma-2-2b", 3, {**GENERATION, **EAGER}),
    "a prompt and its cache": ("Qwen/Qwen3-0.6B", 3, GENERATION),
    "one key and value head": ("google/gemma-3-1b-pt", 6, AUTOCAST),
}


@pytest.mark.parametrize(("name", "layers", "fields"), CASES.values(), ids=CASES)
def test_a_formula_gives_what_the_trace_sees(name: str, layers: int, fields: dict[str, Any]) -> None:
    setting, model = Setting(**{"model": name, "batch_size": 2, "sequence_length": 512, **fields}), cut(name, layers)
    seen, computed = trace(setting, model, whole=True).ledger, estimate(setting, model).ledger
    for phase in seen.phases:
        other = computed.phase(phase.name)
        assert other is not None
        allowed = COMPUTED if phase is seen.peak and SAME else ELSEWHERE
        if name == T5 and fields is CHECKPOINTED:  # its masks are gone as accelerate copies its logits, not so here
            allowed = max(allowed, MASKS_STAY)
        assert as_traced(other) == pytest.approx(phase.total, rel=allowed), phase.name
