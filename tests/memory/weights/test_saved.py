"""Copies of whole modules that peft trains beside adapters, against counts by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.architecture import Architecture, architecture_of
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.weights.parameters import total_parameters, trainable_parameters
from toolkit.memory.weights.saved import saved_modules, unmatched_names
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack

LLAMA3, TIED = "meta-llama/Meta-Llama-3-8B", "meta-llama/Llama-3.2-1B"
ENDS = ("embed_tokens", "lm_head")
VOCABULARY, HIDDEN, LAYERS = 128_256, 4096, 32
COPY = VOCABULARY * HIDDEN
ADAPTERS = LAYERS * 8 * 2 * HIDDEN
"""Of rank 8 on the queries of 32 layers."""


def facts_of(name: str) -> ModelFacts:
    found = load_model(name)
    assert isinstance(found, ModelFacts)
    return found


def of(name: str, head: str = "causal-lm", labels: int = 0) -> Architecture:
    return architecture_of(facts_of(name), head, labels)


def lora(*saves: str, targets: tuple[str, ...] = ("q_proj",)) -> Lora:
    return Lora(8, 16, targets, modules_to_save=saves)


def setting(*saves: str, name: str = LLAMA3, **said: Any) -> Setting:
    common = {"weights": "bf16", "gradients": "fp32", "optimizer_states": "fp32"}
    return Setting(name, **{"method": "lora", "lora": lora(*saves), **common, **said})


def estimated(*saves: str, name: str = LLAMA3, **said: Any) -> Estimate:
    one = setting(*saves, name=name, **said)
    return estimate(one, facts_of(name))


def rows(found: Estimate, phase: str) -> dict[str, int]:
    [ledger] = [one for one in found.ledger.phases if one.name.value == phase]
    return {row.name: row.bytes for row in ledger.rows}


def test_both_ends_of_llama_3_are_trained_as_copies_of_a_gibibyte_each() -> None:
    architecture, one = of(LLAMA3), setting(*ENDS)
    assert trainable_parameters(architecture, one) == 2 * COPY + ADAPTERS
    assert total_parameters(architecture, one) == architecture.parameters + 2 * COPY + ADAPTERS
    held = rows(estimated(*ENDS), "optimizer_step")
    assert held["weights"] == 2 * architecture.parameters
    assert held["adapters"] == 2 * 2 * COPY + 4 * ADAPTERS
    assert held["gradients"] == 2 * 2 * COPY + 4 * ADAPTERS
    assert held["optimizer_states"] == 2 * (2 * 2 * COPY + 4 * ADAPTERS)


def test_each_of_two_modules_that_share_a_weight_gets_a_copy_of_its_own() -> None:
    architecture, copy = of(TIED), VOCABULARY * 2048
    assert architecture.tied
    adapters = 16 * 8 * 2 * 2048
    assert trainable_parameters(architecture, setting(*ENDS, name=TIED)) == 2 * copy + adapters
    assert trainable_parameters(architecture, setting("lm_head", name=TIED)) == copy + adapters


def test_a_name_takes_what_ends_in_it_and_all_that_lies_below() -> None:
    norms = {module.leaf for module in saved_modules(of(LLAMA3), ("norm",))}
    assert norms == {"norm", "input_layernorm", "post_attention_layernorm"}
    below = saved_modules(of(LLAMA3), ("mlp",))
    assert {module.leaf: module.count for module in below} == dict.fromkeys(("gate_proj", "up_proj", "down_proj"), 32)
    [third] = {module.layers for module in saved_modules(of(LLAMA3), ("layers.3.mlp",))}
    assert third == ("3",)
    classifiers = saved_modules(of(TIED, "sequence-classification", 3), ("embed_tokens",))
    assert [module.leaf for module in classifiers] == ["embed_tokens", "score"]


def test_what_is_copied_has_no_adapter() -> None:
    one = setting(lora=lora("q_proj", targets=("q_proj", "v_proj")))
    assert trainable_parameters(of(LLAMA3), one) == LAYERS * (HIDDEN * HIDDEN + 8 * (HIDDEN + 1024))


def test_preparing_for_4_bit_training_makes_what_is_copied_float32_before() -> None:
    packed = {"method": "qlora", "weights": "nf4", "amp": True}
    assert rows(estimated(*ENDS, **packed), "optimizer_step")["adapters"] == 4 * (2 * COPY + ADAPTERS)
    left = {**packed, "stack": Stack("trl", "chunked"), "gradients": "bf16", "optimizer_states": "bf16"}
    one = {**left, "lora": replace(lora(*ENDS), dtype="bf16")}
    assert rows(estimated(**one), "optimizer_step")["adapters"] == 2 * (2 * COPY + ADAPTERS)


def test_8_bit_states_of_a_copied_embedding_are_left_in_float32() -> None:
    """A Trainer's override for embeddings takes copies, too, and the output layer is none of them."""
    held = rows(estimated(*ENDS, optimizer="adamw_8bit", optimizer_states="int8"), "optimizer_step")
    in_8_bit = COPY + ADAPTERS
    assert held["optimizer_states"] == 2 * 4 * COPY + 2 * (in_8_bit + in_8_bit // 256 * 4)


def test_paged_states_of_copies_are_not_counted_by_torch() -> None:
    alone, both = (rows(estimated(*saves, optimizer="paged_adamw"), "optimizer_step") for saves in ((), ("lm_head",)))
    assert both.get("optimizer_states", 0) == alone.get("optimizer_states", 0)


def test_the_gradient_of_a_copied_embedding_comes_last_of_all() -> None:
    """Where gradients accumulate, one more of it is there for a moment than of all that is trained."""
    held = rows(estimated("embed_tokens", gradient_accumulation=2, sequence_length=16), "backward")
    assert held["gradients"] == 2 * COPY + 4 * ADAPTERS
    assert held["new_gradient"] == 2 * COPY


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (setting("wte"), "no module of LlamaForCausalLM has a name that ends in wte"),
        (setting("lm_head", "rotary"), "ends in rotary"),
        (setting("o_proj", method="qlora", weights="nf4"), "o_proj .modules_to_save. has nf4 weights, which get no gr"),
        (setting("proj"), "which has an adapter by then"),
        (setting("layers.3.mlp"), "modules_to_save and copies of some layers alone"),
        (setting("lm_head", parallel=Parallel(2, "fsdp")), "modules_to_save and fsdp yet"),
        (setting("lm_head", parallel=Parallel(2, "zero2")), "modules_to_save and zero2 yet"),
        (setting("lm_head", stack=Stack("unsloth")), "modules_to_save and unsloth yet"),
        (setting("lm_head", optimizer_in_backward=True, stack=Stack("plain")), "modules_to_save and steps in backward"),
    ],
)  # fmt: skip
def test_what_is_not_followed_is_refused_by_name(one: Setting, said: str) -> None:
    assert estimated()
    with pytest.raises(UnsupportedRow, match=said):
        estimate(one, facts_of(LLAMA3))


