"""The tools' optimizers that are not followed, by name, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping

_IN_BACKWARD = "steps inside the backward pass, which free gradients as they come, are not followed"
_FLASH = "no formula for flashoptim's optimizers yet"

REFUSED: Mapping[str, str] = {
    "adamw_torch_xla": "TPUs are not followed",
    "adamw_torch_npu_fused": "NPUs are not followed",
    "adamw_anyprecision": "no formula for torchdistx's AnyPrecisionAdamW yet",
    "galore_adamw_layerwise": _IN_BACKWARD,
    "galore_adamw_8bit_layerwise": _IN_BACKWARD,
    "galore_adafactor_layerwise": _IN_BACKWARD,
    "apollo_adamw_layerwise": _IN_BACKWARD,
    "optimi_adamw": "no formula for torch-optimi's AdamW yet",
    "dion": "no formula for Dion yet",
    "sinkgd": "no formula for SinkGD yet",
    "q_galore_adamw8bit": "no formula for Q-GaLore yet",
    "flash_adamw": _FLASH,
    "flash_adam": _FLASH,
    "flash_sgd": _FLASH,
    "flash_sgdw": _FLASH,
    "flash_lion": _FLASH,
}
"""transformers training_args.py, OptimizerNames; axolotl utils/schemas/enums.py, CustomSupportedOptimizers."""
