"""Which of TRL's trainers a configuration is for, and what DPOConfig and GRPOConfig say."""

import dataclasses
from pathlib import Path

import pytest

from tests.spec.training_configs.reading import fields, mistakes, remarked
from toolkit.spec.training_configs import preferences
from toolkit.spec.training_configs.read import read_training_config

COMMAND_LINE = """\
model_name_or_path: Qwen/Qwen2.5-0.5B
dataset_name: somebody/some-data
learning_rate: 2.0e-5
"""


def test_other_trainers_are_refused(tmp_path: Path) -> None:
    for key in ("normalize_advantages: true", "teacher_model_name_or_path: a/b"):
        [found] = mistakes(tmp_path, COMMAND_LINE + "beta: 0.1\n" + key + "\n", "trl")
        assert "config.yaml:5:" in found
        assert "which is not followed" in found
        assert "delete" not in found, "without its key the run would be another's"


def test_a_loss_of_pairs_tells_that_it_is_dpo(tmp_path: Path) -> None:
    found = fields(tmp_path, COMMAND_LINE + "beta: 0.1\nloss_type: [sigmoid, sft]\nuse_liger_kernel: true\n", "trl")
    assert found["objective"] == "dpo"
    assert found["sequence_length"] == 1024  # DPOConfig.max_length
    assert (found["stack.loss"], found["kernels.liger"]) == ("chunked", "instance")
    assert "reference" not in found
    kept = remarked(tmp_path, COMMAND_LINE + "loss_type: sigmoid\ndisable_dropout: false\n", "trl")
    assert any("disable_dropout: dropout is counted as it is by default" in one for one in kept)


def test_a_key_of_several_trainers_is_asked_about(tmp_path: Path) -> None:
    text = COMMAND_LINE + "beta: 0.1\nprecompute_ref_log_probs: true\n"
    assert mistakes(tmp_path, text, "trl") == ["config.yaml:4:7: S115 beta: DPOTrainer has it, and others"]
    found = fields(tmp_path, text, "trl", objective="dpo")
    assert (found["objective"], found["reference"]) == ("dpo", "precomputed")
    assert "reference" not in fields(tmp_path, text, "trl", objective="next-token")


@pytest.mark.parametrize(
    ("said", "objective", "loss"),
    [
        ("desirable_weight: 1.0\n", "kto", "chunked"), ("loss_type: kto\n", "kto", "chunked"),
        ("cpo_alpha: 1.0\n", "cpo", "cross-entropy"), ("loss_type: simpo\n", "cpo", "cross-entropy"),
        ("loss_type: simpo\ncpo_alpha: 0.0\n", "simpo", "cross-entropy"),
        ("gamma_beta_ratio: 0.5\n", "simpo", "cross-entropy"),
        ("center_rewards_coefficient: 0.01\n", "reward", "cross-entropy"),
    ],
)  # fmt: skip
def test_a_key_of_one_trainer_tells_it(tmp_path: Path, said: str, objective: str, loss: str) -> None:
    """CPOTrainer adds the cross-entropy of the preferred answer unless cpo_alpha is 0; SimPO's own trainer has none."""
    found = fields(tmp_path, COMMAND_LINE + "beta: 0.1\n" + said, "trl")
    assert (found["objective"], found["stack.loss"]) == (objective, loss)
    assert found.get("head") == ("sequence-classification" if objective == "reward" else None)


def test_the_path_tells_which_of_several_trainers_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "orpo"
    folder.mkdir()
    file = folder / "config_full.yaml"
    file.write_text(COMMAND_LINE + "beta: 0.1\n", encoding="utf-8")
    found = read_training_config(file, tmp_path, "trl")
    assert found.scenario is not None
    assert found.scenario.fixed("objective") == "orpo"
    told = [one.message for one in found.findings]
    assert "beta: several trainers have it; orpo is taken from the file's path" in told


def test_a_model_in_a_folder_of_the_training_machine_is_asked_for(tmp_path: Path) -> None:
    text = "model_name_or_path: /data/models/some-model\nlearning_rate: 1e-4\nmax_length: 512\n"
    [found] = mistakes(tmp_path, text, "trl")
    assert "/data/models/some-model is a folder of the machine that trains" in found
    assert fields(tmp_path, text, "trl", model="Qwen/Qwen2.5-0.5B")["model"] == "Qwen/Qwen2.5-0.5B"


