"""Models that are Mamba in every layer, run by torch's operations alone: formulas against traces."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.architecture.samples import small_config
from tests.memory.trace.agree import agree_on
from tests.memory.trace.methods import MIXED
from toolkit.facts.models import ModelFacts, model_from_config
from toolkit.memory.architecture.mamba import FAMILIES, MAMBA2
from toolkit.memory.estimate import estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Lora, Setting

pytestmark = pytest.mark.reference

_LORA: dict[str, Any] = {"method": "lora", "weights": "bf16", "lora": Lora(8, 16, ("in_proj",)), **MIXED}
HOW: dict[str, dict[str, Any]] = {
    "inference": {"method": "inference", "weights": "bf16", "generated_length": 5},
    "full": {"method": "full", "weights": "bf16"},
    "full, checkpoints": {"method": "full", "weights": "bf16", "gradient_checkpointing": "non-reentrant"},
    "full under autocast": {"method": "full", "weights": "fp32", **MIXED},
    "full in float32": {
        "method": "full", "weights": "fp32", "compute": "fp32", "gradients": "fp32", "optimizer_states": "fp32",
    },
    "lora": _LORA,
    "lora, checkpoints": {**_LORA, "gradient_checkpointing": "reentrant"},
}  # fmt: skip
LENGTHS = {MAMBA2: 500}
"""A trace of the others goes token by token."""
SHORT = 96


def _model(family: str, **changes: Any) -> ModelFacts:
    return model_from_config(small_config(family, {"vocab_size": 2000, "num_hidden_layers": 3, **changes}), family)


def _setting(family: str, how: dict[str, Any], **more: Any) -> Setting:
    length = LENGTHS.get(family, SHORT)
    return Setting(**{"model": family, "batch_size": 4, "sequence_length": length, **how, **more})


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_formula_gives_what_the_trace_sees(family: str, how: str) -> None:
    agree_on(_setting(family, HOW[how]), _model(family), peak=0.003, elsewhere=0.01)


@pytest.mark.parametrize("how", ["inference", "full"])
def test_a_wider_state_agrees(how: str) -> None:
    agree_on(_setting("mamba", HOW[how]), _model("mamba", state_size=32, expand=1), peak=0.003, elsewhere=0.01)


def test_mamba_2_agrees_in_four_bits() -> None:
    how = {**_LORA, "method": "qlora", "weights": "nf4", "gradient_checkpointing": "reentrant"}
    agree_on(_setting(MAMBA2, how), _model(MAMBA2), peak=0.005, elsewhere=0.005)


@pytest.mark.parametrize(
    ("family", "how", "reason"),
    [
        ("mamba", {"method": "inference", "weights": "nf4"}, "packed weights of Mamba"),
        ("mamba", {**_LORA, "lora": Lora(8, 16, "all-linear")}, "no adapters on out_proj"),
        (MAMBA2, {**_LORA, "lora": Lora(8, 16, "all-linear")}, "no adapters on out_proj"),
        ("mamba", {"method": "inference", "weights": "bf16", "padding": True}, "padded rows"),
    ],
)
def test_what_is_not_followed_is_refused_by_name(family: str, how: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=reason):
        estimate(_setting(family, how), _model(family))
