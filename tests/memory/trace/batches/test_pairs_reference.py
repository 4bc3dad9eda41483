"""The losses of TRL's KTO, ORPO, CPO and reward trainers, traced, and the formulas held against them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
utils = pytest.importorskip("trl.trainer.utils")
pytest.importorskip("trl.kernels.logprob_entropy")  # a kernel of Triton's, which trl is asked for on a GPU

from tests.memory.trace.agree import agree  # noqa: E402
from toolkit.spec.settings.setting import Lora, Setting, Stack  # noqa: E402

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not hasattr(utils, "add_fused_lm_head"), reason="a TRL whose head is not fused"),
]

QWEN, LLAMA, GEMMA, MIXTURE = (
    "Qwen/Qwen2.5-0.5B", "meta-llama/Llama-3.2-1B", "google/gemma-2-2b", "Qwen/Qwen3-30B-A3B",
)  # fmt: skip
MIXED: dict[str, Any] = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
WHOLE = Stack("trl", "cross-entropy")
PAIRS = Setting(QWEN, "full", "bf16", objective="orpo", batch_size=2, sequence_length=512, stack=WHOLE)
ADAPTED = replace(PAIRS, method="lora", lora=Lora(8, 16), **MIXED)
CHECKPOINTED = {"gradient_checkpointing": "non-reentrant"}
SCORED = replace(PAIRS, objective="reward", head="sequence-classification", labels=1)
SINGLE = replace(PAIRS, objective="kto", reference="model", stack=Stack("trl", "chunked"))

CASES: dict[str, Setting] = {
    "orpo": PAIRS,
    "orpo of one pair": replace(PAIRS, batch_size=1),
    "orpo, with adapters": ADAPTED,
    "orpo of one pair, with adapters and checkpoints": replace(ADAPTED, batch_size=1, **CHECKPOINTED),
    "orpo of capped logits": replace(PAIRS, model=GEMMA, attention="eager"),
    "orpo of a mixture": replace(PAIRS, model=MIXTURE),
    "cpo": replace(PAIRS, objective="cpo"),
    "simpo": replace(PAIRS, objective="simpo"),
    "simpo of one pair": replace(PAIRS, objective="simpo", batch_size=1),
    "simpo, with adapters": replace(ADAPTED, objective="simpo", **CHECKPOINTED),
    "kto": SINGLE,
    "kto, adapters switched off": replace(SINGLE, method="lora", lora=Lora(8, 16), reference="adapters-off", **MIXED),
    "kto, precomputed": replace(SINGLE, reference="precomputed"),
    "kto, long": replace(SINGLE, model=LLAMA, sequence_length=4096),
    "reward": SCORED,
    "reward, with checkpoints": replace(SCORED, **CHECKPOINTED),
    "reward, with adapters": replace(SCORED, method="lora", lora=Lora(8, 16), **MIXED),
}


@pytest.mark.parametrize("setting", CASES.values(), ids=CASES)
def test_formulas_give_what_trainers_of_trl_take(setting: Setting) -> None:
    agree(setting, 3, peak=0.001, elsewhere=0.003)
