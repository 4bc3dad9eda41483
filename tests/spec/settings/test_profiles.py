"""Profiles and settings: what is open, what the stack decides, and what a decision gives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from toolkit.finding import Place
from toolkit.spec import (
    FIELDS,
    PROFILES,
    Range,
    Scenario,
    Setting,
    decide,
    open_fields,
    scenario_from_flags,
)
from toolkit.spec.fields.names import PACKAGES
from toolkit.spec.fields.value import Atom, Field, Reference
from toolkit.spec.settings.decide import UnresolvedError
from toolkit.spec.settings.lora_targets import usual_targets
from toolkit.spec.settings.profiles import Profile, profile_of
from toolkit.spec.settings.setting import OWN


def scenario(**fields: str) -> Scenario:
    flat = {"model": "Qwen/Qwen2.5-7B", **{name.replace("__", "."): text for name, text in fields.items()}}
    found, findings = scenario_from_flags(flat, Path())
    assert not findings, [str(finding) for finding in findings]
    assert found is not None
    return found


def setting(given: Mapping[str, Atom] | None = None, **fields: str) -> Setting:
    return decide(scenario(**fields), given or {})


def test_what_full_training_leaves_open() -> None:
    assert open_fields(scenario(method="full")) == {
        "weights": ("bf16", "fp32"),
        "batch_size": Range(1, 8),
        "sequence_length": Range(512, 4096),
        "gradient_accumulation": (1, 8),
        "gradient_checkpointing": (True, False),
        "optimizer_implementation": ("fused", "foreach"),
        "amp": (True, False),
        "stack.trainer": ("transformers", "trl"),
    }


def test_deepspeeds_engine_has_no_autocast_of_its_own() -> None:
    gpus = {"parallel__gpus": "2", "parallel__strategy": "zero2"}
    assert "amp" not in open_fields(scenario(method="full", weights="bf16", **gpus))
    assert open_fields(scenario(method="full", weights="fp32", **gpus))["amp"] == (True, False)


def test_what_adapters_leave_open_field_by_field() -> None:
    every = open_fields(scenario(method="qlora"))
    assert every["lora.rank"] == Range(4, 64)
    assert every["double_quant"] == (False, True)
    assert "amp" not in every
    said = open_fields(scenario(method="qlora", lora__rank="16"))
    assert "lora.rank" not in said
    assert said["lora.targets"] == (
        ("q_proj", "v_proj"),
        ("q_proj", "k_proj", "v_proj", "o_proj"),
        "all-linear",
    )
    assert "lora.rank" not in open_fields(scenario(method="full"))


def test_what_inference_leaves_open() -> None:
    assert open_fields(scenario(method="inference", weights="bf16")) == {
        "batch_size": Range(1, 8),
        "sequence_length": Range(128, 4096),
        "generated_length": (0, 512),
    }


def test_a_classifier_generates_nothing_and_is_not_for_a_trainer_of_language_models() -> None:
    for head in ("sequence-classification", "masked-lm", "base"):
        inferring = open_fields(scenario(method="inference", head=head))
        training = open_fields(scenario(method="full", head=head))
        assert "generated_length" not in inferring
        assert "stack.trainer" not in training
        assert decide(scenario(method="inference", head=head), {}).generated_length == 0
        assert decide(scenario(method="full", head=head), {}).stack.trainer == "transformers"
    said = open_fields(scenario(method="inference", head="causal-lm"))
    assert said["generated_length"] == (0, 512)


def test_the_document_takes_the_place_of_the_profile() -> None:
    options = open_fields(scenario(method="inference", batch_size="[2, 3]", sequence_length="{from: 1, to: 9}"))
    assert options["batch_size"] == (2, 3)
    assert options["sequence_length"] == Range(1, 9)


def test_usual_targets_are_those_of_the_models_type() -> None:
    assert usual_targets("gpt_neox")[0] == ("query_key_value",)
    assert usual_targets("bert")[-1] == "all-linear"
    assert usual_targets("something new") == usual_targets(None) == ("all-linear",)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_profiles_are_versioned_and_give_their_reasons(profile: Profile) -> None:
    assert profile in PROFILES.values()
    for assumption in profile.assumptions:
        assert assumption.name in FIELDS
        assert assumption.reason.endswith(".")
        assert len(assumption.reason) > 20


@pytest.mark.parametrize("method", ["full", "lora", "qlora", "inference"])
def test_every_assumed_value_is_one_that_the_field_may_have(method: str) -> None:
    from toolkit.spec.fields.kind import Integer, OneOf

    for assumption in profile_of(scenario(method=method)).assumptions:
        options = assumption.options(scenario(method=method))
        kind = FIELDS[assumption.name].kind
        for value in (options.low, options.high) if isinstance(options, Range) else options:
            if isinstance(kind, OneOf):
                assert value in kind.names
            if isinstance(kind, Integer):
                assert isinstance(value, int)
                assert value >= kind.low


def test_a_setting_has_no_field_open() -> None:
    made = setting(method="full", weights="bf16", gradient_checkpointing="true")
    assert (made.gradients, made.optimizer_states, made.compute, made.gradient_checkpointing) == (
        "bf16", "bf16", "bf16", "non-reentrant",
    )  # fmt: skip
    assert made.lora is None
    assert made.trains
    inference = setting(method="inference")
    assert (inference.optimizer, inference.gradients, inference.optimizer_states) == ("none", "none", "none")
    assert (inference.amp, inference.gradient_checkpointing, inference.gradient_accumulation) == (
        False,
        "false",
        1,
    )


def test_choices_decide() -> None:
    made = setting({"batch_size": 8, "lora.rank": 64, "lora.targets": "all-linear"}, method="lora", weights="bf16")
    assert made.batch_size == 8
    assert made.lora is not None
    assert (made.lora.rank, made.lora.targets) == (64, "all-linear")
    first = setting(method="lora", weights="bf16")
    assert first.lora is not None
    assert (first.batch_size, first.lora.rank) == (1, 4)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"weights": "fp32", "amp": "false"},
            {"compute": "fp32", "gradients": "fp32", "optimizer_states": "fp32"},
        ),
        (
            {"weights": "fp32", "amp": "true"},
            {"compute": "bf16", "gradients": "fp32", "optimizer_states": "fp32"},
        ),
        ({"weights": "fp16"}, {"compute": "fp16", "gradients": "fp16", "optimizer_states": "fp16"}),
        ({"weights": "bf16", "master_weights": "fp32"}, {"gradients": "bf16", "optimizer_states": "fp32"}),
        ({"weights": "bf16", "optimizer": "adamw_8bit"}, {"optimizer_states": "int8"}),
        ({"weights": "bf16", "optimizer": "none"}, {"optimizer_states": "none"}),
        ({"weights": "bf16", "gradients": "fp32"}, {"gradients": "fp32", "optimizer_states": "bf16"}),
        ({"weights": "bf16", "optimizer_states": "fp32"}, {"optimizer_states": "fp32"}),
        ({"weights": "bf16", "gradients": "null"}, {"gradients": "bf16"}),
    ],
)
def test_dtypes_of_full_training(fields: dict[str, str], expected: dict[str, str]) -> None:
    made = setting(method="full", **fields)
    assert {name: getattr(made, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("fields", "dtype"),
    [
        ({"method": "lora", "weights": "bf16"}, "fp32"),
        ({"method": "lora", "weights": "bf16", "stack.peft": "0.11.1"}, "bf16"),
        ({"method": "lora", "weights": "bf16", "stack.peft": "0.12.0"}, "fp32"),
        ({"method": "lora", "weights": "fp32", "stack.peft": "0.10.0"}, "fp32"),
        ({"method": "lora", "weights": "bf16", "stack.trainer": "trl"}, "fp32"),
        ({"method": "qlora", "stack.trainer": "transformers"}, "fp32"),
        ({"method": "qlora", "stack.trainer": "trl"}, "bf16"),
        ({"method": "qlora", "stack.trainer": "trl", "compute": "fp16"}, "bf16"),
        ({"method": "lora", "weights": "int8", "stack.trainer": "trl"}, "bf16"),
        ({"method": "qlora", "stack.trainer": "trl", "stack.trl": "0.25.1"}, "fp32"),
        ({"method": "qlora", "stack.trainer": "trl", "stack.trl": "0.26.0"}, "bf16"),
        ({"method": "qlora", "stack.trainer": "unsloth"}, "fp32"),
        ({"method": "lora", "weights": "bf16", "stack.trainer": "litgpt"}, "bf16"),
        ({"method": "qlora", "lora.dtype": "fp16"}, "fp16"),
    ],
)
def test_dtypes_of_adapters(fields: dict[str, str], dtype: str) -> None:
    made = setting(**fields)
    assert made.lora is not None
    assert (made.lora.dtype, made.gradients, made.optimizer_states) == (dtype, dtype, dtype)


@pytest.mark.parametrize(
    ("fields", "form"),
    [
        ({}, "non-reentrant"),
        ({"stack.transformers": "4.57.1"}, "reentrant"),
        ({"stack.transformers": "5.23"}, "non-reentrant"),
        ({"stack.trainer": "trl", "stack.trl": "0.23.0"}, "reentrant"),
        ({"stack.trainer": "trl", "stack.trl": "0.27"}, "non-reentrant"),
        ({"stack.trainer": "trl", "stack.trl": "0.23.0", "stack.transformers": "5.1"}, "non-reentrant"),
        ({"stack.trainer": "unsloth"}, "reentrant"),
        ({"stack.trainer": "plain"}, "non-reentrant"),
        ({"stack.trainer": "plain", "stack.transformers": "4.49.0"}, "reentrant"),  # gradient_checkpointing_enable
    ],
)
def test_the_form_of_checkpointing(fields: dict[str, str], form: str) -> None:
    assert setting(method="full", gradient_checkpointing="true", **fields).gradient_checkpointing == form
    assert setting(method="full", gradient_checkpointing="false", **fields).gradient_checkpointing == "false"
    said = setting(method="full", gradient_checkpointing="reentrant", **fields)
    assert said.gradient_checkpointing == "reentrant"


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({}, ("fused", "foreach")),
        ({"stack.torch": "2.8.0"}, ("fused",)),
        ({"stack.torch": "2.13.0+cu130"}, ("fused",)),
        ({"stack.torch": "2.7.1"}, ("foreach",)),
        ({"stack.transformers": "4.44.2"}, ("foreach",)),
        ({"stack.torch": "2.8", "stack.transformers": "4.53"}, ("foreach",)),
        ({"stack.trainer": "plain"}, ("foreach",)),
        ({"optimizer": "sgd"}, ("foreach",)),
        ({"optimizer": "adamw_8bit"}, ("fused",)),
    ],
)
def test_the_optimizers_implementation(fields: dict[str, str], options: tuple[str, ...]) -> None:
    opened = open_fields(scenario(method="full", **fields))
    assert opened.get("optimizer_implementation", options[:1]) == options
    assert setting(method="full", **fields).optimizer_implementation == options[0]


def test_the_loss_of_a_trainer() -> None:
    assert setting(method="full", stack__trainer="trl", stack__trl="1.7.0").stack.loss == "chunked"
    assert setting(method="full", stack__trainer="trl", stack__trl="1.6").stack.loss == "cross-entropy"
    assert open_fields(scenario(method="qlora", stack__trainer="unsloth"))["stack.loss"] == (
        "fused",
        "cross-entropy",
    )


def test_unsloth_quantizes_the_scales_too() -> None:
    said = scenario(method="qlora", stack__trainer="unsloth")
    assert "double_quant" not in open_fields(said)
    assert decide(said, {}).double_quant
    assert not setting(method="qlora").double_quant


def test_heads_and_labels() -> None:
    assert (setting(method="full").head, setting(method="full").labels) == ("causal-lm", 0)
    made = setting(method="full", head="sequence-classification(5)")
    assert (made.head, made.labels) == ("sequence-classification", 5)
    tags = setting(method="full", head="token-classification(9)")
    assert (tags.head, tags.labels) == ("token-classification", 9)
    assert setting(method="full", head="sequence-classification").labels == 2
    assert setting(method="full", head="sequence-classification", labels="7").labels == 7


def test_groups_reach_the_setting() -> None:
    made = setting(
        method="inference",
        gpu="RTX 4090",
        stack__trainer="vllm",
        stack__vllm="0.11.0",
        engine__max_num_seqs="16",
        parallel__gpus="2",
        parallel__strategy="tensor",
        run__examples="320",
    )
    assert made.stack.label() == "vllm vllm 0.11.0"
    assert made.engine == {"gpu_memory_utilization": 0.9, "max_num_seqs": 16}
    assert (made.parallel.gpus, made.parallel.strategy) == (2, "tensor")
    assert (made.run.examples, made.gpu) == (320, "RTX 4090")


def test_deepspeeds_sizes_reach_the_setting() -> None:
    made = setting(
        method="full",
        parallel__gpus="4",
        parallel__strategy="zero3",
        parallel__offload="optimizer",
        parallel__reduce_bucket_size="1000",
        parallel__overlap_comm="false",
    )
    assert made.parallel.offload == "optimizer"
    assert made.parallel.zero is not None
    assert (made.parallel.zero.reduce_bucket_size, made.parallel.zero.overlap_comm) == (1000, False)
    assert made.parallel.zero.prefetch_bucket_size is None
    alone = setting(method="full")
    assert (alone.parallel.zero, alone.parallel.reshard_after_forward) == (None, True)


def test_kernels_and_groups_reach_the_setting() -> None:
    made = setting(
        method="qlora",
        weights="gptq-int4",
        group_size="-1",
        kernels__gptq="triton",
        kernels__adapters="masked",
        kernels__norm="true",
    )
    assert (made.group_size, made.upcast) == (-1, None)
    kernels = made.kernels
    assert (kernels.gptq, kernels.adapters, kernels.norm, kernels.rotary) == ("triton", "masked", True, False)
    linear = setting(method="inference", kernels__linear_attention="fla", kernels__convolution="causal-conv1d")
    assert (linear.kernels.linear_attention, linear.kernels.convolution) == ("fla", "causal-conv1d")
    assert setting(method="inference", kernels__linear_attention="torch", kernels__convolution="torch").kernels == OWN
    plain = setting(method="qlora", weights="nf4", upcast="false")
    assert (plain.upcast, plain.kernels, plain.group_size) == (False, OWN, 128)


@pytest.mark.parametrize(("trainer", "options"), [("trl", ("auto", "deepspeed")), ("plain", ("deepspeed",))])
def test_where_bucket_sizes_come_from_is_open_for_a_trainer(trainer: str, options: tuple[str, ...]) -> None:
    """A Trainer's config may say auto, which its integration fills in; a plain loop gets DeepSpeed's own."""
    said = scenario(method="full", stack__trainer=trainer, parallel__gpus="4", parallel__strategy="zero2")
    assert open_fields(said).get("parallel.buckets", options) == options
    assert "parallel.buckets" not in open_fields(scenario(method="full", parallel__gpus="4", parallel__strategy="ddp"))


@pytest.mark.parametrize(
    ("versions", "shares"),
    [({}, (0.92, 0.9)), ({"stack__vllm": "0.20.2"}, (0.9,)), ({"stack__vllm": "0.21.0"}, (0.92,))],
)
def test_the_share_of_the_card_that_vllm_takes_follows_its_version(
    versions: dict[str, str], shares: tuple[float, ...]
) -> None:
    """As vLLM's pull request 38284, merged for 0.21, says of itself."""
    said = scenario(method="inference", stack__trainer="vllm", **versions)
    assert open_fields(said).get("engine.gpu_memory_utilization", shares) == shares
    assert decide(said, {}).engine == {"gpu_memory_utilization": shares[0]}


