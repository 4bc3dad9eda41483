"""How many parameters are trained, and how many there are with adapters."""

from __future__ import annotations

from toolkit.memory.architecture.model import Architecture
from toolkit.memory.tuners.methods import added
from toolkit.memory.weights.adapter import trained_elements
from toolkit.memory.weights.lora import adapters_of
from toolkit.memory.weights.saved import saved_by
from toolkit.spec.settings.setting import Setting


def total_parameters(architecture: Architecture, setting: Setting) -> int:
    """All parameters, tied ones once: of the model, the adapters, and the modules that peft copies."""
    return architecture.parameters + added_parameters(architecture, setting)


def trainable_parameters(architecture: Architecture, setting: Setting) -> int:
    """The parameters that get gradients: none, all, or those that the method adds."""
    if not setting.trains:
        return 0
    if setting.method == "full":
        return sum(module.elements for module in architecture.modules if module.trainable)
    return added_parameters(architecture, setting) - frozen_parameters(architecture, setting)


def added_parameters(architecture: Architecture, setting: Setting) -> int:
    """The parameters that the method adds to the model: adapters, and copies of whole modules."""
    if setting.peft is not None and setting.trains:
        return _copies(architecture, setting) + sum(one.elements for one in added(architecture, setting) if one.trained)
    match = adapters_of(architecture, setting)
    if match is None or setting.lora is None:
        return 0
    return _copies(architecture, setting) + sum(adapter.elements(setting.lora) for adapter in match.adapters)


def frozen_parameters(architecture: Architecture, setting: Setting) -> int:
    """The weights of a matrix of each adapter that is not trained."""
    if setting.lora is None or setting.lora.frozen is None:
        return 0
    match = adapters_of(architecture, setting)
    adapters = match.adapters if match is not None else ()
    return sum(one.elements(setting.lora) for one in adapters) - trained_elements(adapters, setting.lora)


def _copies(architecture: Architecture, setting: Setting) -> int:
    return sum(module.elements for module in saved_by(architecture, setting))
