"""The dtypes of adapters: as stored, as gathered by FSDP, and as added to what a layer gives."""

from __future__ import annotations

from packaging.version import Version

from toolkit.memory.libraries.trainers import TRL
from toolkit.memory.libraries.versions import older
from toolkit.memory.weights.linear_storage import GPTQ_TRAINS, storage_of
from toolkit.spec.fields import names
from toolkit.spec.fields.kernel_names import FSDP_IGNORES
from toolkit.spec.settings import stack_rules
from toolkit.spec.settings.setting import Setting

PEFT_ADDS_ANEW = Version("0.16")
"""Before, peft added an adapter's result to that of a GPTQ layer in place (tuners/lora/gptq.py)."""

PEFT_FREES_UNIT = Version("0.19")
"""Since then the change of a weight is made in a function of its own (tuners/lora/dora.py, get_lora_weight)."""


def adapter_dtype(setting: Setting) -> str | None:
    """The dtype of adapters: peft makes them float32 over 16-bit weights; TRL casts those of quantized models."""
    if setting.peft is not None and setting.trains:
        return setting.peft.dtype
    if setting.lora is None:
        return None
    if setting.lora.dtype is not None:
        return setting.lora.dtype
    sharded = setting.parallel.strategy in names.SHARDS_WEIGHTS
    return stack_rules.adapter_dtype(
        setting.stack.trainer, setting.weights, setting.compute, setting.stack.versions,
        sharded=sharded, ignored=setting.kernels.adapters in FSDP_IGNORES, trains=setting.trains,
    )  # fmt: skip


def adapter_products(setting: Setting) -> str | None:
    """The dtype to which FSDP casts adapters when it gathers them; None where it leaves them as stored.

    A Trainer sets FSDP's mixed precision to the dtype in which 4-bit weights are stored, with or without autocast
    (transformers trainer.py, _fsdp_qlora_plugin_updates).
    """
    ignored = setting.kernels.adapters in FSDP_IGNORES
    gathers = not ignored and setting.parallel.strategy == "fsdp" and setting.stack.trainer in ("transformers", *TRL)
    return setting.compute if gathers and setting.weights in names.FLOAT_ELEMENTS and setting.lora is not None else None


def gathered_adapter(setting: Setting) -> str | None:
    """The dtype in which fully_shard gathers adapters with their layer, which is that of their gradients in a pass."""
    shares = setting.trains and setting.parallel.strategy == "fsdp2" and setting.lora is not None
    return setting.gradients if shares else None


def adds_in_place(setting: Setting) -> bool:
    """Whether peft adds what an adapter gives to what its GPTQ layer gives in place."""
    return storage_of(setting) in GPTQ_TRAINS and older(setting, "peft", PEFT_ADDS_ANEW)


def keeps_unit(setting: Setting) -> bool:
    """Whether DoRA has a name for its unit matrix to the end of its forward (tuners/lora/dora.py, x_eye)."""
    return setting.lora is not None and setting.lora.dora and older(setting, "peft", PEFT_FREES_UNIT)
