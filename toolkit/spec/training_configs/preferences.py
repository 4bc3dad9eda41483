"""Which of TRL's trainers a configuration is for: no key names it, but some keys belong to one trainer only.

Keys are those of TRL 1.16 (trainer/dpo_config.py, kto_config.py, grpo_config.py, rloo_config.py, reward_config.py,
distillation_config.py, and trl/experimental), and of DPOConfig before 1.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from toolkit.finding import Finding, Severity
from toolkit.spec.fields.objective import (
    ADAPTERS_OFF,
    CPO,
    DPO,
    GRPO,
    KTO,
    MODEL,
    NEXT_TOKEN,
    OBJECTIVES,
    ORPO,
    PRECOMPUTED,
    REWARD,
    SIMPO,
    STEADY,
)
from toolkit.spec.training_configs.config import Config

DPO_LOSSES = frozenset({
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot", "aot_unpaired",
    "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm",
})  # fmt: skip
"""DPO's losses on the log-probabilities of whole answers; all take the same memory (dpo_trainer.py, _compute_loss)."""

OF_DPO = (
    "loss_weights", "ld_alpha", "f_divergence_type", "f_alpha_divergence_coef", "discopop_tau", "use_weighting",
    "rpo_alpha", "reference_free",
)  # fmt: skip
"""Keys of DPOConfig alone."""

SHARED = (
    "beta", "disable_dropout", "label_smoothing", "precompute_ref_log_probs", "precompute_ref_batch_size",
    "sync_ref_model", "ref_model_mixup_alpha", "ref_model_sync_steps", "max_prompt_length",
)  # fmt: skip
"""Keys that DPOConfig shares with other configs, and that SFTConfig does not have."""

OF_GRPO = (
    "num_generations", "num_generations_eval", "num_iterations", "steps_per_generation", "generation_batch_size",
    "reward_weights", "scale_rewards", "epsilon", "epsilon_high", "importance_sampling_level", "use_vllm", "vllm_mode",
    "vllm_gpu_memory_utilization", "max_completion_length", "mask_truncated_completions", "reward_funcs",
    "log_completions", "generation_kwargs", "temperature", "top_entropy_quantile",
)  # fmt: skip
"""Keys of GRPOConfig that configs of trainers without generation do not have."""

KTO_LOSSES = frozenset({"kto", "apo_zero_unpaired"})
"""Losses of KTOTrainer; they take the same memory, except for what the answers of other prompts need."""
OF_KTO = ("desirable_weight", "undesirable_weight")
"""Keys of KTOConfig alone."""
RATIO = "gamma_beta_ratio"
OF_CPO = ("cpo_alpha", "simpo_gamma", RATIO)
"""Keys of CPOConfig alone, and of the SimPOConfig that it comes from (princeton-nlp/SimPO, scripts/simpo_config.py)."""
OF_REWARD = ("center_rewards_coefficient",)
"""Keys of RewardConfig alone."""

IN_PATHS = (DPO, KTO, ORPO, CPO, SIMPO, REWARD)
"""Objectives that a configuration's path may name where its keys fit several."""

OTHERS: Mapping[str, tuple[str, ...]] = {
    "RLOOTrainer": ("normalize_advantages", "reward_clip_range"),
    "DistillationTrainer": ("teacher_model_name_or_path", "teacher_model_init_kwargs", "teacher_model_revision"),
}  # fmt: skip
"""Keys of trainers that are not followed."""

STOPS = (
    ("cast_lm_head_to_fp32", "a head in float32 is not followed"),
    ("ref_model_init_kwargs", "a reference that is loaded otherwise than the model is not followed"),
    ("generate_during_eval", "generation between steps is not followed"),
)


ANSWER = 256
"""trl/trainer/grpo_config.py, max_completion_length."""
GENERATES_OTHERWISE = (
    ("use_transformers_paged", "generation in pages is not followed"),
    ("cache_implementation", "only a cache that grows is followed"),
)


def take_objective(config: Config) -> str:
    """Reads the objective from the keys or the command line; refuses trainers that are not followed.

    A key that several trainers have raises a question, which `--objective dpo` answers.
    """
    for trainer, keys in OTHERS.items():
        found = _first(config, keys)
        if found is not None:
            _refuse(config, found, f"of {trainer}, which is not followed")
            return NEXT_TOKEN
    objective = _told(config)
    if objective != NEXT_TOKEN:
        config.matters_where_said(STOPS)
    if objective != NEXT_TOKEN and config.truth("padding_free"):
        config.matters("padding_free", "DPOTrainer pads all the same (trl 1.16)", stops=False)
    if objective in STEADY and config.truth("disable_dropout") is False:
        config.matters("disable_dropout", "dropout is counted as it is by default: turned off", stops=False)
    if objective == GRPO:
        _answers(config)
    if objective == REWARD:
        config.assume("head", "sequence-classification", "a RewardTrainer's model")
        config.assume("labels", 1, "a RewardTrainer's model")
    return objective