def test_a_copy_that_the_formulas_go_around_is_refused() -> None:
    mixture = setting("experts", name="mistralai/Mixtral-8x7B-v0.1")
    with pytest.raises(UnsupportedRow, match=r"a copy of model\.layers\.\{\}\.mlp\.experts"):
        estimate(mixture, facts_of(mixture.model))
    pairs = setting("lm_head", name="google-t5/t5-small", lora=lora("lm_head", targets=("q",)))
    with pytest.raises(UnsupportedRow, match="modules of t5"):
        estimate(pairs, facts_of(pairs.model))


def test_copies_that_were_not_merged_are_beside_a_model_that_generates() -> None:
    plain, copied = (estimated(*saves, method="inference", generated_length=8) for saves in ((), ("lm_head",)))
    for phase in ("load", "prefill", "decode"):
        assert rows(plain, phase)["adapters"] == 4 * ADAPTERS
        assert rows(copied, phase)["adapters"] == 4 * ADAPTERS + 2 * COPY
    assert copied.parameters_total - plain.parameters_total == COPY
    assert plain.parameters_trainable == copied.parameters_trainable == 0


def test_names_that_no_module_has_are_found() -> None:
    assert unmatched_names(of(LLAMA3), ("lm_head", "head", "heads")) == ("heads",)
