"""A row that cannot be worked out is refused by name: a missing number is better than a wrong one."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.spec.setting import Setting


class UnsupportedRow(Exception):  # noqa: N818 - a refusal by name, as UnsupportedModel and UnsupportedStorage
    """A row that no formula covers for this setting. `name` is the row's, `reason` says what is not covered."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


OTHER_MODEL_CODE: Mapping[str, str] = {
    "litgpt": "LitGPT has model code of its own",
    "vllm": "vLLM takes a share of the card for its cache before it runs",
}
"""Trainers that do not run the layers of transformers."""

TRAINABLE_STORAGE = frozenset({"fp32", "bf16", "fp16", "nf4", "fp4", "int8"})
"""Stored forms whose products in training are covered."""


def refuse_spread(setting: Setting) -> None:
    """Raise for a run on several GPUs, or with parts of it on the host."""
    parallel = setting.parallel
    if parallel.gpus != 1 or parallel.strategy != "none":
        raise UnsupportedRow("parallel", f"no formula for {parallel.gpus} GPUs with {parallel.strategy} yet")
    if parallel.offload:
        raise UnsupportedRow("parallel", "no formula for offloading yet")


def refuse_passes(setting: Setting) -> None:
    """Raise where no formula follows a pass through the model: other model code, an engine, other stored forms."""
    reason = OTHER_MODEL_CODE.get(setting.stack.trainer)
    if reason is not None:
        raise UnsupportedRow("activations", f"{reason}; no formula for it yet")
    if setting.engine:
        raise UnsupportedRow("engine", f"no formula for {', '.join(sorted(setting.engine))} yet")
    if setting.trains and setting.weights not in TRAINABLE_STORAGE:
        raise UnsupportedRow("dequantized_weight", f"no formula for training on {setting.weights} weights yet")
