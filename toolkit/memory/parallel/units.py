"""The units in which FSDP shards a model: every layer, and what is outside the layers (the root).

The tensors of a unit are one flat parameter, cut into as many parts as there are GPUs and gathered as a whole. Sources:
torch/distributed/fsdp/_flat_param.py; transformers' `_no_split_modules`, by which accelerate wraps the layers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from toolkit.frozen import frozen
from toolkit.memory.architecture import Architecture, ModuleKind
from toolkit.memory.parallel.ignored import is_ignored
from toolkit.memory.size import BYTES
from toolkit.memory.weights.storage import ALLOCATION, FLOATS, StoredTensor, storage_of
from toolkit.spec.settings.setting import Setting

ALIGNMENT = 16
"""Bytes to which each tensor of a flat parameter is aligned with use_orig_params (_flat_param.py)."""

MADE_PARAMETERS = (".qweight", ".qzeros")
"""Of GPTQ weights: float16 views of their packed values and zeros; scales and groups stay on every GPU in full."""

IN_A_LAYER = re.compile(r"((?:\w+\.)*block\.)(\d+)\.")
"""What one layer alone has: T5's biases of relative positions."""

OF_ENCODER = re.compile(r"(?:model\.)?encoder\.")
"""The stack whose layers run before a decoder's."""

Key = tuple[str, str]
ROOT: Key = ("", "")
EMBEDDING: Key = ("embedding", "")
"""The token embedding, where it is a unit of its own (parallel.wraps_embeddings)."""


@frozen
class Units:
    """The part that one GPU has of each unit, in elements: of the root and of each layer, in the model's order.

    `embedding` is that of the token embedding, where it is no part of the root.
    `item` are the bytes of an element as it is gathered. `whole` are the bytes of what every GPU keeps all of, and
    `rounding` what the allocator adds to those; `ignored` are the parameters among it.
    """

    gpus: int
    item: int
    root: int
    layers: tuple[int, ...]
    whole: int
    rounding: int
    ignored: tuple[StoredTensor, ...] = ()
    embedding: int = 0

    @property
    def in_order(self) -> tuple[int, ...]:
        """The parts of all units in the order in which they are made: what is inside first, the root last."""
        return (*((self.embedding,) if self.embedding else ()), *self.layers, self.root)

    @property
    def parts(self) -> Mapping[int, int]:
        """How many units have parts of each size, in the order of a model's parameters: the root's come first."""
        return Counter((self.root, *self.in_order[:-1]))

    @property
    def elements(self) -> int:
        """Elements of one GPU's parts of all units, and of what it has all of."""
        return sum(self.in_order) + sum(one.elements for one in self.ignored)

    def gathered(self, part: int) -> int:
        """The bytes of a unit of which one GPU has a part, once it is gathered."""
        return part * self.gpus * self.item


def units_of(architecture: Architecture, setting: Setting, gpus: int) -> Units:
    """The units of weights that are gathered in the form in which the setting has them; scales are no parameters."""
    stored = storage_of(architecture, setting)
    item = BYTES[setting.weights if setting.weights in FLOATS else setting.compute]
    flat: Counter[Key] = Counter()
    ignored = tuple(tensor for tensor in stored if is_ignored(tensor.module, setting))
    kept = [tensor for tensor in stored if tensor in ignored or not is_sharded(tensor)]
    for tensor in stored:
        if tensor not in ignored and is_sharded(tensor):
            elements = aligned(tensor, item)
            for key in units_with(tensor, setting):
                flat[key] += elements
    parts = {key: -(-elements // gpus) for key, elements in flat.items()}
    return Units(
        gpus=gpus,
        item=item,
        root=parts.pop(ROOT, 0),
        embedding=parts.pop(EMBEDDING, 0),
        layers=tuple(part for _, part in sorted(parts.items(), key=lambda one: in_order(one[0]))),
        whole=sum(tensor.bytes for tensor in kept),
        rounding=sum(tensor.allocated - tensor.bytes for tensor in kept),
        ignored=ignored,
    )


def in_order(key: Key) -> tuple[bool, str, int]:
    """By which units are sorted: the layers of a stack in turn, an encoder's before those of its decoder."""
    stack, layer = key
    return OF_ENCODER.match(stack) is None, stack, int(layer)


def rounding(part: int) -> int:
    """What the allocator adds to an allocation of so many bytes."""
    return -part % ALLOCATION


def is_sharded(tensor: StoredTensor) -> bool:
    """Whether a tensor is a parameter, or made one to be sharded (fms_acceleration_peft, autogptq_utils.py)."""
    return tensor.part.parameter or tensor.part.name in MADE_PARAMETERS


def aligned(tensor: StoredTensor, item: int) -> int:
    """Elements of one tensor in its flat parameter: 4-bit weights are stored in elements of the compute dtype."""
    return -(-tensor.bytes // tensor.module.count // ALIGNMENT) * ALIGNMENT // item


def keys_of(tensor: StoredTensor) -> list[Key]:
    """The units that have such tensors: the stack of layers and the layer's index, or the root.

    A name may go on after the index, as those of the experts of a mixture do.
    """
    if alone := IN_A_LAYER.match(tensor.module.path):
        return [(alone[1], alone[2])]
    stack, layer, _ = tensor.module.path.partition("{}")
    return [(stack, name.partition(".")[0]) for name in tensor.module.layers] if layer else [ROOT]


def units_with(tensor: StoredTensor, setting: Setting) -> list[Key]:
    """The same under FSDP, which may be told to make a unit of the token embedding, too."""
    keys = keys_of(tensor)
    apart = setting.parallel.wraps_embeddings and keys == [ROOT] and tensor.module.kind is ModuleKind.EMBEDDING
    return [EMBEDDING] if apart else keys
