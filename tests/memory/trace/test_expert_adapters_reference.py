"""Adapters of fused experts against traces of peft's own code: the sums of weights and adapters make the peak."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

import peft
from packaging.version import Version

from tests.memory.trace.agree import agree
from toolkit.memory.refusal import PEFT_FOLDS_FACTORS
from toolkit.spec.settings.setting import Lora, Setting

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(Version(peft.__version__) < PEFT_FOLDS_FACTORS, reason="a peft that makes the whole change"),
]

MIXTRAL, QWEN, DEEPSEEK = "mistralai/Mixtral-8x7B-v0.1", "Qwen/Qwen3-30B-A3B", "deepseek-ai/DeepSeek-V2-Lite"
QLORA = {"method": "qlora", "weights": "nf4", "amp": True}

CASES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "float32 adapters": (MIXTRAL, 2, {}),
    "adapters in the dtype of the weights": (
        MIXTRAL, 1, {"gradients": "bf16", "optimizer_states": "bf16", "lora": Lora(8, 16, "all-linear", dtype="bf16")},
    ),
    "autocast": (MIXTRAL, 1, {"amp": True}),
    "checkpoints": (MIXTRAL, 2, {"amp": True, "gradient_checkpointing": "non-reentrant"}),
    "reentrant checkpoints": (MIXTRAL, 2, {"gradient_checkpointing": "reentrant"}),
    "many experts": (QWEN, 2, {}),
    "a shared expert": (DEEPSEEK, 2, {}),
    "beside 4-bit weights": (QWEN, 1, QLORA),
    "beside 4-bit weights, checkpointed": (QWEN, 2, {**QLORA, "gradient_checkpointing": "non-reentrant"}),
}  # fmt: skip


@pytest.mark.parametrize(("name", "layers", "said"), CASES.values(), ids=CASES)
def test_sums_of_weights_and_adapters_take_what_the_trace_sees(name: str, layers: int, said: dict[str, Any]) -> None:
    common = {"method": "lora", "weights": "bf16", "gradients": "fp32", "optimizer_states": "fp32"}
    lora = Lora(8, 16, "all-linear")
    setting = Setting(**{"model": name, "batch_size": 1, "sequence_length": 256, **common, "lora": lora, **said})
    agree(setting, layers, peak=0.0001, elsewhere=0.0001)
