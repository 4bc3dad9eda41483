"""Optimizers on parts of tensors: which of them their libraries run so, and what one flat tensor's step needs.

FSDP gives an optimizer flat parameters or slices of them, ZeRO a flat float32 tensor, fully_shard DTensors. Sources:
torch/distributed/fsdp/_flat_param.py; deepspeed runtime/zero/stage_1_and_2.py and stage3.py (0.19);
torch/distributed/tensor/_dispatch.py; bitsandbytes optim/optimizer.py (0.50).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from toolkit.memory.libraries.trainers import LOOPS_IN_TORCH
from toolkit.memory.size import BYTES
from toolkit.spec.fields.names import DEEPSPEED, GALORE
from toolkit.spec.settings.setting import Setting

OF_TORCH = frozenset({"adamw", "sgd", "sgd_momentum", "rmsprop", "none"})
"""Torch's optimizers whose states follow the elements, wherever a parameter is cut."""

BITSANDBYTES = frozenset({
    "adamw_8bit", "paged_adamw", "paged_adamw_8bit", "lion", "lion_8bit", "paged_lion", "paged_lion_8bit", "ademamix",
    "ademamix_8bit", "paged_ademamix", "paged_ademamix_8bit", "rmsprop_bnb", "rmsprop_bnb_8bit",
})  # fmt: skip
"""Its optimizers: blocks of 256 elements share a scale, and smaller tensors keep float32 states, by a part's size."""

FLAT = OF_TORCH | BITSANDBYTES | {"adafactor"}
"""Optimizers that take a tensor of one dimension; Adafactor keeps all of its second moments (transformers)."""


def refusal_on_parts(setting: Setting) -> str:
    """Why an optimizer is not estimated on the parts that a setting's strategy makes of tensors; empty where it is.

    Where a library fails, the reason is what its own code says.
    """
    rule = RULES.get(setting.parallel.strategy)
    if rule is None or not setting.trains:
        return ""
    known, fails, lacks = rule(setting)
    if setting.optimizer in known:
        return ""
    if reason := fails.get(setting.optimizer, ""):
        return f"{setting.optimizer} does not run on parts of tensors: {reason}"
    beside = lacks.get(setting.optimizer, "")
    return f"no formula for the states of {setting.optimizer} on parts of tensors" + (beside and f": {beside}")


Reasons = Mapping[str, str]
Rule = tuple[frozenset[str], Reasons, Reasons]
"""The optimizers that are known; why others fail; what else is not known of some."""

NO_MATRICES: Reasons = {
    "muon": "torch's Muon takes matrices alone and raises a ValueError for what is flat",
    **dict.fromkeys(GALORE, "galore_torch projects matrices and raises an IndexError for what is flat"),
}


def _flat_parameters(_: Setting) -> Rule:
    """FSDP: slices of one dimension, or flat parameters."""
    return FLAT | {"adagrad"}, NO_MATRICES, {}


def _flat_partition(_: Setting) -> Rule:
    """ZeRO: a flat tensor in place of all parameters that an optimizer was made for."""
    return FLAT, NO_MATRICES, {"adagrad": "it makes some of whole parameters before DeepSpeed cuts these"}


def _dtensors(setting: Setting) -> Rule:
    """fully_shard: DTensors, which no kernel of another library takes."""
    by_loop = setting.stack.trainer in LOOPS_IN_TORCH
    known = OF_TORCH | {"adagrad"} if by_loop else OF_TORCH
    unregistered = "torch has no sharding strategy for bitsandbytes' kernels, and takes no tensors beside DTensors"
    fails = {
        **dict.fromkeys(BITSANDBYTES, unregistered),
        "adafactor": "transformers' has tensors beside DTensors, which torch does not take",
        "adagrad": "it makes states of whole parameters before accelerate shards them, and finds none of the parts",
    }
    return known, fails, {"muon": "torch redistributes matrices as it finds it best to make them orthogonal"}


RULES: Mapping[str, Callable[[Setting], Rule]] = {
    "fsdp": _flat_parameters,
    "fsdp2": _dtensors,
    **dict.fromkeys(DEEPSPEED, _flat_partition),
}
"""What is known of each strategy that cuts tensors."""

TENSORS: Mapping[str, Mapping[str, int]] = {
    "adamw": {"foreach": 1, "for-loop": 2},
    "rmsprop": {"foreach": 1, "for-loop": 1},
    "adafactor": dict.fromkeys(("fused", "foreach", "for-loop"), 2),
}
"""Float32 tensors as long as the one that is updated, by optimizer and implementation: roots, quotients, squares."""


def bytes_beside(setting: Setting) -> int:
    """Bytes for each element that an optimizer's step needs while it updates one flat float32 tensor."""
    return BYTES["fp32"] * TENSORS.get(setting.optimizer, {}).get(setting.optimizer_implementation, 0)
