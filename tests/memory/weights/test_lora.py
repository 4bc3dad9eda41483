"""Targets of LoRA without peft; test_lora_reference.py compares them with peft."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.memory.architecture.samples import facts_of, small_facts
from toolkit.memory.architecture import Architecture, architecture_of
from toolkit.memory.weights.lora import lora_parameters, lora_refusal, match_targets, saved_modules
from toolkit.memory.weights.parameters import total_parameters, trainable_parameters
from toolkit.spec.settings.setting import Lora, Setting, Stack

SEVEN = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def of(model_id: str, head: str = "causal-lm", labels: int = 0) -> Architecture:
    return architecture_of(facts_of(model_id), head, labels)


def test_gpt_oss_has_no_module_for_three_of_the_seven_names() -> None:
    match = match_targets(of("openai/gpt-oss-20b"), SEVEN)
    assert match.unmatched == ("gate_proj", "up_proj", "down_proj")
    assert match.per_target["q_proj"] == 24
    assert match.count == 96
    assert lora_parameters(of("openai/gpt-oss-20b"), Lora(16, targets=SEVEN)) == 7_962_624


@pytest.mark.parametrize(
    ("model_id", "lora", "expected"),
    [
        # What peft prints in published runs.
        ("Qwen/Qwen1.5-1.8B", Lora(16, targets=("q_proj", "v_proj")), 3_145_728),
        ("meta-llama/Llama-2-7b-hf", Lora(8, targets=("q_proj", "v_proj")), 4_194_304),
        ("meta-llama/Llama-2-7b-hf", Lora(16, targets=SEVEN), 39_976_960),
        ("meta-llama/Llama-3.1-8B", Lora(16, targets=SEVEN), 41_943_040),
        ("mistralai/Mistral-7B-v0.1", Lora(16), 41_943_040),
    ],
)
def test_published_counts(model_id: str, lora: Lora, expected: int) -> None:
    assert lora_parameters(of(model_id), lora) == expected


def test_a_name_matches_a_whole_part_and_not_a_piece() -> None:
    llama = of("meta-llama/Llama-2-7b-hf")
    assert match_targets(llama, ("proj",)).unmatched == ("proj",)
    assert match_targets(llama, ("self_attn",)).matched == ()
    assert match_targets(llama, ("layernorm", "input_layernorm")).matched == ()
    assert match_targets(llama, ("self_attn.q_proj",)).count == 32
    assert match_targets(llama, ("layers.7.self_attn.q_proj", "1.self_attn.q_proj")).count == 2
    assert match_targets(llama, ("11.self_attn.q_proj",)).matched[0].layers == ("11",)


def test_a_regular_expression_is_a_name_and_is_not_run() -> None:
    match = match_targets(of("meta-llama/Llama-2-7b-hf"), r"(.*)*\.q_proj")
    assert match.unmatched == (r"(.*)*\.q_proj",)


def test_all_linear_is_a_shorthand_only_by_itself() -> None:
    llama = of("meta-llama/Llama-2-7b-hf")
    assert match_targets(llama, "All-Linear").count == 224
    assert match_targets(llama, ("all-linear",)).matched == ()


def test_a_name_given_twice_or_with_its_path_adapts_once() -> None:
    llama = of("meta-llama/Llama-2-7b-hf")
    match = match_targets(llama, ("q_proj", "q_proj", "self_attn.q_proj"))
    assert match.count == 32
    assert match.per_target == {"q_proj": 32, "self_attn.q_proj": 32}


def test_experts_are_adapted_under_their_old_names() -> None:
    mixtral = of("mistralai/Mixtral-8x7B-v0.1")
    match = match_targets(mixtral, ("w1", "w2", "w3"))
    assert [module.leaf for module in match.matched] == ["gate_up_proj", "down_proj"]
    up, down = 32 * 8 * 2 * 16 * (4096 + 2 * 14336), 32 * 8 * 16 * (14336 + 4096)
    assert lora_parameters(mixtral, Lora(16, targets=("w1", "w2", "w3"))) == up + down


def test_experts_that_are_linears_have_an_adapter_each() -> None:
    lora = Lora(16, targets=("w1", "w2", "w3"))
    setting = Setting("", "lora", "bf16", lora=lora, stack=Stack(versions={"transformers": "4.40"}))
    expected = 32 * 8 * 3 * 16 * (14336 + 4096)
    assert trainable_parameters(of("mistralai/Mixtral-8x7B-v0.1"), setting) == expected


@pytest.mark.parametrize(
    ("model_type", "lora", "reason"),
    [
        ("mixtral", Lora(8, targets=("w1", "w2")), "w1 and w3 are fused"),
        ("qwen3_moe", Lora(8, targets=("up_proj",)), "gate_proj and up_proj are fused"),
        ("mixtral", Lora(8, targets=("w2",), dropout=0.1), "dropout"),
        ("llama", Lora(8, targets=("query",)), "no module"),
        ("gpt_oss", Lora(8, targets=("gate_proj",)), "no module"),
    ],
)
def test_what_peft_refuses(model_type: str, lora: Lora, reason: str) -> None:
    assert reason in (lora_refusal(architecture_of(small_facts(model_type)), lora) or "")


def test_what_peft_takes() -> None:
    assert lora_refusal(architecture_of(small_facts("mixtral")), Lora(8, targets=("w2", "q_proj"))) is None
    assert lora_refusal(architecture_of(small_facts("llama")), Lora(8, targets=SEVEN, dropout=0.1)) is None


def test_a_classifier_is_trained_in_full_beside_the_adapters() -> None:
    architecture = of("FacebookAI/roberta-base", "sequence-classification", 3)
    assert [module.leaf for module in saved_modules(architecture)] == ["dense", "out_proj"]
    setting = Setting("", "lora", "fp32", lora=Lora(8, targets=("query", "value")))
    adapters, classifier = 12 * 2 * 8 * (768 + 768), 768 * 768 + 768 + 3 * 768 + 3
    assert trainable_parameters(architecture, setting) == adapters + classifier
    assert total_parameters(architecture, setting) == architecture.parameters + adapters + classifier


def test_parameters_by_method() -> None:
    architecture = of("Qwen/Qwen2.5-7B")
    full = Setting("", "full", "bf16")
    assert trainable_parameters(architecture, full) == total_parameters(architecture, full) == 7_615_616_512
    assert trainable_parameters(architecture, replace(full, method="inference")) == 0
