"""How software other than transformers 5 builds a model: experts as linears, older rules of quantization."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from packaging.version import InvalidVersion, Version

from toolkit.memory.architecture.autoawq import FAMILY as AUTOAWQ
from toolkit.memory.architecture.autoawq import as_autoawq
from toolkit.memory.architecture.config import UnsupportedModel
from toolkit.memory.architecture.litgpt import LITGPT_CACHES_GROUPS, as_litgpt
from toolkit.memory.architecture.megatron import TRAINER as MEGATRON
from toolkit.memory.architecture.megatron import as_megatron
from toolkit.memory.architecture.model import Architecture, Module, ModuleKind, Tensor
from toolkit.memory.architecture.torchtitan import TRAINER as TORCHTITAN
from toolkit.memory.architecture.torchtitan import as_torchtitan
from toolkit.memory.architecture.torchtune import TRAINER, as_torchtune
from toolkit.memory.libraries.versions import older
from toolkit.spec.settings.setting import Setting

# DeepSeek-V3 has 58 layers of 256; a stranger's config may claim any number.
MAX_EXPERT_LINEARS = 100_000

_FUSED_SINCE = Version("5")
_FOUR_BIT = ("nf4", "fp4")

# Names of one expert's gate, up and down projection before transformers 5.
_GATE_UP_DOWN = ("gate_proj", "up_proj", "down_proj")
_OLD_EXPERTS: Mapping[str, tuple[str, tuple[str, str, str]]] = {
    "mixtral": ("block_sparse_moe.experts", ("w1", "w3", "w2")),
    "qwen2_moe": ("mlp.experts", _GATE_UP_DOWN),
    "qwen3_moe": ("mlp.experts", _GATE_UP_DOWN),
    "deepseek_v2": ("mlp.experts", _GATE_UP_DOWN),
    "deepseek_v3": ("mlp.experts", _GATE_UP_DOWN),
    "glm4_moe": ("mlp.experts", _GATE_UP_DOWN),
    "olmoe": ("mlp.experts", _GATE_UP_DOWN),
}
_OLD_ROUTERS: Mapping[str, str] = {
    "mixtral": "block_sparse_moe.gate",
    "olmoe": "mlp.gate",
    "qwen2_moe": "mlp.gate",
    "qwen3_moe": "mlp.gate",
}


def as_built(architecture: Architecture, setting: Setting) -> Architecture:
    """The architecture as the setting's stack builds it.

    Before version 5 transformers had one linear for each projection of each expert of Mixtral, Qwen's mixtures and
    DeepSeek (and routers that were linears), and quantized Falcon's linears. Unsloth's 4-bit gpt-oss has one
    linear for each expert's gate-and-up and down projection. A stack that names no version is transformers 5.
    """
    if setting.stack.trainer == "litgpt":
        return as_litgpt(architecture, caches_queries=older(setting, "litgpt", LITGPT_CACHES_GROUPS))
    if setting.stack.trainer == AUTOAWQ:
        return as_autoawq(architecture)
    if setting.stack.trainer == TRAINER:
        return as_torchtune(architecture)
    if setting.stack.trainer == TORCHTITAN:
        return as_torchtitan(architecture, setting)
    if setting.stack.trainer == MEGATRON:
        return as_megatron(architecture, setting.parallel.tensor_parallel)
    if setting.stack.trainer == "unsloth" and architecture.family == "gpt_oss" and setting.weights in _FOUR_BIT:
        return _unsloth_gpt_oss(architecture)
    if _is_before_fusion(setting.stack.versions.get("transformers")):
        return _before_fusion(architecture)
    return architecture


def _is_before_fusion(version: str | None) -> bool:
    try:
        return version is not None and Version(version) < _FUSED_SINCE
    except InvalidVersion:
        return False


@lru_cache(maxsize=256)
def _before_fusion(architecture: Architecture) -> Architecture:
    if architecture.family == "falcon":
        return replace(architecture, modules=tuple(replace(module, quantized=True) for module in architecture.modules))
    if architecture.family not in _OLD_EXPERTS:
        return architecture
    return replace(architecture, modules=tuple(_old_modules(architecture)))


def _old_modules(architecture: Architecture) -> Iterator[Module]:
    inside, names = _OLD_EXPERTS[architecture.family]
    router = _OLD_ROUTERS.get(architecture.family)
    for module in architecture.modules:
        if module.kind is ModuleKind.EXPERTS:
            yield from _old_experts(module, inside, names)
        elif router is not None and module.path.endswith(".mlp.gate"):
            outputs, inputs = module.tensors[0].shape
            path = module.path.removesuffix("mlp.gate") + router
            yield replace(module, path=path, kind=ModuleKind.LINEAR, in_features=inputs, out_features=outputs)
        else:
            yield module


def _old_experts(module: Module, inside: str, names: tuple[str, str, str]) -> Iterator[Module]:
    """The linears of the experts: gate and up of (intermediate, hidden), down of (hidden, intermediate)."""
    experts, hidden, intermediate = module.tensors[1].shape
    layers = _each_expert(module, inside, experts)
    stem = module.path.split("{}", maxsplit=1)[0] + "{}"
    gate, up, down = names
    for name, inputs, outputs in (
        (gate, hidden, intermediate),
        (up, hidden, intermediate),
        (down, intermediate, hidden),
    ):
        tensors = (Tensor("weight", (outputs, inputs)),)
        yield Module(f"{stem}.{name}", ModuleKind.LINEAR, tensors, layers, inputs, outputs)


def _each_expert(module: Module, inside: str, experts: int) -> tuple[str, ...]:
    """What stands for each expert of each layer in the path of a linear."""
    if module.count * experts > MAX_EXPERT_LINEARS:
        raise UnsupportedModel("this mixture", f"{module.count} layers of {experts:,} experts are too many to list")
    return tuple(f"{layer}.{inside}.{expert}" for layer in module.layers for expert in range(experts))


@lru_cache(maxsize=16)
def _unsloth_gpt_oss(architecture: Architecture) -> Architecture:
    return replace(architecture, modules=tuple(_with_linear_experts(architecture)))


def _with_linear_experts(architecture: Architecture) -> Iterator[Module]:
    for module in architecture.modules:
        if module.kind is not ModuleKind.EXPERTS:
            yield module
            continue
        stem = module.path.split("{}", maxsplit=1)[0] + "{}"
        for tensor in module.tensors[::2]:
            experts, inputs, outputs = tensor.shape
            layers = tuple(
                f"{layer}.mlp.experts.{tensor.name}s.{expert}" for layer in module.layers for expert in range(experts)
            )
            tensors = (Tensor("weight", (outputs, inputs)), Tensor("bias", (outputs,)))
            yield Module(stem, ModuleKind.LINEAR, tensors, layers, inputs, outputs)