def _told(config: Config) -> str:
    rewarded, shared = _first(config, OF_GRPO), _first(config, SHARED)
    told = {
        GRPO: rewarded,
        DPO: _first(config, OF_DPO) or _by_loss(config, DPO_LOSSES),
        KTO: _first(config, OF_KTO) or _by_loss(config, KTO_LOSSES),
        CPO: _first(config, OF_CPO) or _by_loss(config, frozenset({SIMPO})),
        REWARD: _first(config, OF_REWARD),
    }
    if "objective" in config.said:
        return next((name for name in OBJECTIVES if config.says("objective", name)), NEXT_TOKEN)
    for objective, key in told.items():
        if key is not None:
            found = SIMPO if objective == CPO and _leaves_targets_out(config) else objective
            config.put("objective", found, key)
            return found
    return NEXT_TOKEN if shared is None else _by_path(config, shared)


def _leaves_targets_out(config: Config) -> bool:
    """Whether CPOTrainer leaves out the cross-entropy of the preferred answer, as SimPO's own trainer does."""
    alpha = config.decimal("cpo_alpha")
    return config.node(RATIO) is not None if alpha is None else alpha == 0


def _by_path(config: Config, shared: str) -> str:
    """The objective that the file's path names, for keys that several trainers have; without one, a question."""
    words = set(re.split(r"[^a-z]+", config.shown.lower()))
    named = [objective for objective in IN_PATHS if objective in words]
    if len(named) != 1:
        answers = ", ".join(name for name in IN_PATHS if name != DPO)
        _refuse(config, shared, "DPOTrainer has it, and others", f"add --objective {DPO}, or {answers}")
        return NEXT_TOKEN
    message = f"{shared}: several trainers have it; {named[0]} is taken from the file's path"
    config.findings.append(Finding(config.place(shared), "S115", message, "add --objective", Severity.WARNING))
    config.put("objective", named[0], shared)
    return named[0]


def _answers(config: Config) -> None:
    """Reads the length of a prompt with its answer, and who generates answers: another process, or the model itself."""
    asked, served = config.truth("use_vllm"), config.word("vllm_mode") == "server"
    answer = config.whole("max_completion_length") or ANSWER
    if asked and not served:
        _refuse(config, "use_vllm", "a vLLM beside the model on its GPU is not followed: vllm_mode server is")
    if not asked:
        config.put("answer_length", answer, "max_completion_length", *OF_GRPO)
        config.matters_where_said(GENERATES_OTHERWISE)
        _all_at_once(config)
    prompt = config.whole("max_prompt_length")
    if prompt is not None:
        config.put("sequence_length", prompt + answer, "max_prompt_length", "max_completion_length")
    elif "sequence_length" not in config.said:
        message = "how long a prompt is with its answer is data"
        place = config.place("max_completion_length")
        config.findings.append(Finding(place, "S105", message, "add --sequence-length N"))


def _all_at_once(config: Config) -> None:
    """Refuses configs that do not generate answers for one optimizer step at a time (grpo_config.py, __post_init__)."""
    steps = config.whole("steps_per_generation")
    if steps is not None and steps != config.value("gradient_accumulation"):
        _refuse(config, "steps_per_generation", "answers are followed that are generated for one optimizer step")
    elif config.node("generation_batch_size") is not None:
        reason = "answers are counted that one optimizer step needs, for all that this says"
        config.matters("generation_batch_size", reason, stops=False)


def take_reference(config: Config, objective: str) -> None:
    """Reads where the reference's log-probabilities come from, once the method is known."""
    if objective in (DPO, KTO) and config.truth("precompute_ref_log_probs"):
        config.put("reference", PRECOMPUTED, "precompute_ref_log_probs")
    if objective == GRPO and config.decimal("beta"):
        own = config.value("method") == "full" or config.says("method", "full")
        config.put("reference", MODEL if own else ADAPTERS_OFF, "beta")


def _by_loss(config: Config, known: frozenset[str]) -> str | None:
    losses = config.words("loss_type")
    return "loss_type" if losses and known.issuperset(losses) else None


def _first(config: Config, keys: tuple[str, ...]) -> str | None:
    """The first of these keys that has a value; all of them count as read."""
    said = [key for key in keys if config.node(key) is not None]
    return said[0] if said else None


def _refuse(config: Config, key: str, reason: str, repair: str | None = None) -> None:
    config.findings.append(Finding(config.place(key), "S115", f"{key}: {reason}", repair))
