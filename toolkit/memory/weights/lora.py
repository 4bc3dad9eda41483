"""Which modules LoRA adapts, by the rules of peft 0.21 with transformers 5, and the weights that adds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from toolkit.memory.architecture.model import Architecture, Module, ModuleKind, Tensor
from toolkit.memory.architecture.stack import as_built
from toolkit.memory.libraries.fused_names import FUSED_NAMES
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.weights.adapter import Adapter, TargetMatch, in_blocks
from toolkit.memory.weights.lora_forms import refuse_form, refuse_forms_of, refuse_unmerged
from toolkit.memory.weights.saved import adapted_before, refuse_saved, saved_modules
from toolkit.spec.settings.setting import Lora, Setting

ALL_LINEAR = "all-linear"

ADAPTER_METHODS = ("lora", "qlora", "inference")
"""Methods of a model with LoRA's adapters: those that train them, and answering with adapters that are not merged."""

LINEARS = (ModuleKind.LINEAR, ModuleKind.CONV1D)
PRODUCTS = (*LINEARS, ModuleKind.HEAD)


@lru_cache(maxsize=1024)
def match_targets(
    architecture: Architecture, targets: str | tuple[str, ...], saves: tuple[str, ...] = (), *, fuses: bool = True
) -> TargetMatch:
    """The modules that LoRA adapts. A name matches a whole path, or its end after a dot.

    "all-linear" takes every linear except the output embedding and a classifier that is trained in full.
    Another single string is a regular expression to peft; here it is a name, as a stranger's expression is
    not run. Routers, norms and gpt-oss's fused experts have no adapter; the fused experts of Mixtral,
    Qwen3-MoE and DeepSeek have one under the names that their linears used to have, which peft `fuses` for LoRA alone
    (utils/transformers_weight_conversion.py, convert_peft_config_for_transformers). What peft `saves` a copy of has
    none.
    """
    everything = isinstance(targets, str) and targets.lower() == ALL_LINEAR
    names = (targets,) if isinstance(targets, str) else tuple(dict.fromkeys(targets))
    fused = _fused_names(architecture) if fuses else {}
    per_target = dict.fromkeys(names, 0)
    adapters: list[Adapter] = []
    for module in _adaptable(architecture, saves):
        layers: set[str] = set()
        for name in names:
            found = _linear_layers(module, fused) if everything else layers_named(module, name, fused)
            per_target[name] += len(found)
            layers.update(found)
        if layers:
            adapters.append(Adapter(module if len(layers) == module.count else _only(module, layers)))
    for adapter, sources in _fused_adapters(architecture, fused, _leaves(fused if everything else names)):
        adapters.append(adapter)
        for name in names:
            per_target[name] += adapter.module.count if everything or _leaf(name) in sources else 0
    unmatched = tuple(name for name, count in per_target.items() if count == 0)
    return TargetMatch(tuple(adapters), unmatched, per_target)


def lora_parameters(architecture: Architecture, lora: Lora) -> int:
    """The weights of the adapters."""
    return sum(adapter.elements(lora) for adapter in _match(architecture, lora).adapters)


def lora_refusal(architecture: Architecture, lora: Lora) -> str | None:
    """Why peft refuses this configuration, or None where it does not."""
    if lora.dora and lora.bias:
        return "DoRA has no biases"
    match = _match(architecture, lora)
    fused = _fused_names(architecture)
    if isinstance(lora.targets, tuple) and fused:
        incomplete = _incomplete(fused, _leaves(lora.targets))
        if incomplete:
            return f"{' and '.join(incomplete)} are fused into one parameter and can only be adapted together"
    wrapping = _wrapping_linears(architecture, lora)
    if wrapping:
        return f"{wrapping} is a module around a linear here, which peft does not adapt (Gemma4ClippableLinear)"
    plain = match_targets(architecture, lora.targets).matched if lora.modules_to_save else ()
    copied = adapted_before(architecture, lora.modules_to_save, plain)
    if copied:
        return f"modules_to_save takes {copied}, which has an adapter by then"
    if not match.adapters:
        return "no module that LoRA can adapt has one of these names"
    if lora.dropout and any(adapter.module.kind is ModuleKind.EXPERTS for adapter in match.adapters):
        return "adapters of fused experts cannot have dropout"
    return None


def _wrapping_linears(architecture: Architecture, lora: Lora) -> str:
    """A target that is the name of a module around a linear, which is called so; empty where there is none."""
    if not isinstance(lora.targets, tuple):
        return ""
    around = {module.path.split(".")[-2] for module in architecture.modules if module.path.endswith(".linear")}
    return next((name for name in lora.targets if _leaf(name) in around), "")


def _match(architecture: Architecture, lora: Lora) -> TargetMatch:
    match = match_targets(architecture, lora.targets, lora.modules_to_save)
    return match if lora.blocks == 1 else in_blocks(match, lora)


