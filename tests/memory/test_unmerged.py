"""Adapters that are not merged into the weights of a model that answers, against sizes by hand.

SmolLM2-135M: 30 layers of width 576, 9 query and 3 key-value heads of 64, feed-forward 1,536, 49,152 tokens.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec import decide, scenario_from_flags
from toolkit.spec.settings.setting import Kernels, Lora, Parallel, Setting, Stack

MODEL = "HuggingFaceTB/SmolLM2-135M"
LAYERS, WIDTH, KEYS, WIDER, VOCABULARY = 30, 576, 3 * 64, 1_536, 49_152
BATCH, PROMPT = 2, 512
RANK = 16
QUERIES_AND_VALUES = LAYERS * RANK * (2 * WIDTH + WIDTH + KEYS)
PHASES = (PhaseName.LOAD, PhaseName.PREFILL, PhaseName.DECODE)
QUERIES = Lora(RANK, targets=("q_proj", "v_proj"))


def facts() -> ModelFacts:
    found = load_model(MODEL)
    assert isinstance(found, ModelFacts)
    return found


def found_of(lora: Lora | None = QUERIES, **said: Any) -> Estimate:
    fields = {"weights": "bf16", "batch_size": BATCH, "sequence_length": PROMPT, "generated_length": 8, **said}
    return estimate(Setting(MODEL, "inference", lora=lora, **fields), facts())


def rows(found: Estimate, phase: PhaseName) -> dict[str, int]:
    ledger = found.ledger.phase(phase)
    assert ledger is not None
    return {row.name: row.bytes for row in ledger.rows}


def decided(**flags: str) -> Setting:
    common = {"model": MODEL, "method": "inference", "weights": "bf16", "batch_size": "2", "sequence_length": "512"}
    said = {name.replace("__", "."): value for name, value in flags.items()}
    adapters = {"lora.rank": str(RANK), "lora.targets": "[q_proj, v_proj]"}
    scenario, findings = scenario_from_flags({**common, **adapters, **said}, Path())
    assert scenario is not None, findings
    return decide(scenario, {})


@pytest.mark.parametrize("weights", ["bf16", "fp32", "nf4", "int8"])
@pytest.mark.parametrize("phase", PHASES)
def test_they_are_there_from_loading_on(phase: PhaseName, weights: str) -> None:
    compute = "fp32" if weights == "fp32" else "bf16"
    assert rows(found_of(weights=weights, compute=compute), phase)["adapters"] == 4 * QUERIES_AND_VALUES
    assert "adapters" not in rows(found_of(None, weights=weights, compute=compute), phase)


def test_they_are_parameters_of_which_none_is_trained() -> None:
    alone, beside = found_of(None), found_of()
    assert beside.parameters_total - alone.parameters_total == QUERIES_AND_VALUES
    assert beside.parameters_trainable == alone.parameters_trainable == 0


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ({}, "fp32"),
        ({"stack__peft": "0.11.0"}, "bf16"),  # before autocast_adapter_dtype
        ({"stack__peft": "0.11.0", "weights": "nf4"}, "fp32"),  # packed weights are of no float dtype to follow
        ({"stack__trainer": "trl", "weights": "nf4"}, "fp32"),  # SFTTrainer casts those that it trains
        ({"lora__dtype": "fp16"}, "fp16"),
    ],
)  # fmt: skip
def test_they_have_the_dtype_that_peft_loads_them_in(flags: dict[str, str], dtype: str) -> None:
    setting = decided(**flags)
    assert setting.lora is not None
    assert setting.lora.dtype == dtype
    assert rows(estimate(setting, facts()), PhaseName.LOAD)["adapters"] == (2, 4)[dtype == "fp32"] * QUERIES_AND_VALUES


def test_dropout_and_what_training_froze_are_nothing_to_an_answer() -> None:
    plain = decided()
    for flags in ({"lora__dropout": "0.1"}, {"lora__frozen": "b"}):
        assert decided(**flags) == plain


def test_the_way_up_is_fullest_as_its_branch_is_scaled() -> None:
    """A float32 copy of the input, and B's product beside its multiple; before, gate and the activated gate."""
    tokens = BATCH * PROMPT
    wide = rows(found_of(Lora(RANK, targets=("up_proj",))), PhaseName.PREFILL)
    assert wide["adapter_states"] == tokens * 4 * (WIDTH + 2 * WIDER)
    assert wide["feed_forward_states"] == tokens * 2 * 2 * WIDER
    more = rows(found_of(Lora(64, targets=("up_proj",))), PhaseName.PREFILL)
    assert more["adapter_states"] == wide["adapter_states"]  # what is as narrow as the rank is gone by then


def test_adapters_in_the_dtype_of_the_weights_copy_no_input() -> None:
    tokens = BATCH * PROMPT
    narrow = rows(found_of(Lora(RANK, targets=("up_proj",), dtype="bf16")), PhaseName.PREFILL)
    assert narrow["adapter_states"] == tokens * 2 * 2 * WIDER


def test_an_adapter_on_the_output_layer_is_as_wide_as_the_vocabulary() -> None:
    """Of every token in a plain pass, else of the last token of each sequence alone."""
    lora = Lora(RANK, targets=("lm_head",))
    every = rows(found_of(lora, generated_length=0, stack=Stack("plain")), PhaseName.PREFILL)
    assert every["logits"] == BATCH * PROMPT * VOCABULARY * 2
    assert every["adapter_states"] == BATCH * PROMPT * (VOCABULARY * 2 + WIDTH) * 4
    last = rows(found_of(lora), PhaseName.DECODE)
    assert last["adapter_states"] == BATCH * (VOCABULARY * 2 + WIDTH) * 4


def test_a_token_of_dora_makes_the_whole_change_of_the_weight() -> None:
    """In float32, whatever the number of tokens: the change, its multiple and the sum, beside a copy of the weight."""
    dora = Lora(RANK, targets=("down_proj",), dora=True)
    matrix = 4 * WIDER * WIDTH
    found = rows(found_of(dora), PhaseName.DECODE)
    assert (found["dora_matrices"], found["autocast_copies"]) == (3 * matrix, matrix)
    older = rows(found_of(dora, stack=Stack(versions={"peft": "0.18.1"})), PhaseName.DECODE)
    assert older["dora_matrices"] == 3 * matrix + 4 * WIDER * WIDER  # the unit matrix is named to the end


def test_loading_dora_multiplies() -> None:
    dora = rows(found_of(replace(QUERIES, dora=True)), PhaseName.LOAD)
    assert dora["cublas_workspace"] == 8_519_680
    assert "cublas_workspace" not in rows(found_of(), PhaseName.LOAD)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"stack": Stack("vllm", versions={"vllm": "0.11.0"}), "gpu": "RTX 4090"}, "vllm and adapters"),
        ({"stack": Stack("litgpt"), "batch_size": 1}, "litgpt and adapters"),
        ({"stack": Stack("unsloth")}, "unsloth and adapters"),
        ({"parallel": Parallel(3, "tensor")}, "strategy tensor and adapters"),
        ({"kernels": Kernels(adapters="unsloth")}, "kernels unsloth and adapters"),
        ({"weights": "gptq-int4", "compute": "fp16"}, "gptq-int4 weights and adapters"),
        ({"stack": Stack(versions={"peft": "0.8.2"})}, r"peft before 0\.9 and adapters"),
    ],
)  # fmt: skip
def test_what_is_not_followed_is_refused_by_name(said: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=f"adapters: no rule for {reason} that are not merged yet"):
        found_of(**said)
