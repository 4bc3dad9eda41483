"""What no formula covers of adapters and packed weights under fully_shard, refused by name."""

from __future__ import annotations

from packaging.version import Version

from toolkit.memory.libraries.losses import TILES, loss_of
from toolkit.memory.libraries.trainers import LOOPS_IN_TORCH, TRL
from toolkit.memory.libraries.versions import older
from toolkit.memory.parallel.shard_rows import UNSHARDED
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.weights.linear_storage import FOUR_BIT
from toolkit.memory.weights.lora import ADAPTER_METHODS
from toolkit.memory.weights.storage import FLOATS
from toolkit.spec.fields.objective import NEXT_TOKEN
from toolkit.spec.settings.setting import Setting

FROM = Version("1.14")
"""accelerate pull requests 3987, 3985 and 4015: packed bytes are left out, what is trained alone is made float32, and
embedding and end are units."""

CUTS_BYTES = (
    "accelerate before 1.14 has fully_shard cut packed bytes, where torch says: Only Tensors of floating point and "
    "complex dtype can require gradients"
)
"""accelerate issue 3983."""


def refuse_adapters(setting: Setting) -> None:
    """Raise for adapters or packed weights that fully_shard has otherwise than it is known here."""
    if setting.stack.trainer in LOOPS_IN_TORCH:
        if setting.weights not in FLOATS:
            raise _no_formula(f"{setting.weights} weights with fsdp2 by {setting.stack.trainer}")
        return
    if setting.weights not in (*FLOATS, *FOUR_BIT):
        raise _no_formula(f"{setting.weights} weights with fsdp2")
    if setting.weights in FOUR_BIT:
        _packed(setting)
    if older(setting, "accelerate", FROM):
        raise _no_formula("adapters with fsdp2 before accelerate 1.14")
    if setting.method not in ADAPTER_METHODS:
        raise _no_formula(f"{setting.method} with fsdp2")
    if setting.kernels.adapters is not None:
        raise _no_formula(f"adapters in kernels ({setting.kernels.adapters}) with fsdp2")
    if setting.objective != NEXT_TOKEN:
        raise _no_formula(f"{setting.objective} with adapters and fsdp2")
    own = setting.stack.trainer in TRL and loss_of(setting) in TILES
    if setting.stack.loss != "cross-entropy" and not own:  # DTensors, which kernels of such a loss are not given
        raise _no_formula(f"the loss {setting.stack.loss} with adapters and fsdp2")


def _packed(setting: Setting) -> None:
    """Raise for what becomes of packed weights that are numbers of no dtype."""
    storage = setting.parallel.quant_storage
    if storage == UNSHARDED and older(setting, "accelerate", FROM):
        raise UnsupportedRow("parallel", CUTS_BYTES)
    if storage not in (None, UNSHARDED, setting.compute) and setting.amp:
        reason = f"fsdp2 under mixed precision casts what is packed in {storage} to {setting.compute}: no such weights"
        raise UnsupportedRow("parallel", reason)


def _no_formula(what: str) -> UnsupportedRow:
    return UnsupportedRow("parallel", f"no formula for {what} yet")
