"""A model's modules in the order in which a step under ZeRO 3 asks for them, and which weights autograd holds on to.

DeepSpeed frees a weight by giving it an empty tensor (partition_parameters.py, free_param): what else has a name for
its memory keeps that. Sources: bitsandbytes autograd/_functions.py (0.50), MatMul4Bit, which has a name for the packed
weight as long as the graph is there; transformers integrations/moe.py (5), whose products take views of fused experts;
torch utils/checkpoint.py, whose newer form saves detached copies, of one memory with what they are copies of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from packaging.version import Version

from toolkit.memory.architecture import Architecture, ModuleKind
from toolkit.memory.libraries.versions import older
from toolkit.memory.parallel.two_stacks import has_two
from toolkit.memory.parallel.units import ROOT, Key, keys_of
from toolkit.memory.parallel.zero_partition import as_cut
from toolkit.memory.parallel.zero_settings import sizes_of
from toolkit.memory.parallel.zero_silent import as_run, with_silent
from toolkit.memory.parallel.zero_stacks import stack_visits
from toolkit.memory.parallel.zero_visits import UNTIL_BACKWARD, UNTIL_STEP, Checkpoints, Leaf, Visit, Weight, visits
from toolkit.memory.weights.linear_storage import FOUR_BIT
from toolkit.memory.weights.storage import StoredTensor, storage_of
from toolkit.memory.weights.sums import shares_output
from toolkit.spec.settings.setting import Setting

LEAVES_FROM = Version("0.18")
"""DeepSpeed pull request 7604: since then these are gathered as a whole (leaf_module_config.py)."""

KEEPS_FROM = Version("0.19.3")
"""Since then frozen weights of a layer that runs again stay (partitioned_param_coordinator.py: ds_recompute_parameters;
DeepSpeed commit a31eb3165)."""

INSIDE_FROM = Version("5.23")
"""The first release read in which layers checkpoint `forward`, and not themselves with their hooks (modeling_layers.py,
GradientCheckpointingLayer); 5.15 does not."""

WHOLE_MIXTURES = frozenset({"mixtral", "qwen2_moe", "qwen3_moe"})

TEXT = "language_model"
"""What a model of images and text calls its decoder, which runs after its towers."""


def step_visits(architecture: Architecture, setting: Setting) -> Iterator[Visit]:
    """Every module of one step, forward and back; checkpointed layers run again."""
    leaves = list(_leaves(architecture, setting))
    form = setting.gradient_checkpointing
    keeps = setting.method != "full" and not older(setting, "deepspeed", KEEPS_FROM)
    inside = not older(setting, "transformers", INSIDE_FROM)
    checkpoints = Checkpoints(form != "false", form == "reentrant", keeps, inside)
    family = architecture.family
    if has_two(architecture):
        tied = next(_heads(architecture), "") if shares_output(architecture) else ""
        yield from stack_visits(leaves, checkpoints, family, tied)
        return
    before = [leaf for kind, key, leaf in leaves if key == ROOT and kind is ModuleKind.EMBEDDING]
    after = [leaf for kind, key, leaf in leaves if key == ROOT and kind is not ModuleKind.EMBEDDING]
    if architecture.tied and before:  # a head that storage knows nothing of
        after = [*after, *(Leaf(path, before[0].weights) for path in _heads(architecture))]
    layers = [list(with_silent(as_run(layer), family)) for layer in _layers(leaves)]
    yield from visits((list(with_silent(before, family)), layers, after), checkpoints)


def _heads(architecture: Architecture) -> Iterator[str]:
    return (module.path for module in architecture.modules if module.kind is ModuleKind.HEAD)


def _layers(leaves: Sequence[tuple[ModuleKind, Key, Leaf]]) -> list[list[Leaf]]:
    """Stack by stack in the model's order, its decoder's last."""
    found: dict[Key, list[Leaf]] = {}
    for _, key, leaf in leaves:
        if key != ROOT:
            found.setdefault(key, []).append(leaf)
    stacks = list(dict.fromkeys(stack for stack, _ in found))
    turns = {stack: (TEXT in stack, at) for at, stack in enumerate(stacks)}
    return [found[key] for key in sorted(found, key=lambda key: (turns[key[0]], int(key[1])))]


def _leaves(architecture: Architecture, setting: Setting) -> Iterator[tuple[ModuleKind, Key, Leaf]]:
    """Modules with the weights that do not stay gathered, of every layer, as they are stored."""
    sizes = sizes_of(setting, architecture.hidden)
    weights: dict[str, list[Weight]] = {}
    known: dict[str, tuple[ModuleKind, Key]] = {}
    wholes = _wholes(architecture, setting)
    for tensor in storage_of(architecture, setting):
        each, item = as_cut(tensor, setting)
        gathers = tensor.part.parameter and each > sizes.param_persistence_threshold
        pinned = _pinned(tensor, setting)
        for name, key in zip(tensor.module.layers, keys_of(tensor), strict=True):
            path = tensor.module.path.replace("{}", name)
            path = next((whole for whole in wholes.get(key, ()) if path.startswith(f"{whole}.")), path)
            known.setdefault(path, (tensor.module.kind, key))
            there = weights.setdefault(path, [])
            if gathers:
                size = item if setting.weights in FOUR_BIT else 1
                there.append(Weight(tensor.name.replace("{}", name), each, size, pinned))
    for path, (kind, key) in known.items():
        yield kind, key, Leaf(path, tuple(weights[path]), whole=path in wholes.get(key, ()))


def _wholes(architecture: Architecture, setting: Setting) -> Mapping[Key, Sequence[str]]:
    """Modules that are gathered with all that is in them, by layer: mixtures of some families."""
    if architecture.family not in WHOLE_MIXTURES or older(setting, "deepspeed", LEAVES_FROM):
        return {}
    found: dict[Key, list[str]] = {}
    for tensor in storage_of(architecture, setting):
        if ".experts" not in tensor.module.path:
            continue
        for name, key in zip(tensor.module.layers, keys_of(tensor), strict=True):
            found.setdefault(key, []).append(tensor.module.path.replace("{}", name).partition(".experts")[0])
    return {key: tuple(dict.fromkeys(paths)) for key, paths in found.items()}


def _pinned(tensor: StoredTensor, setting: Setting) -> str:
    """Until when what a forward pass makes of a weight has a name for its memory."""
    if tensor.module.kind is ModuleKind.EXPERTS:
        return UNTIL_BACKWARD
    if setting.weights in FOUR_BIT and tensor.is_packed:
        return UNTIL_BACKWARD if setting.gradient_checkpointing == "reentrant" else UNTIL_STEP
    return ""
