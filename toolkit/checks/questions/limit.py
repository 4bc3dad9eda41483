"""The fields whose largest value can be asked for, and the largest value that makes sense."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.architecture import Architecture
from toolkit.spec.scenario import Scenario
from toolkit.spec.settings.setting import Setting

SOLVABLE = ("batch_size", "sequence_length", "generated_length", "lora.rank", "engine.max_model_len")
"""Whole numbers along which a peak grows, except where other kernels take over (toolkit.memory.libraries.turns)."""

OTHER_NAMES = {
    "batch": "batch_size", "micro_batch_size": "batch_size", "per_device_train_batch_size": "batch_size",
    "sequence_len": "sequence_length", "max_length": "sequence_length", "cutoff_len": "sequence_length",
    "lora.r": "lora.rank", "lora_r": "lora.rank", "lora_rank": "lora.rank", "rank": "lora.rank",
    "max_new_tokens": "generated_length", "max_model_len": "engine.max_model_len",
}  # fmt: skip
"""The names of these fields in other tools."""

MOST = 65_536
"""The largest value that is tried where nothing else limits it."""


@frozen
class Limit:
    """The largest value that is tried, and the reason why no larger one is."""

    value: int
    reason: str


def limit_of(field: str, setting: Setting, architecture: Architecture) -> Limit:
    """The largest value of a field that makes sense for a setting."""
    if field == "batch_size":
        return Limit(MOST, "no larger batch is tried")
    if field == "lora.rank":
        return Limit(min(MOST, architecture.hidden), "an adapter of the model's hidden size is of low rank no more")
    positions = architecture.max_positions
    if positions is None:
        return Limit(1 << 20, "the model's config says no number of positions; no more tokens are tried")
    room = positions if setting.trains or field == "engine.max_model_len" else positions - _beside(field, setting)
    beside = "" if room == positions else ", prompt and answer together"
    return Limit(max(room, 0), f"the model has {positions:,} positions{beside}")


def _beside(field: str, setting: Setting) -> int:
    """The tokens that share the model's positions with those that are asked for."""
    return setting.generated_length if field == "sequence_length" else setting.sequence_length


def missing(field: str, scenario: Scenario) -> str | None:
    """Why a scenario cannot have the field; None where it can."""
    reasons = {
        "generated_length": (not scenario.trains, "training generates nothing: generated_length is for inference"),
        "lora.rank": (scenario.method in ("lora", "qlora"), f"method {scenario.method} has no adapters to rank"),
        "engine.max_model_len": (
            scenario.fixed("stack.trainer") == "vllm",
            "engine.max_model_len is for stack.trainer vllm",
        ),
    }
    has, reason = reasons.get(field, (True, ""))
    return None if has else reason
