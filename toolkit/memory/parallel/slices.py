"""What FSDP's optimizer sees of a GPU's part: with use_orig_params what lies in it of each tensor, else the part.

Of the first GPU, whose parts begin where the units do: it has the token embedding. Source:
torch/distributed/fsdp/_flat_param.py, _use_sharded_views (views of one dimension, empty where a tensor lies elsewhere).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from packaging.version import Version

from toolkit.memory.architecture import Architecture, ModuleKind
from toolkit.memory.libraries.versions import older
from toolkit.memory.parallel.units import Key, Units, aligned, is_sharded, units_with
from toolkit.memory.weights.storage import storage_of
from toolkit.memory.weights.sums import Trained
from toolkit.spec.settings.setting import Setting

BY_ACCELERATE = ("transformers", "trl")
"""Trainers that leave FSDP to accelerate."""

ASKS_FROM = Version("0.25")
"""Since then accelerate's launcher asks for use_orig_params where nobody says otherwise (commands/launch.py).

So does a Trainer that is told fsdp itself (transformers training_args.py).
"""


def sees_tensors(setting: Setting) -> bool | None:
    """Whether the optimizer has the tensors of a model or flat parameters; None: neither is said, nor known."""
    said = setting.parallel.use_orig_params
    if said is not None:
        return said
    asks = setting.stack.trainer in BY_ACCELERATE and not older(setting, "accelerate", ASKS_FROM)
    return True if asks else None


def seen_of(architecture: Architecture, setting: Setting, computing: Setting, units: Units) -> tuple[Trained, ...]:
    """What the optimizer has of a GPU's parts of all units, which are gathered in the dtypes of `computing`."""
    if sees_tensors(setting):
        return tuple(first_slices(architecture, computing, units))
    return tuple(Trained((part,), count) for part, count in units.parts.items())


def first_slices(architecture: Architecture, setting: Setting, units: Units) -> Iterator[Trained]:
    """Of each form of tensor what lies in the first GPU's part, in the order of the model; nothing of what does not.

    `setting` is that in whose dtypes they are gathered. A tensor that ends where the part does is cut; where layers
    differ, one form has slices of several sizes.
    """
    shared = [one for one in storage_of(architecture, setting) if one not in units.ignored and is_sharded(one)]
    flat: Counter[Key] = Counter()
    for tensor in shared:
        for key in units_with(tensor, setting):
            flat[key] += aligned(tensor, units.item)
    left = {key: -(-elements // units.gpus) for key, elements in flat.items()}
    for tensor in shared:
        found: Counter[int] = Counter()
        for key in units_with(tensor, setting):
            found[min(tensor.part.elements, left[key])] += 1
            left[key] = max(0, left[key] - aligned(tensor, units.item))
        kind = tensor.module.kind
        for elements, count in found.items():
            if elements:
                embeds, is_head = kind is ModuleKind.EMBEDDING, kind is ModuleKind.HEAD
                yield Trained((elements,), count, embedding=embeds, head=is_head)
