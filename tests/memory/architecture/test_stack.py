"""Other builds of the same model hold the same weights in other modules."""

from __future__ import annotations

import pytest

from tests.memory.architecture.samples import facts_of, small_facts
from toolkit.facts.models import model_from_config
from toolkit.memory.architecture import ModuleKind, UnsupportedModel, architecture_of
from toolkit.memory.architecture.stack import as_built
from toolkit.spec.settings.setting import Setting, Stack

OLD = Setting("", "qlora", "nf4", stack=Stack(versions={"transformers": "4.57.1"}))
NEW = Setting("", "qlora", "nf4", stack=Stack(versions={"transformers": "5.23"}))
UNSLOTH = Setting("", "qlora", "nf4", stack=Stack("unsloth"))


@pytest.mark.parametrize("model_type", ["mixtral", "qwen3_moe", "deepseek_v2", "deepseek_v3"])
def test_experts_were_linears_before_transformers_5(model_type: str) -> None:
    fused = architecture_of(small_facts(model_type))
    built = as_built(fused, OLD)
    assert built.parameters == fused.parameters
    assert all(module.kind is not ModuleKind.EXPERTS for module in built.modules)
    assert as_built(fused, NEW) is fused
    assert as_built(built, OLD).modules == built.modules


def test_names_of_unfused_experts() -> None:
    built = as_built(architecture_of(facts_of("mistralai/Mixtral-8x7B-v0.1")), OLD)
    paths = {path for module in built.modules for path in module.paths()}
    assert "model.layers.31.block_sparse_moe.experts.7.w2" in paths
    assert "model.layers.0.block_sparse_moe.gate" in paths
    w2 = next(module for module in built.modules if module.leaf == "w2")
    assert (w2.count, w2.in_features, w2.out_features) == (256, 14336, 4096)


def test_linears_of_unsloths_gpt_oss() -> None:
    fused = architecture_of(facts_of("openai/gpt-oss-20b"))
    built = as_built(fused, UNSLOTH)
    assert built.parameters == fused.parameters
    paths = {path for module in built.modules for path in module.paths()}
    assert "model.layers.23.mlp.experts.gate_up_projs.31" in paths
    assert as_built(fused, Setting("", "lora", "bf16", stack=Stack("unsloth"))) is fused


def test_a_version_that_is_none_is_taken_for_the_newest() -> None:
    fused = architecture_of(small_facts("mixtral"))
    assert as_built(fused, Setting("", "qlora", "nf4")) is fused
    assert as_built(fused, Setting("", "qlora", "nf4", stack=Stack(versions={"transformers": "latest"}))) is fused


def test_too_many_experts_to_list_are_refused() -> None:
    config = dict(small_facts("mixtral").config) | {"num_local_experts": 65_536}
    with pytest.raises(UnsupportedModel, match="too many"):
        as_built(architecture_of(model_from_config(config, "a/b")), OLD)