def test_answers_of_another_process_are_trained_on(tmp_path: Path) -> None:
    """GRPOConfig: beta is 0.0 unless said, and vllm_mode is colocate."""
    served = "num_generations: 8\nuse_vllm: true\nvllm_mode: server\nmax_completion_length: 256\n"
    found = fields(tmp_path, COMMAND_LINE + served, "trl", sequence_length="768")
    assert (found["objective"], found["stack.loss"], found["sequence_length"]) == ("grpo", "chunked", 768)
    assert "reference" not in found
    held = fields(tmp_path, COMMAND_LINE + served + "beta: 0.04\nmax_prompt_length: 512\n", "trl")
    assert (held["reference"], held["sequence_length"]) == ("model", 768)
    adapted = fields(tmp_path, COMMAND_LINE + served + "beta: 0.04\nuse_peft: true\n", "trl", sequence_length="768")
    assert adapted["reference"] == "adapters-off"
    [asked] = mistakes(tmp_path, COMMAND_LINE + served, "trl")
    assert "S105 how long a prompt is with its answer is data" in asked
    for key in ("use_vllm: true\n", "use_vllm: true\nvllm_mode: colocate\n"):
        [refused] = mistakes(tmp_path, COMMAND_LINE + key, "trl", sequence_length="768")
        assert "S115" in refused
        assert "a vLLM beside the model on its GPU is not followed" in refused


def test_answers_of_the_model_itself_are_generated_for_one_step(tmp_path: Path) -> None:
    """GRPOConfig: max_completion_length is 256 unless said, steps_per_generation gradient_accumulation_steps."""
    found = fields(tmp_path, COMMAND_LINE + "num_generations: 8\n", "trl", sequence_length="768")
    assert (found["objective"], found["answer_length"]) == ("grpo", 256)
    told = COMMAND_LINE + "num_generations: 8\nmax_completion_length: 512\nmax_prompt_length: 512\n"
    found = fields(tmp_path, told, "trl")
    assert (found["answer_length"], found["sequence_length"]) == (512, 1024)
    steps = "gradient_accumulation_steps: 4\nsteps_per_generation: "
    assert fields(tmp_path, told + steps + "4\n", "trl")["gradient_accumulation"] == 4
    [refused] = mistakes(tmp_path, told + steps + "8\n", "trl")
    assert "for one optimizer step" in refused
    [paged] = mistakes(tmp_path, told + "cache_implementation: static\n", "trl")
    assert "only a cache that grows" in paged


def test_every_key_of_another_trainer_tells_it_from_sft(tmp_path: Path) -> None:
    """No config of theirs is read as one of SFTTrainer's, whichever of its keys it says."""
    trl = pytest.importorskip("trl")
    said = {key for keys in preferences.OTHERS.values() for key in keys}
    known = said | {
        *preferences.OF_GRPO,
        *preferences.OF_DPO,
        *preferences.OF_KTO,
        *preferences.OF_REWARD,
        *preferences.SHARED,
        "loss_type",
        "activation_offloading",
    }
    of_sft = {one.name for one in dataclasses.fields(trl.SFTConfig)}
    for config in (trl.DPOConfig, trl.KTOConfig, trl.RewardConfig):
        assert {one.name for one in dataclasses.fields(config)} - of_sft <= known, config
    assert not known & of_sft - {"loss_type", "activation_offloading", "label_smoothing"}


def test_activations_wait_in_main_memory_beside_checkpoints(tmp_path: Path) -> None:
    """SFTConfig.gradient_checkpointing is true; what is not followed is counted on the GPU, and said."""
    text = COMMAND_LINE + "activation_offloading: true\n"
    assert fields(tmp_path, text, "trl")["activation_offloading"] is True
    for more in ("gradient_checkpointing: false\n", "loss_type: sigmoid\n"):
        found = fields(tmp_path, text + more, "trl")
        assert "activation_offloading" not in found
        assert any("are counted on the GPU" in one for one in remarked(tmp_path, text + more, "trl"))
    assert "activation_offloading" not in fields(tmp_path, COMMAND_LINE + "activation_offloading: false\n", "trl")
