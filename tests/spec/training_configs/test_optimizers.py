"""The optimizers of other tools' configurations: every name that transformers has is followed, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec.training_configs.reading import fields, mistakes, remarked
from toolkit.spec.training_configs.optimizers import OPTIMIZERS
from toolkit.spec.training_configs.optimizers_refused import REFUSED

SAID = {"model": "Qwen/Qwen2.5-0.5B", "method": "full"}
AXOLOTL = "base_model: Qwen/Qwen2.5-0.5B\nbf16: true\n"
LLAMAFACTORY = "model_name_or_path: Qwen/Qwen2.5-0.5B\ndo_train: true\nfinetuning_type: full\n"
TORCHTUNE = "model: {_component_: torchtune.models.qwen2_5.qwen2_5_0_5b}\ndtype: bf16\n"


def transformers(folder: Path, text: str) -> dict[str, object]:
    return dict(fields(folder, text, "transformers", **SAID))


@pytest.mark.parametrize(
    ("optim", "expected"),
    [
        ("lion_8bit", "lion_8bit"), ("paged_lion_32bit", "paged_lion"), ("paged_lion_8bit", "paged_lion_8bit"),
        ("ademamix", "ademamix"), ("ademamix_8bit", "ademamix_8bit"), ("paged_ademamix_32bit", "paged_ademamix"),
        ("rmsprop", "rmsprop"), ("rmsprop_bnb", "rmsprop_bnb"), ("rmsprop_bnb_32bit", "rmsprop_bnb"),
        ("schedule_free_radam", "schedule_free_radam"), ("stable_adamw", "stable_adamw"),
        ("adamw_torch_8bit", "adamw_torchao_8bit"), ("adamw_torch_4bit", "adamw_torchao_4bit"),
        ("rmsprop_bnb_8bit", "rmsprop_bnb_8bit"), ("adagrad", "adagrad"), ("OptimizerNames.SGD", "sgd"),
    ],
)  # fmt: skip
def test_names_of_a_trainer(tmp_path: Path, optim: str, expected: str) -> None:
    assert transformers(tmp_path, f"optim: {optim}\n")["optimizer"] == expected


def test_what_compiles_its_step_is_told_and_blocks_of_another_size_are_refused(tmp_path: Path) -> None:
    [told] = remarked(tmp_path, "optim: adamw_torch_4bit\n", "transformers", **SAID)
    assert "optim: what torch.compile makes of its step" in told
    [found] = mistakes(tmp_path, "optim: adamw_torch_4bit\noptim_args: block_size=64\n", "transformers", **SAID)
    assert "blocks of another size" in found


def test_no_name_is_both_followed_and_refused() -> None:
    assert not OPTIMIZERS.keys() & REFUSED.keys()


@pytest.mark.reference
def test_every_name_of_transformers_is_followed_or_refused_with_its_reason() -> None:
    names = pytest.importorskip("transformers.training_args").OptimizerNames
    assert {one.value for one in names} <= OPTIMIZERS.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_not_followed_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (found,) = mistakes(tmp_path, f"optim: {name}\n", "transformers", **SAID)
    assert found == f"config.yaml:1:8: S115 optim: {name}: {REFUSED[name]}"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [("momentum=0.9", "sgd_momentum"), ("momentum=0", "sgd"), ("momentum=0.0,nesterov=false", "sgd"), ("", "sgd")],
)
def test_sgd_has_momentum_where_its_arguments_say_so(tmp_path: Path, arguments: str, expected: str) -> None:
    assert transformers(tmp_path, f"optim: sgd\noptim_args: '{arguments}'\n")["optimizer"] == expected


def test_rmsprop_with_more_states_is_refused(tmp_path: Path) -> None:
    for arguments in ("momentum=0.9", "centered=true"):
        (found,) = mistakes(tmp_path, f"optim: rmsprop\noptim_args: {arguments}\n", "transformers", **SAID)
        assert "config.yaml:2:13: S115 optim_args: no formula for RMSprop with momentum or centered yet" in found
    assert transformers(tmp_path, "optim: rmsprop\noptim_args: alpha=0.9,centered=false\n")["optimizer"] == "rmsprop"


def test_a_decay_that_copies_gradients_is_said(tmp_path: Path) -> None:
    (found,) = remarked(tmp_path, "optim: sgd\nweight_decay: 0.1\n", "transformers", **SAID)
    assert found.startswith("2:15 S115 weight_decay: with sgd it makes a copy of all gradients")
    assert remarked(tmp_path, "optim: sgd\nweight_decay: 0.0\n", "transformers", **SAID) == []
    assert remarked(tmp_path, "optim: adamw_torch\nweight_decay: 0.1\n", "transformers", **SAID) == []


GALORE = "optim: galore_adamw_8bit\noptim_target_modules: [attn, mlp]\n"


def test_galore_takes_its_arguments_and_targets(tmp_path: Path) -> None:
    found = transformers(tmp_path, GALORE + "optim_args: 'rank=64, update_proj_gap=100, scale=0.10'\n")
    assert found["optimizer"] == "galore_adamw_8bit"
    assert (found["galore.rank"], found["galore.update_proj_gap"]) == (64, 100)
    assert found["galore.targets"] == ("attn", "mlp")
    whole = transformers(tmp_path, "optim: galore_adamw\noptim_target_modules: all_linear\n")
    assert whole["galore.targets"] == "all-linear"
    assert "galore.rank" not in whole


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("optim: galore_adamw\n", ":", "GaLore needs optim_target_modules"),
        ("optim: galore_adamw\noptim_target_modules: '.*attn.*'\n", ":2:23:", "pattern of module names"),
        ("optim: galore_adamw\noptim_target_modules: ['.*attn.*']\n", ":2:23:", "pattern of module names"),
        (GALORE + "optim_args: proj_type=full\n", ":3:13:", "other types than std"),
        (GALORE + "optim_args: [rank=4]\n", ":3:13:", "not text such as rank=64"),
        (GALORE + "optim_args: rank 4\n", ":3:13:", "not text such as rank=64"),
        (GALORE + "optim_args: rank=many\n", ":3:13:", "many is no rank"),
        (GALORE + "optim_args: rank=0\n", ":3:13:", "0 is not a positive integer"),
        ("optim: galore_adamw_layerwise\noptim_target_modules: all-linear\n", ":1:8:", "inside the backward pass"),
    ],
)
def test_galore_is_refused_where_it_is_not_followed(tmp_path: Path, text: str, place: str, words: str) -> None:
    (found,) = mistakes(tmp_path, text, "transformers", **SAID)
    assert found.startswith(f"config.yaml{place}")
    assert words in found


def test_galore_beside_adapters_is_a_contradiction(tmp_path: Path) -> None:
    lora = {**SAID, "method": "lora", "lora.rank": "8", "lora.targets": "all-linear"}
    (found,) = mistakes(tmp_path, GALORE, "transformers", **lora)
    assert "galore_adamw_8bit projects the gradients of whole matrices, and method lora has none" in found


def test_axolotl_has_a_muon_of_its_own(tmp_path: Path) -> None:
    text = AXOLOTL + "optimizer: muon\n"
    found = fields(tmp_path, text, "axolotl")
    assert (found["optimizer"], found["optimizer_implementation"]) == ("muon", "for-loop")
    assert any("the step of axolotl is compiled" in one for one in remarked(tmp_path, text, "axolotl"))
    mixture = text.replace("Qwen/Qwen2.5-0.5B", "mistralai/Mixtral-8x7B-v0.1")
    assert "experts that are one tensor" in mistakes(tmp_path, mixture, "axolotl")[0]


def test_axolotl_passes_galore_on(tmp_path: Path) -> None:
    text = AXOLOTL + "optimizer: galore_adafactor\noptim_args:\n  rank: 256\noptim_target_modules: [self_attn, mlp]\n"
    found = fields(tmp_path, text, "axolotl")
    assert (found["optimizer"], found["galore.rank"]) == ("galore_adafactor", 256)
    assert found["galore.targets"] == ("self_attn", "mlp")


@pytest.mark.parametrize(
    ("optim", "expected"),
    [("adamw_torch", "galore_adamw"), ("adamw_8bit", "galore_adamw_8bit"), ("adafactor", "galore_adafactor")],
)
def test_llamafactory_takes_galore_of_its_optimizer(tmp_path: Path, optim: str, expected: str) -> None:
    text = LLAMAFACTORY + f"use_galore: true\noptim: {optim}\ngalore_target: q_proj,v_proj\n"
    found = fields(tmp_path, text, "llamafactory")
    assert (found["optimizer"], found["galore.rank"]) == (expected, 16)
    assert found["galore.targets"] == ("q_proj", "v_proj")
    assert fields(tmp_path, text + "galore_rank: 128\n", "llamafactory")["galore.rank"] == 128


def test_llamafactory_refuses_what_galore_has_not(tmp_path: Path) -> None:
    text = LLAMAFACTORY + "use_galore: true\n"
    other = text.replace("Qwen/Qwen2.5-0.5B", "openai-community/gpt2")
    assert "all leaves the output layer out" in mistakes(tmp_path, other, "llamafactory")[0]
    text += "galore_target: mlp\n"
    assert "inside the backward pass" in mistakes(tmp_path, text + "galore_layerwise: true\n", "llamafactory")[0]
    assert (
        "lion_8bit is not an optimizer that GaLore has"
        in mistakes(tmp_path, text + "optim: lion_8bit\n", "llamafactory")[0]
    )


def test_llamafactory_takes_all_linear_layers_but_the_output_layer(tmp_path: Path) -> None:
    """model/model_utils/misc.py, find_all_linear_modules: lm_head is forbidden."""
    for key, optimizer in (("use_galore", "galore_adamw"), ("use_apollo", "apollo_adamw")):
        found = fields(tmp_path, LLAMAFACTORY + f"{key}: true\n", "llamafactory")
        assert (found["optimizer"], found["galore.rank"], found["galore.targets"]) == (
            optimizer, 16, ("self_attn", "mlp"),
        )  # fmt: skip


def test_llamafactory_takes_apollo_and_adam_mini_by_their_own_keys(tmp_path: Path) -> None:
    said = "use_apollo: true\napollo_rank: 256\napollo_target: mlp\n"
    found = fields(tmp_path, LLAMAFACTORY + said, "llamafactory")
    assert (found["galore.rank"], found["galore.targets"]) == (256, ("mlp",))
    assert "random ones" in mistakes(tmp_path, LLAMAFACTORY + said + "apollo_proj: svd\n", "llamafactory")[0]
    assert "backward" in mistakes(tmp_path, LLAMAFACTORY + said + "apollo_layerwise: true\n", "llamafactory")[0]
    assert fields(tmp_path, LLAMAFACTORY + "use_adam_mini: true\n", "llamafactory")["optimizer"] == "adam_mini"


def test_llamafactory_takes_muon_for_what_its_own_keys_say(tmp_path: Path) -> None:
    text = LLAMAFACTORY + "use_muon: true\n"
    assert fields(tmp_path, text, "llamafactory")["optimizer"] == "muon"
    assert any("the step of llamafactory is compiled" in one for one in remarked(tmp_path, text, "llamafactory"))


def test_torchtune_names_classes_and_momentum(tmp_path: Path) -> None:
    text = TORCHTUNE + "optimizer: {_component_: torch.optim.SGD, momentum: 0.9, fused: true}\n"
    found = fields(tmp_path, text, "torchtune")
    assert (found["optimizer"], found["optimizer_implementation"]) == ("sgd_momentum", "fused")
    lion = TORCHTUNE + "optimizer: {_component_: bitsandbytes.optim.PagedLion8bit}\n"
    assert fields(tmp_path, lion, "torchtune")["optimizer"] == "paged_lion_8bit"
