"""How many parameters are trained, and how many there are with adapters."""

from __future__ import annotations

from toolkit.memory.architecture.model import Architecture
from toolkit.memory.tuners.methods import added
from toolkit.memory.weights.lora import adapters_of, saved_modules
from toolkit.spec.settings.setting import Setting


def total_parameters(architecture: Architecture, setting: Setting) -> int:
    """All parameters, tied ones once: of the model, the adapters, and the classifier that peft copies."""
    return architecture.parameters + added_parameters(architecture, setting)


def trainable_parameters(architecture: Architecture, setting: Setting) -> int:
    """The parameters that get gradients: none, all, or those that the method adds."""
    if setting.method == "full":
        return sum(module.elements for module in architecture.modules if module.trainable)
    return added_parameters(architecture, setting)


def added_parameters(architecture: Architecture, setting: Setting) -> int:
    """The parameters that the method adds to the model: adapters, and a copy of a classifier."""
    if setting.peft is not None and setting.trains:
        trained = sum(one.elements for one in added(architecture, setting) if one.trained)
        return trained + classifier_parameters(architecture)
    if setting.peft is not None and setting.trains:
        trained = sum(one.elements for one in added(architecture, setting) if one.trained)
        return trained + classifier_parameters(architecture)
    match = adapters_of(architecture, setting)
    if match is None or setting.lora is None:
        return 0
    lora = setting.lora
    return sum(adapter.elements(lora) for adapter in match.adapters) + classifier_parameters(architecture)


def classifier_parameters(architecture: Architecture) -> int:
    """The parameters of a classifier, of which peft trains a copy beside the adapters; 0 without one."""
    return sum(module.elements for module in saved_modules(architecture))
