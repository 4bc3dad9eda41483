"""A row that cannot be worked out is refused by name: a missing number is better than a wrong one."""

from __future__ import annotations

from collections.abc import Mapping

from packaging.version import Version

from toolkit.memory.numerics import EIGHT_BIT, older
from toolkit.spec.setting import Setting


class UnsupportedRow(Exception):  # noqa: N818 - a refusal by name, as UnsupportedModel and UnsupportedStorage
    """A row that no formula covers for this setting. `name` is the row's, `reason` says what is not covered."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


OTHER_MODEL_CODE: Mapping[str, str] = {
    "litgpt": "LitGPT has model code of its own",
}
"""Trainers that do not run the layers of transformers."""

BITSANDBYTES_MULTIPLIES_ROWS = Version("0.45")
"""Before, LLM.int8() laid its tensors out in tiles (col32, col_ampere), in copies of their own."""

TRAINABLE_STORAGE = frozenset({"fp32", "bf16", "fp16", "nf4", "fp4", "int8"})
"""Stored forms whose products in training are covered."""


SHARED = frozenset({"none", "fsdp", "ddp"})
"""Strategies that formulas cover."""

WRAPS = frozenset({"transformers", "trl", "plain"})
"""Trainers that wrap a model as torch and accelerate do."""

SHARDED_STORAGE = frozenset({"fp32", "bf16", "fp16", "nf4", "fp4"})
"""Stored forms of which FSDP makes flat parameters."""

ELEMENTWISE = frozenset({"adamw", "sgd", "sgd_momentum", "lion", "none"})
"""Optimizers whose states follow the elements, wherever a parameter is cut."""


def refuse_spread(setting: Setting) -> None:
    """Raise for what no formula covers of a run on several GPUs, or with parts of it on the host."""
    parallel = setting.parallel
    if parallel.offload and parallel.strategy != "fsdp":
        raise UnsupportedRow("parallel", f"no formula for offloading with strategy {parallel.strategy} yet")
    if parallel.strategy not in SHARED or (parallel.strategy == "none" and parallel.gpus != 1):
        raise UnsupportedRow("parallel", f"no formula for {parallel.gpus} GPUs with {parallel.strategy} yet")
    if parallel.strategy == "none":
        return
    if setting.stack.trainer not in WRAPS:
        raise UnsupportedRow("parallel", f"no formula for {parallel.strategy} with {setting.stack.trainer} yet")
    if parallel.strategy == "fsdp":
        _refuse_shards(setting)


def _refuse_shards(setting: Setting) -> None:
    """Raise for what FSDP cannot share out, or for which no formula says how."""
    if setting.parallel.gpus == 1:  # torch/distributed/fsdp/_init_utils.py: NO_SHARD where there is one rank
        raise UnsupportedRow("parallel", "fsdp shards nothing on one GPU; no formula for it yet")
    if not setting.trains:
        raise UnsupportedRow("parallel", "no formula for inference with fsdp yet")
    if setting.weights not in SHARDED_STORAGE:
        raise UnsupportedRow("parallel", f"no formula for {setting.weights} weights with fsdp yet")
    if setting.optimizer not in ELEMENTWISE:
        raise UnsupportedRow(
            "optimizer_states", f"no formula for the states of {setting.optimizer} on parts of tensors"
        )


SERVED_STORAGE = frozenset({"fp32", "bf16", "fp16"})
"""Stored forms that vLLM holds as transformers does."""


def refuse_serving(setting: Setting, *, generates: bool) -> None:
    """Raise where no formula says what vLLM holds."""
    if setting.trains:
        raise UnsupportedRow("engine_pool", "vLLM does not train")
    if setting.weights not in SERVED_STORAGE:
        raise UnsupportedRow("weights", f"no formula for how vLLM packs {setting.weights} weights yet")
    if not generates:
        raise UnsupportedRow("engine_pool", "no formula for vLLM with models that do not generate yet")


def refuse_passes(setting: Setting) -> None:
    """Raise where no formula follows a pass through the model: other model code, an engine, other stored forms."""
    reason = OTHER_MODEL_CODE.get(setting.stack.trainer)
    if reason is not None:
        raise UnsupportedRow("activations", f"{reason}; no formula for it yet")
    if setting.engine:
        raise UnsupportedRow("engine", f"no formula for {', '.join(sorted(setting.engine))} yet")
    if setting.weights in EIGHT_BIT and older(setting, "bitsandbytes", BITSANDBYTES_MULTIPLIES_ROWS):
        raise UnsupportedRow("int8_products", "no formula for LLM.int8() of bitsandbytes before 0.45")
    if setting.trains and setting.weights not in TRAINABLE_STORAGE:
        raise UnsupportedRow("dequantized_weight", f"no formula for training on {setting.weights} weights yet")
