"""What trainers and peft cast before and around a model: weights to float32 or back, and the results of its modules."""

from __future__ import annotations

from toolkit.memory.libraries.trainers import BY_ACCELERATE, TRL, UNPREPARED
from toolkit.memory.libraries.versions import older
from toolkit.memory.weights.linear_storage import FOUR_BIT, QUANTIZED
from toolkit.spec.fields import names
from toolkit.spec.settings import stack_rules
from toolkit.spec.settings.setting import Setting

TRL_PREPARES_UNTIL = stack_rules.TRL_CASTS_ADAPTERS
"""Since then SFTTrainer leaves the base model as it was loaded."""
CASTS_BACK = ("embed_tokens", "lm_head", "wpe", "wte")
"""Parts of the names of modules that TRL casts back to bfloat16 after peft has prepared them (trainer/utils.py)."""


def prepares_for_kbit(setting: Setting) -> bool:
    """Whether peft's prepare_model_for_kbit_training casts all that is not quantized to float32 (utils/other.py)."""
    quantized = setting.trains and setting.weights in QUANTIZED
    if not quantized or setting.upcast is not None:
        return quantized and bool(setting.upcast)
    if setting.stack.trainer in UNPREPARED:
        return False
    if setting.parallel.strategy in names.SHARDS_WEIGHTS:  # trl sft_trainer.py, is_sharded_qlora
        return False
    if setting.parallel.strategy in names.DEEPSPEED:  # its engine casts every float parameter back (zero_held)
        return False
    return setting.stack.trainer not in TRL or older(setting, "trl", TRL_PREPARES_UNTIL)


def casts_back(setting: Setting) -> bool:
    """Whether TRL casts prepared embeddings and heads back to bfloat16 (peft_module_casting_to_bf16, not the norms)."""
    return (
        setting.stack.trainer in TRL
        and setting.upcast is None  # TRL leaves a model alone that was prepared before it was handed over
        and prepares_for_kbit(setting)
        and setting.weights in FOUR_BIT
        and setting.compute == "bf16"
        and setting.amp
    )


def widens_results(setting: Setting) -> bool:
    """Whether accelerate casts the model's results to float32, as it does wherever it wraps the model in autocast.

    Source: accelerate accelerator.py, prepare_model (convert_outputs_to_fp32); DeepSpeed's engines do not.
    """
    mixes = setting.trains and setting.amp and setting.compute != "fp32"
    return mixes and setting.stack.trainer in BY_ACCELERATE and setting.parallel.strategy not in names.DEEPSPEED


def dtype_between_units(setting: Setting) -> str | None:
    """The dtype to which each unit of fully_shard casts its result: accelerate's mixed precision policy names one.

    Source: accelerate utils/dataclasses.py, set_mixed_precision (output_dtype).
    """
    mixes = setting.trains and setting.amp and setting.parallel.strategy == "fsdp2"
    return setting.compute if mixes and setting.stack.trainer in BY_ACCELERATE else None