@pytest.mark.parametrize("method", ["full", "inference"])
def test_rows_are_full_unless_it_is_said_otherwise(method: str) -> None:
    assert "padding" in [assumption.name for assumption in profile_of(scenario(method=method)).assumptions]
    assert "padding" not in open_fields(scenario(method=method))
    assert setting(method=method).padding is False
    assert setting(method=method, padding="true").padding is True
    assert open_fields(scenario(method=method, padding="[true, false]"))["padding"] == (True, False)


def test_only_vllm_takes_a_share_of_the_card() -> None:
    assert "engine.gpu_memory_utilization" not in open_fields(scenario(method="inference"))
    assert setting(method="inference").engine == {}


def test_every_field_is_declared_wholly() -> None:
    assert {f"stack.{package}" for package in PACKAGES} <= set(FIELDS)
    for name, field in FIELDS.items():
        assert field.name == name
        assert field.doc.endswith(".")
        assert field.affects
        assert field.examples


def test_an_unresolved_scenario_has_no_setting() -> None:
    said = scenario(method="full")
    waiting = said.with_fields({"batch_size": Field(Reference("b"), Place("f"))})
    with pytest.raises(UnresolvedError, match="batch_size"):
        decide(waiting, {})


def test_nothing_runs_before_a_prompt_unless_a_document_says_so() -> None:
    assert setting(method="inference").warmup is False
    assert setting(method="inference", warmup="true").warmup is True
    assert open_fields(scenario(method="inference", warmup="[true, false]"))["warmup"] == (True, False)
