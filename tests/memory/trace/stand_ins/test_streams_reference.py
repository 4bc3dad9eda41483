"""Gemma 3n, whose layers pass several streams on: formulas against traces of a cut model with its layers' real form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.architecture.samples import small_config
from tests.memory.trace.agree import agree_on
from tests.memory.trace.methods import MIXED
from toolkit.facts.models import ModelFacts, model_from_config
from toolkit.memory.estimate import estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack

pytestmark = pytest.mark.reference

FAMILY = "gemma3n_text"
_LORA: dict[str, Any] = {"method": "lora", "weights": "bf16", **MIXED}
_SOME = Lora(8, 16, ("q_proj", "v_proj", "gate_proj"))
HOW: dict[str, dict[str, Any]] = {
    "full": {"method": "full", "weights": "bf16"},
    "full, eagerly": {"method": "full", "weights": "bf16", "attention": "eager"},
    "full, checkpoints": {"method": "full", "weights": "bf16", "gradient_checkpointing": "reentrant"},
    "full, checkpoints without reentry": {
        "method": "full", "weights": "bf16", "gradient_checkpointing": "non-reentrant",
    },
    "full under autocast": {"method": "full", "weights": "fp32", **MIXED},
    "lora": {**_LORA, "lora": _SOME},
    "lora of all": {**_LORA, "lora": Lora(8, 16, "all-linear", 0.05)},
    "lora, checkpoints": {**_LORA, "lora": _SOME, "gradient_checkpointing": "reentrant"},
}  # fmt: skip
PROMPTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "longer than its window": {"sequence_length": 800},
    "eagerly": {"attention": "eager"},
    "padded": {"padding": True},
    "in four bits": {"weights": "nf4"},
}


def _model(**changes: Any) -> ModelFacts:
    return model_from_config(small_config(FAMILY, {"vocab_size": 2000, **changes}), FAMILY)


@pytest.mark.parametrize("how", PROMPTS)
def test_it_generates(how: str) -> None:
    setting = Setting(FAMILY, "inference", "bf16", batch_size=2, sequence_length=400, generated_length=20)
    agree_on(replace(setting, **PROMPTS[how]), _model(), peak=0.0005, elsewhere=0.01)


@pytest.mark.parametrize("how", HOW)
def test_it_trains(how: str) -> None:
    """Of five layers two have keys that stay with what made them: that of their checkpoints is followed less well."""
    setting = Setting(**{"model": FAMILY, "batch_size": 2, "sequence_length": 400, **HOW[how]})
    agree_on(
        setting, _model(), peak={"lora, checkpoints": 0.022, "full, checkpoints": 0.01}.get(how, 0.006), elsewhere=0.015
    )


def test_layers_that_share_no_keys_agree() -> None:
    setting = Setting(FAMILY, "full", "bf16", gradient_checkpointing="non-reentrant", batch_size=2, sequence_length=400)
    agree_on(setting, _model(num_kv_shared_layers=0), peak=0.002, elsewhere=0.002)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"method": "qlora", "weights": "nf4", "lora": _SOME}, "clips weights in training"),
        ({"method": "full", "weights": "bf16", "parallel": Parallel(2, "fsdp")}, "except with one GPU"),
        ({"stack": Stack(versions={"transformers": "4.57"})}, "transformers before 5"),
    ],
)
def test_what_is_not_followed_is_refused_by_name(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=reason):
        estimate(Setting(**{"model": FAMILY, "method": "full", "weights": "bf16", **changes}), _model())
