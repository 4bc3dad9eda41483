"""What FSDP is told to ignore, so that every GPU has all of it: whole mixtures, which fms-acceleration puts in.

Source: fms_acceleration_moe framework_plugin_scattermoe.py, get_callbacks_and_ready_for_train (ignored_modules).
"""

from __future__ import annotations

from toolkit.memory.architecture import Module, ModuleKind
from toolkit.memory.weights.storage import StoredTensor
from toolkit.memory.weights.sums import Trained
from toolkit.spec.settings.setting import Setting

ROUTERS = frozenset({"router", "gate"})
"""The last part of a router's path; its module is all of a mixture but what is shared by all tokens."""


def ignores_mixtures(setting: Setting) -> bool:
    """Whether FSDP leaves out routers and experts."""
    return setting.parallel.strategy == "fsdp" and setting.kernels.experts is not None


def is_ignored(module: Module, setting: Setting) -> bool:
    """Whether a module is a part of what FSDP leaves out."""
    if not ignores_mixtures(setting):
        return False
    return module.kind is ModuleKind.EXPERTS or (module.kind is ModuleKind.OTHER and module.leaf in ROUTERS)


def trained_whole(ignored: tuple[StoredTensor, ...]) -> tuple[Trained, ...]:
    """Such tensors as they are trained: every GPU updates all of them."""
    return tuple(Trained(one.tensor.shape, one.module.count) for one in ignored)


def elements_of_a_layer(ignored: tuple[StoredTensor, ...]) -> int:
    """Elements of what every layer has of them; each has as many."""
    return sum(one.elements // one.module.count for one in ignored)
