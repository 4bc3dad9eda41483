"""A decoder's layers after an encoder's, as units of FSDP: what each has, and which is in turn.

An encoder's layers have no attention to another's result, so that units differ in size; their one embedding is in the
root, and gets a gradient from the output, from the decoder and from the encoder, in this order. Sources: as of
fully_shard.py and spread.py; transformers' `_no_split_modules` of T5 and BART.
"""

from __future__ import annotations

from collections import Counter

from toolkit.frozen import frozen
from toolkit.memory.architecture import Architecture, ModuleKind
from toolkit.memory.libraries.trainers import LOOPS_IN_TORCH
from toolkit.memory.libraries.versions import older
from toolkit.memory.parallel.fully_shard import ENDS_APART
from toolkit.memory.parallel.shard_rows import part_of
from toolkit.memory.parallel.sharing import Step
from toolkit.memory.parallel.units import ROOT, Key, Units, in_order, keys_of
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.weights.storage import storage_of
from toolkit.spec.settings.setting import Setting

ENCODER = "encoder"
BETWEEN = "decoder's embedding"
"""The moment between a decoder's backward and its encoder's."""
UNITS = frozenset({"t5", "bart", "m2m_100"})
"""Families whose layers are units, and nothing else: mBART's attentions are some too, Pegasus and Marian have none."""


@frozen
class Stacks:
    """Elements of each layer, the encoder's first: as gathered, of which a GPU has one of so many parts; of the root.

    `encoder` is the number of its layers; `positions` are elements of one stack's table of positions.
    """

    encoder: int
    layers: tuple[int, ...]
    root: int
    positions: int = 0

    def left(self, place: int) -> int:
        """Elements of all layers up to one."""
        return sum(self.layers[: place + 1])

    def after(self, place: int) -> int:
        """Elements of the layers after one, whose gradients come before its own."""
        return sum(self.layers[place + 1 :])


def has_two(architecture: Architecture) -> bool:
    """Whether a model has a decoder's layers after an encoder's."""
    return len({kind.stack for kind in architecture.layers}) > 1


def refuse_stacks(architecture: Architecture, setting: Setting) -> None:
    """Raise for what is not known of an encoder and a decoder whose weights are shared out."""
    strategy = setting.parallel.strategy
    if not has_two(architecture) or strategy not in ("fsdp", "fsdp2", "zero3"):
        return
    if setting.method != "full":
        raise UnsupportedRow("parallel", f"no formula for adapters of an encoder and a decoder under {strategy} yet")
    by_accelerate = strategy == "fsdp2" and setting.stack.trainer not in LOOPS_IN_TORCH
    if by_accelerate and not older(setting, "accelerate", ENDS_APART):
        reason = "accelerate makes a unit of an embedding that both stacks share, for which torch raises a ValueError"
        raise UnsupportedRow("parallel", f"{architecture.family} does not run under fsdp2: {reason}")
    if architecture.frames or (strategy != "zero3" and architecture.family not in UNITS):
        raise UnsupportedRow("parallel", f"no formula for the units of {architecture.family} under {strategy} yet")


def of_rows(architecture: Architecture, setting: Setting) -> Stacks:
    """Every tensor cut along its rows, as fully_shard has it: the first GPU's parts, times the GPUs."""
    gpus = setting.parallel.gpus
    units: Counter[Key] = Counter()
    for tensor in storage_of(architecture, setting):
        for key in keys_of(tensor):
            units[key] += part_of(tensor.tensor.shape, gpus) * gpus
    return _ordered(architecture, units)


def of_units(architecture: Architecture, units: Units) -> Stacks:
    """The same of flat parameters, of which a GPU has its part."""
    count = encoder_layers(architecture)
    gathered = tuple(part * units.gpus for part in units.layers)
    return Stacks(count, gathered, units.root * units.gpus, _positions(architecture))


def _ordered(architecture: Architecture, units: Counter[Key]) -> Stacks:
    root = units.pop(ROOT, 0)
    layers = (size for _, size in sorted(units.items(), key=lambda one: in_order(one[0])))
    return Stacks(encoder_layers(architecture), tuple(layers), root, _positions(architecture))


def encoder_layers(architecture: Architecture) -> int:
    """The layers of an encoder that a decoder comes after; 0 where there is none."""
    return has_two(architecture) * sum(kind.count for kind in architecture.layers if kind.stack == ENCODER)


def _positions(architecture: Architecture) -> int:
    tables = [one for one in architecture.modules if one.kind is ModuleKind.EMBEDDING and "position" in one.path]
    return max((one.elements for one in tables if one.trainable and "{}" not in one.path), default=0)


def embedded(step: Step, stacks: Stacks, place: int, item: int) -> int:
    """Bytes of gradients of embeddings that are there in a layer's backward: the decoder's, once its layers are done.

    That of words is added to the output weight's, where it is the same.
    """
    if place >= stacks.encoder:
        return 0
    return (0 if step.tied else step.embedding) + stacks.positions * item