def adapters_of(architecture: Architecture, setting: Setting) -> TargetMatch | None:
    """The adapters of a setting, on the model as its stack builds it; None where the method has none."""
    if setting.method not in ADAPTER_METHODS or setting.lora is None:
        return None
    built = as_built(architecture, setting)
    refusal = lora_refusal(built, setting.lora)
    if refusal is not None:
        raise UnsupportedRow("adapters", f"peft refuses this: {refusal}")
    refuse_saved(built, setting)
    refuse_unmerged(setting)
    refuse_form(setting)
    match = _match(built, setting.lora)
    if setting.lora.dora or setting.lora.bias:
        for adapter in match.adapters:
            if adapter.module.kind not in PRODUCTS:
                raise UnsupportedRow("adapters", f"no rule for DoRA or a bias of {adapter.module.leaf} yet")
    refuse_forms_of(match.adapters, setting.lora)
    return match


def _fused_names(architecture: Architecture) -> Mapping[str, str]:
    """The names that stand for fused parameters: peft goes by the type of a model, whether or not it has experts.

    Before transformers 5 each expert had linears of its own.
    """
    apart = any("experts." in layer for module in architecture.modules for layer in module.layers[:1])
    return FUSED_NAMES.get(architecture.family, {}) if architecture.older_names and not apart else {}


def _adaptable(architecture: Architecture, saves: tuple[str, ...]) -> Iterator[Module]:
    """The linears, embeddings and convolutions that are not trained in full."""
    copied = {module.path: frozenset(module.layers) for module in saved_modules(architecture, saves)}
    for module in architecture.modules:
        left = frozenset(module.layers) - copied[module.path] if module.path in copied else module.layers
        if module.in_features and left:
            yield module if len(left) == module.count else _only(module, left)


def _linear_layers(module: Module, fused: Collection[str]) -> tuple[str, ...]:
    return module.layers if module.kind in LINEARS and module.leaf not in fused else ()


def layers_named(module: Module, name: str, fused: Collection[str] = ()) -> tuple[str, ...]:
    """The layers of a module that a name takes."""
    leaf = _leaf(name)
    if leaf != module.leaf or leaf in fused:
        return ()
    ending = f".{name}"
    before, _, after = module.path.rpartition("{}")
    if after.endswith(ending) or f".{after}" == ending:
        return module.layers
    if not ending.endswith(after):
        return ()
    # What is left of the name says which layers: "layers.3", or "3.mlp.experts.7" where experts are linears.
    start = ending.removesuffix(after)
    return tuple(layer for layer in _candidates(module, start) if f".{before}{layer}".endswith(start))


def _candidates(module: Module, start: str) -> tuple[str, ...]:
    """The layers that may end so: one, unless layers stand for experts, too."""
    last = _leaf(start)
    if any("." in layer for layer in module.layers[:1]):
        return module.layers
    return (last,) if last in module.layers else ()


def _only(module: Module, layers: Collection[str]) -> Module:
    return replace(module, layers=tuple(layer for layer in module.layers if layer in layers))


def _leaf(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _leaves(names: Collection[str]) -> frozenset[str]:
    return frozenset(_leaf(name) for name in names)


def _incomplete(fused: Mapping[str, str], leaves: frozenset[str]) -> tuple[str, ...]:
    """The names that would have to be targeted together and are not."""
    for parameter in dict.fromkeys(fused.values()):
        sources = tuple(name for name, target in fused.items() if target == parameter)
        if 0 < len(leaves.intersection(sources)) < len(sources):
            return sources
    return ()


def _fused_adapters(
    architecture: Architecture, fused: Mapping[str, str], leaves: frozenset[str]
) -> Iterator[tuple[Adapter, frozenset[str]]]:
    """The adapters of fused parameters and routers, each with the names that ask for it."""
    if not fused or _incomplete(fused, leaves):
        return
    wanted: dict[str, set[str]] = {}
    for name in leaves.intersection(fused):
        wanted.setdefault(fused[name], set()).add(name)
    for module in architecture.modules:
        for tensor in module.tensors:
            path = f"{module.path}.{tensor.name}"
            sources = next((names for ending, names in wanted.items() if path.endswith(f".{ending}")), None)
            if sources and not module.in_features:
                yield _fused_adapter(module, tensor, len(sources)), frozenset(sources)


def _fused_adapter(module: Module, tensor: Tensor, ranks: int) -> Adapter:
    *experts, outputs, inputs = tensor.shape
    path = f"{module.path}.{tensor.name}" if experts else module.path
    part = replace(module, path=path, tensors=(tensor,), in_features=inputs, out_features=outputs)
    return Adapter(part, experts[0] if experts else 1, ranks)
