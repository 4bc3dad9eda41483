"""Linear attention and short convolutions: formulas against traces, with every method and lengths around a piece."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.architecture.recurrent_samples import RECURRENT
from tests.memory.trace.agree import agree, agree_on
from tests.memory.trace.cut import cut
from tests.memory.trace.methods import METHODS, MIXED
from toolkit.facts.models import model_from_config
from toolkit.memory.estimate import estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.trace.trace import UnsupportedTrace, trace
from toolkit.spec.settings.setting import Lora, Setting

pytestmark = pytest.mark.reference

PEAK, ELSEWHERE = 0.001, 0.0035
"""Of models of 20 MB: what normed parameters take is left out, and what a piece decays by."""

_SIZES: dict[str, Any] = {
    "vocab_size": 2000, "hidden_size": 512, "intermediate_size": 1024, "num_attention_heads": 8,
    "num_key_value_heads": 2, "tie_word_embeddings": False,
}  # fmt: skip
_QWEN: dict[str, Any] = {
    **_SIZES, "num_hidden_layers": 3, "full_attention_interval": 3, "head_dim": 64, "linear_num_key_heads": 4,
    "linear_num_value_heads": 8, "linear_key_head_dim": 64, "linear_value_head_dim": 64,
}  # fmt: skip
_EXPERTS: dict[str, Any] = {
    "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 256, "shared_expert_intermediate_size": 256,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "qwen3_5_text": _QWEN,
    "qwen3_5_moe_text": {**_QWEN, **_EXPERTS},
    "qwen3_next": {**_QWEN, **_EXPERTS},
    **RECURRENT,
}
_ADAPTED: dict[str, Any] = {"lora": Lora(8, 16, "all-linear"), **MIXED}
HOW: dict[str, dict[str, Any]] = {
    **METHODS,
    "full in float32": {
        "method": "full", "weights": "fp32", "compute": "fp32", "gradients": "fp32", "optimizer_states": "fp32",
    },
    "lora of all": {"method": "lora", "weights": "bf16", **_ADAPTED},
    "qlora without checkpoints": {"method": "qlora", "weights": "nf4", **_ADAPTED},
}  # fmt: skip
CASES = [(family, how) for family in FAMILIES for how in HOW]
QUICK = frozenset(CASES[:: len(HOW) - 3])


ADAPTED_BESIDE_MAMBA = ("q_proj", "v_proj", "in_proj", "up_proj")
"""Modules of Nemotron-H and Falcon-H1 that peft adapts: it refuses out_proj and conv1d of Mamba by name."""
MAMBA_BY_NAME = ("falcon_h1", "nemotron_h")


def _setting(family: str, how: dict[str, Any], **more: Any) -> Setting:
    fields = {"model": family, "batch_size": 2, "sequence_length": 500, **how, **more}
    if family in MAMBA_BY_NAME and "lora" in fields and fields["lora"].targets == "all-linear":
        fields["lora"] = replace(fields["lora"], targets=ADAPTED_BESIDE_MAMBA)
    return Setting(**fields)


def _model(family: str, **changes: Any) -> Any:
    return model_from_config({**FAMILIES[family], "model_type": family, **changes}, family)


def test_the_quick_cases_meet_every_family() -> None:
    assert {family for family, _ in QUICK} == set(FAMILIES)


@pytest.mark.parametrize(
    ("family", "how"), [pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow) for case in CASES]
)
def test_a_formula_gives_what_the_trace_sees(family: str, how: str) -> None:
    peak = 0.0025 if family in ("lfm2_moe", "nemotron_h") else PEAK
    agree_on(_setting(family, HOW[how]), _model(family), peak=peak, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("method", ["inference", "lora"])
def test_a_model_that_sees_has_its_tower(method: str) -> None:
    """Qwen3.5 as its config names the class: AutoModelForCausalLM would leave out 200 MB of the 0.8B."""
    model = cut("Qwen/Qwen3.5-0.8B", 4)
    setting = Setting(**{"model": "Qwen/Qwen3.5-0.8B", "batch_size": 2, "sequence_length": 512, **METHODS[method]})
    agree_on(setting, model, peak=PEAK, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("length", [1, 63, 64, 65, 128, 150, 192, 256])
@pytest.mark.parametrize("method", ["inference", "full", "qlora"])
def test_pieces_of_64_tokens_are_counted(method: str, length: int) -> None:
    """One piece, two, three, and more; whole and padded."""
    setting = Setting(**{"model": "qwen3_5_text", "batch_size": 3, "sequence_length": length, **METHODS[method]})
    agree_on(setting, _model("qwen3_5_text"), peak=0.0015, elsewhere=0.015)


@pytest.mark.parametrize("length", [1, 128, 129, 256])
@pytest.mark.parametrize("method", ["inference", "full", "qlora"])
def test_so_are_chunks_of_mamba(method: str, length: int) -> None:
    """To a hundredth where there are no more than two: gradients of a few states are followed no closer."""
    setting = Setting(**{"model": "bamba", "batch_size": 3, "sequence_length": length, **METHODS[method]})
    agree_on(setting, _model("bamba"), peak=0.0015 if method == "inference" else 0.012, elsewhere=0.015)


def test_as_many_heads_of_keys_as_of_values_are_not_repeated() -> None:
    model = _model("qwen3_5_text", linear_num_key_heads=8)
    setting = Setting("qwen3_5_text", "full", "bf16", batch_size=2, sequence_length=500)
    agree_on(setting, model, peak=PEAK, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("family", MAMBA_BY_NAME)
def test_peft_puts_no_adapters_on_the_output_of_mamba(family: str) -> None:
    """So neither does an estimate: the trace is refused by peft itself."""
    setting = Setting(family, "lora", "bf16", **_ADAPTED)
    with pytest.raises(UnsupportedTrace, match="out_proj"):
        trace(setting, _model(family))
    with pytest.raises(UnsupportedRow, match="out_proj"):
        estimate(setting, _model(family))


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("how", ["inference", "full", "full under autocast", "lora"])
def test_a_norm_of_what_mamba_gives_stands_before_its_gate_or_after_it(how: str, before: bool) -> None:
    model = _model("falcon_h1", mamba_rms_norm=True, mamba_norm_before_gate=before, mamba_n_groups=2)
    agree_on(_setting("falcon_h1", HOW[how]), model, peak=PEAK, elsewhere=ELSEWHERE)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["inference", "full", "full under autocast", "qlora"])
@pytest.mark.parametrize("name", ["LiquidAI/LFM2-1.2B", "Qwen/Qwen3-Next-80B-A3B-Instruct"])
def test_published_models_agree(name: str, how: str) -> None:
    setting = Setting(**{"model": name, "batch_size": 2, "sequence_length": 1000, **METHODS[how]})
    agree(setting, 4, peak=PEAK, elsewhere=0.002)


def test_a_long_answer_leaves_states_as_large_as_a_short_one() -> None:
    """Only the keys of full attention grow: the trace decodes 300 tokens from a few of their steps."""
    setting = Setting("qwen3_5_text", "inference", "bf16", batch_size=2, sequence_length=64, generated_length=300)
    agree_on(setting, _model("qwen3_5_text"), peak=PEAK, elsewhere=0.002)
