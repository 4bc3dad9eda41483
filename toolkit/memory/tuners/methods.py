"""What a setting's peft method adds to its model, and which of it is on the GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from math import prod

from toolkit.memory.architecture import Architecture, Module, ModuleKind
from toolkit.memory.architecture.stack import as_built
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.tuners.added import Added, Adds, Base
from toolkit.memory.tuners.changes import CHANGES
from toolkit.memory.tuners.factored import FACTORED
from toolkit.memory.tuners.linears import EACH, scales_inputs
from toolkit.memory.tuners.prompts import PROMPTS
from toolkit.memory.tuners.shared import SHARED
from toolkit.memory.weights.lora import layers_named, match_targets
from toolkit.spec.fields.names import QUANTIZED
from toolkit.spec.fields.peft_methods import PEFT_METHODS, ia3_feedforward
from toolkit.spec.settings.setting import Peft, Setting

__all__ = ["ADDS", "added", "base_of", "feedforward_of", "held_bytes", "scales_inputs"]

ADDS: Mapping[str, Adds] = {**EACH, **SHARED, **FACTORED, **CHANGES, **PROMPTS}
"""Every method with its rule."""

PRODUCTS = frozenset({ModuleKind.LINEAR, ModuleKind.HEAD})
TRANSPOSED = frozenset({
    "adalora", "deft", "fourierft", "gralora", "hira", "ia3", "pvera", "randlora", "tinylora", "unilora", "vblora",
    "vera", "waveft",
})  # fmt: skip
"""Methods that peft also applies to GPT-2's Conv1D, as to a linear."""


def added(
    architecture: Architecture, setting: Setting, among: Callable[[Module], bool] | None = None
) -> Iterator[Added]:
    """What a method adds, to the modules `among` which it is asked for; nothing without a method.

    Raises UnsupportedRow for what peft refuses or no rule covers.
    """
    if setting.peft is None or not setting.trains:
        return
    if setting.parallel.strategy not in ("none", "ddp"):
        raise UnsupportedRow("parallel", f"no formula for {setting.method} with {setting.parallel.strategy} yet")
    if setting.method == "ln_tuning" and setting.weights in QUANTIZED:
        raise UnsupportedRow("adapters", f"no rule for norms of a model with {setting.weights} weights yet")
    base = base_of(architecture, setting)
    if among is not None:
        base = replace(base, modules=tuple(filter(among, base.modules)))
    yield from ADDS[setting.method](base)


def base_of(architecture: Architecture, setting: Setting) -> Base:
    """What a setting's method adapts. Raises UnsupportedRow for what peft refuses or no rule covers."""
    peft = setting.peft
    assert peft is not None
    built = as_built(architecture, setting)
    options = dict(peft.options)
    if setting.method == "ia3":
        options["feedforward_modules"] = feedforward_of(peft, architecture.family)
    targets = peft.targets if isinstance(peft.targets, tuple) else ()
    return Base(setting, built, tuple(_modules(built, setting, peft)), targets, peft.rank or 0, options)


def feedforward_of(peft: Peft, family: str) -> tuple[str, ...]:
    """The modules whose inputs IA3 scales: those that are stated, else peft's for the model type."""
    said = dict(peft.options)["feedforward_modules"]
    return said if isinstance(said, tuple) and said else ia3_feedforward(family)


def held_bytes(architecture: Architecture, setting: Setting) -> int:
    """The bytes of the untrained tensors that a method keeps on the GPU."""
    return sum(count * size for count, size in held(architecture, setting))


def held(architecture: Architecture, setting: Setting) -> Iterator[tuple[int, int]]:
    """The untrained tensors that a method keeps on the GPU: how many of one form, and the bytes of each.

    A buffer outside the containers that peft moves with an adapter (tuners_utils.py,
    _move_adapter_to_device_of_base_layer) reaches the GPU only where a Trainer moves the whole model. Such a move
    copies only the view of a tensor, not its whole storage.
    """
    moves = setting.stack.trainer != "plain" and setting.weights not in QUANTIZED
    for one in added(architecture, setting):
        if not one.trained and (moves or not one.stays):
            yield one.count, prod(one.shape if moves else one.view_of or one.shape) * one.item


def _modules(architecture: Architecture, setting: Setting, peft: Peft) -> Iterator[Module]:
    """The modules that a method's targets name."""
    on = PEFT_METHODS[setting.method].on
    if on not in ("linears", "norms"):
        return
    if peft.targets is None:
        raise UnsupportedRow("adapters", f"peft has no default targets of {setting.method} for {architecture.family}")
    found = _norms(architecture, peft) if on == "norms" else _linears(architecture, setting, peft)
    if not found:
        raise UnsupportedRow("adapters", f"no module that {setting.method} can adapt has one of these names")
    yield from found


def _norms(architecture: Architecture, peft: Peft) -> list[Module]:
    names = (peft.targets,) if isinstance(peft.targets, str) else peft.targets or ()
    found = []
    for module in architecture.modules:
        layers = [layer for layer in module.layers if any(layer in layers_named(module, name) for name in names)]
        if layers and module.kind is not ModuleKind.NORM:
            raise UnsupportedRow("adapters", f"no rule for ln_tuning of {module.leaf}, which is not a norm")
        if layers:
            found.append(replace(module, layers=tuple(layers)))
    return found


def _linears(architecture: Architecture, setting: Setting, peft: Peft) -> list[Module]:
    match = match_targets(architecture, peft.targets or (), fuses=False)
    able = PRODUCTS | {ModuleKind.CONV1D} if setting.method in TRANSPOSED else PRODUCTS
    for adapter in match.adapters:
        if adapter.module.kind not in able or adapter.copies > 1 or adapter.ranks > 1:
            raise UnsupportedRow("adapters", f"no rule for {setting.method} on {adapter.module.leaf} yet")
    return [adapter.module for adapter in match.adapters]
