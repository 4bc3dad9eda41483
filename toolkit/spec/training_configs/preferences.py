"""Which of TRL's trainers a configuration is for: none of its keys names it, but some are one trainer's alone.

Keys are those of TRL 1.16 (trainer/dpo_config.py, kto_config.py, grpo_config.py, rloo_config.py, reward_config.py,
distillation_config.py, and trl/experimental), and of DPOConfig before 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.finding import Finding
from toolkit.spec.objective_fields import ADAPTERS_OFF, DPO, GRPO, MODEL, NEXT_TOKEN, PRECOMPUTED, PREFERENCES
from toolkit.spec.training_configs.config import Config

DPO_LOSSES = frozenset({
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot", "aot_unpaired",
    "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm",
})  # fmt: skip
"""Losses on the log-probabilities of whole answers, which take the same memory (dpo_trainer.py, _compute_loss)."""

OF_DPO = (
    "loss_weights", "ld_alpha", "f_divergence_type", "f_alpha_divergence_coef", "discopop_tau", "use_weighting",
    "rpo_alpha", "reference_free",
)  # fmt: skip
"""Keys of DPOConfig alone."""

SHARED = (
    "beta", "disable_dropout", "label_smoothing", "precompute_ref_log_probs", "precompute_ref_batch_size",
    "sync_ref_model", "ref_model_mixup_alpha", "ref_model_sync_steps", "max_prompt_length",
)  # fmt: skip
"""Keys that DPOConfig has in common with others, which tell that it is no SFTConfig."""

OF_GRPO = (
    "num_generations", "num_generations_eval", "num_iterations", "steps_per_generation", "generation_batch_size",
    "reward_weights", "scale_rewards", "epsilon", "epsilon_high", "importance_sampling_level", "use_vllm", "vllm_mode",
    "vllm_gpu_memory_utilization", "max_completion_length", "mask_truncated_completions", "reward_funcs",
    "log_completions", "generation_kwargs", "temperature", "top_entropy_quantile",
)  # fmt: skip
"""Keys of GRPOConfig that no config of a trainer without generation has."""

OTHERS: Mapping[str, tuple[str, ...]] = {
    "RLOOTrainer": ("normalize_advantages", "reward_clip_range"),
    "KTOTrainer": ("desirable_weight", "undesirable_weight"),
    "CPOTrainer": ("cpo_alpha", "simpo_gamma"),
    "RewardTrainer": ("center_rewards_coefficient",),
    "DistillationTrainer": ("teacher_model_name_or_path", "teacher_model_init_kwargs", "teacher_model_revision"),
}  # fmt: skip
"""Keys of trainers that are not followed."""

STOPS = (
    ("cast_lm_head_to_fp32", "a head in float32 is not followed"),
    ("ref_model_init_kwargs", "a reference that is loaded otherwise than the model is not followed"),
    ("generate_during_eval", "generation between steps is not followed"),
)


def take_objective(config: Config) -> str:
    """Takes the objective that the keys tell, or the command line; refuses those of trainers that are not followed.

    A key that several trainers have is a question: `--objective dpo` answers it.
    """
    for trainer, keys in OTHERS.items():
        found = _first(config, keys)
        if found is not None:
            _refuse(config, found, f"of {trainer}: only SFTTrainer, DPOTrainer and GRPOTrainer are followed")
            return NEXT_TOKEN
    objective = _told(config)
    if objective != NEXT_TOKEN:
        config.matters_where_said(STOPS)
    if objective != NEXT_TOKEN and config.truth("padding_free"):
        config.matters("padding_free", "DPOTrainer pads all the same (trl 1.16)", stops=False)
    if objective == DPO and config.truth("disable_dropout") is False:
        config.matters("disable_dropout", "dropout is counted as DPOTrainer has it by default: turned off", stops=False)
    if objective == GRPO:
        _answers(config)
    return objective


def _told(config: Config) -> str:
    rewarded, shared = _first(config, OF_GRPO), _first(config, SHARED)
    told = {GRPO: rewarded, DPO: _first(config, OF_DPO) or _by_loss(config)}
    if "objective" in config.said:
        return next((name for name in PREFERENCES if config.says("objective", name)), NEXT_TOKEN)
    for objective, key in told.items():
        if key is not None:
            config.put("objective", objective, key)
            return objective
    if shared is not None:
        _refuse(config, shared, "DPOTrainer has it, and others that are not followed", "add --objective dpo")
    return NEXT_TOKEN


def _answers(config: Config) -> None:
    """How long a prompt with its answer is, and where answers come from: from another process alone."""
    asked, served = config.truth("use_vllm"), config.word("vllm_mode") == "server"
    if not (asked and served):
        key = next((name for name in ("vllm_mode", "use_vllm", *OF_GRPO) if config.node(name) is not None), "use_vllm")
        reason = "answers that are generated on the same GPU are not followed: only those of use_vllm, vllm_mode server"
        _refuse(config, key, reason)
    prompt, answer = config.whole("max_prompt_length"), config.whole("max_completion_length")
    if prompt is not None and answer is not None:
        config.put("sequence_length", prompt + answer, "max_completion_length")
    elif "sequence_length" not in config.said:
        message = "how long a prompt is with its answer is data"
        place = config.place("max_completion_length")
        config.findings.append(Finding(place, "S105", message, "add --sequence-length N"))


def take_reference(config: Config, objective: str) -> None:
    """Takes where the reference's log-probabilities come from, once the method is known."""
    if objective == DPO and config.truth("precompute_ref_log_probs"):
        config.put("reference", PRECOMPUTED, "precompute_ref_log_probs")
    if objective == GRPO and config.decimal("beta"):
        own = config.value("method") == "full" or config.says("method", "full")
        config.put("reference", MODEL if own else ADAPTERS_OFF, "beta")


def _by_loss(config: Config) -> str | None:
    losses = config.words("loss_type")
    return "loss_type" if losses and DPO_LOSSES.issuperset(losses) else None


def _first(config: Config, keys: tuple[str, ...]) -> str | None:
    """The first of these keys that says something; all of them count as read."""
    said = [key for key in keys if config.node(key) is not None]
    return said[0] if said else None


def _refuse(config: Config, key: str, reason: str, repair: str | None = None) -> None:
    config.findings.append(Finding(config.place(key), "S115", f"{key}: {reason}", repair))
