"""Mixtures of experts of other makers: formulas against traces, with every method."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.trace.agree import agree
from tests.memory.trace.methods import METHODS
from toolkit.spec.settings.setting import Setting

pytestmark = pytest.mark.reference

MODELS = ("Qwen/Qwen1.5-MoE-A2.7B", "allenai/OLMoE-1B-7B-0924", "MiniMaxAI/MiniMax-M2", "zai-org/GLM-4.5-Air")


@pytest.mark.parametrize("fields", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("name", MODELS)
def test_a_formula_gives_what_the_trace_sees(name: str, fields: dict[str, Any]) -> None:
    setting = Setting(**{"model": name, "batch_size": 2, "sequence_length": 512, **fields})
    agree(setting, 2, peak=0.0001, elsewhere=0.0003)


@pytest.mark.parametrize("attention", ["flash", "eager"])
@pytest.mark.parametrize("name", MODELS)
def test_so_it_does_for_other_kernels_and_many_tokens(name: str, attention: str) -> None:
    setting = Setting(name, "inference", "bf16", batch_size=2, sequence_length=64, generated_length=300)
    agree(replace(setting, attention=attention), 2, peak=0.0001, elsewhere=0.0005)
