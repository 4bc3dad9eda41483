"""A row that cannot be worked out is refused by name: a missing number is better than a wrong one."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import Version

from toolkit.memory.numerics import EIGHT_BIT, FOUR_BIT, older
from toolkit.spec.setting import Setting


class UnsupportedRow(Exception):  # noqa: N818 - a refusal by name, as UnsupportedModel and UnsupportedStorage
    """A row that no formula covers for this setting. `name` is the row's, `reason` says what is not covered."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


BITSANDBYTES_MULTIPLIES_ROWS = Version("0.45")
"""Before, LLM.int8() laid its tensors out in tiles (col32, col_ampere), in copies of their own."""

PADS = ("transformers", "trl", "plain")
"""Trainers whose padded batches go through transformers as they are."""

MASKS_MADE_ALIKE = Version("5")
"""Since then one place makes the masks of all models, encoders too (transformers masking_utils.py)."""

DORA_TAKES_THE_PRODUCT = Version("0.14")
"""Before, DoRA multiplied by the weight itself, though the layer had just done so."""

GRANITE_FUSES = Version("5.14")
"""Before (5.11 and older), Granite's mixture multiplied by one expert after the other, in a module of its own."""

PEFT_FOLDS_FACTORS = Version("0.21")
"""Before, the change of all experts was made as a tensor of its own, and then added."""

TRAINABLE_STORAGE = frozenset({"fp32", "bf16", "fp16", "nf4", "fp4", "int8"})
"""Stored forms whose products in training are covered."""


FLOATS = frozenset({"fp32", "bf16", "fp16"})
SERVED_STORAGE = FLOATS
"""Stored forms that vLLM holds as transformers does."""


def refuse_serving(setting: Setting, *, generates: bool) -> None:
    """Raise where no formula says what vLLM holds."""
    if setting.trains:
        raise UnsupportedRow("engine_pool", "vLLM does not train")
    if setting.padding:
        raise UnsupportedRow("engine_pool", "vLLM pads no rows")
    if setting.weights not in SERVED_STORAGE:
        raise UnsupportedRow("weights", f"no formula for how vLLM packs {setting.weights} weights yet")
    if not generates:
        raise UnsupportedRow("engine_pool", "no formula for vLLM with models that do not generate yet")


def refuse_passes(setting: Setting, family: str = "") -> None:
    """Raise where no formula follows a pass through the model: other model code, an engine, other stored forms."""
    if family == "granitemoe" and older(setting, "transformers", GRANITE_FUSES):
        raise UnsupportedRow(
            "expert_states", f"no formula for Granite's experts of transformers before {GRANITE_FUSES}"
        )
    if setting.stack.trainer == "litgpt":
        _refuse_litgpt(setting)
    if setting.trains and setting.peft is not None:
        raise UnsupportedRow("activations", f"no formula for a pass with {setting.method} yet")
    if setting.trains and setting.lora is not None and setting.lora.dora:
        _refuse_dora(setting)
    if setting.padding:
        _refuse_padding(setting)
    if setting.engine:
        raise UnsupportedRow("engine", f"no formula for {', '.join(sorted(setting.engine))} yet")
    if setting.weights in EIGHT_BIT and older(setting, "bitsandbytes", BITSANDBYTES_MULTIPLIES_ROWS):
        raise UnsupportedRow("int8_products", "no formula for LLM.int8() of bitsandbytes before 0.45")
    if setting.trains and setting.weights not in TRAINABLE_STORAGE:
        raise UnsupportedRow("dequantized_weight", f"no formula for training on {setting.weights} weights yet")


def _refuse_litgpt(setting: Setting) -> None:
    """Raise where LitGPT, whose model code is its own, does what no formula covers."""
    for known, covered in _litgpt_training(setting) if setting.trains else _litgpt_generation(setting):
        if not covered:
            raise UnsupportedRow("activations", f"no formula for LitGPT but in {known} yet")


def _litgpt_training(setting: Setting) -> Iterator[tuple[str, bool]]:
    yield "true precision", setting.weights in (*FOUR_BIT, "bf16", "fp32") and not setting.amp
    yield "one GPU without checkpoints", setting.parallel.gpus == 1 and setting.gradient_checkpointing == "false"
    yield "LoRA without DoRA", setting.lora is None or not setting.lora.dora


def _litgpt_generation(setting: Setting) -> Iterator[tuple[str, bool]]:
    """What `litgpt generate` does. Of 8-bit weights, and of 4-bit ones in float16, loading is the peak."""
    four_bit = setting.weights in FOUR_BIT and setting.compute == "bf16"
    yield "float weights or 4-bit ones in bfloat16", four_bit or setting.weights in FLOATS
    yield "generation on one GPU", setting.parallel.gpus == 1
    yield "generation of one sequence", setting.batch_size == 1
    yield "generation with sdpa", setting.attention == "sdpa"


def _refuse_padding(setting: Setting) -> None:
    """Raise where no formula says what the masks of padded rows take."""
    if setting.stack.trainer not in PADS:
        raise UnsupportedRow("attention_mask", f"no formula for padded rows with {setting.stack.trainer} yet")
    if older(setting, "transformers", MASKS_MADE_ALIKE):
        raise UnsupportedRow("attention_mask", "no formula for padded rows with transformers before 5 yet")
    if setting.attention == "flash" and setting.compute == "fp32":
        raise UnsupportedRow("attention_states", "FlashAttention takes no float32")


def _refuse_dora(setting: Setting) -> None:
    """Raise where no formula says what DoRA holds in a pass."""
    if older(setting, "peft", DORA_TAKES_THE_PRODUCT):
        raise UnsupportedRow("dora_matrices", "no formula for a pass with DoRA of peft before 0.14 yet")
    if setting.parallel.strategy not in ("none", "ddp"):
        raise UnsupportedRow("dora_matrices", f"no formula for DoRA with {setting.parallel.strategy} yet")


def refuse_expert_adapters(setting: Setting) -> None:
    """Raise where no formula says what adapters of fused experts hold in a pass."""
    if older(setting, "peft", PEFT_FOLDS_FACTORS):
        raise UnsupportedRow("merged_experts", "no formula for adapters of fused experts of peft before 0.21 yet")
    if setting.parallel.strategy not in ("none", "ddp"):
        raise UnsupportedRow(
            "merged_experts", f"no formula for adapters of fused experts with {setting.parallel.strategy} yet"
        )
