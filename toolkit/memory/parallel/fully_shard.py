"""fully_shard (FSDP2): every tensor is cut along its rows, and a layer's are gathered and reduced together.

Sources: torch/distributed/fsdp/_fully_shard/_fsdp_param.py (padding of rows), _fsdp_param_group.py (unshard,
wait_for_unshard, post_backward) and _fsdp_collectives.py of torch 2.13; accelerate utils/fsdp_utils.py,
fsdp2_prepare_model, for what is a unit of its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from packaging.version import Version

from toolkit.frozen import frozen
from toolkit.memory.architecture import Architecture, ModuleKind
from toolkit.memory.libraries.versions import older
from toolkit.memory.parallel.shard_moments import Shards
from toolkit.memory.parallel.units import rounding
from toolkit.memory.size import BYTES
from toolkit.memory.weights.numerics import LOOPS_IN_TORCH, TORCHTITAN, TORCHTUNE
from toolkit.memory.weights.storage import StoredTensor, storage_of
from toolkit.memory.weights.sums import Sums
from toolkit.spec.settings.setting import Setting

ENDS_APART = Version("1.14")
"""accelerate pull request 4015: embedding and end of the model are units, which the root held before."""

TITAN_ENDS_APART = Version("0.2")
"""torchtitan/models/llama3/infra/parallelize.py, apply_fsdp: so are they since, and the end is not freed in between."""

EMBEDDING, END, LAYERS = "embedding", "end", "layers"


@frozen
class Rows:
    """Elements that are gathered of each unit: the layers in order, the embedding, the end; and parts of tensors.

    `beside` are those of embeddings of anything but tokens, `last` those of the end's last tensor.
    """

    layers: tuple[int, ...]
    embedding: int
    end: int
    parts: tuple[tuple[int, int], ...]
    beside: int = 0
    last: int = 0


def rows_of(architecture: Architecture, setting: Setting) -> Rows:
    """The units of a model whose tensors are cut into rows for so many GPUs; the first GPU's parts are the largest."""
    gpus = setting.parallel.gpus
    units: Counter[tuple[str, int]] = Counter()
    parts: list[tuple[int, int]] = []
    largest = last = 0
    for tensor in storage_of(architecture, setting):
        part = part_of(tensor.tensor.shape, gpus)
        parts.append((part, tensor.module.count))
        for unit in _units(tensor):
            units[unit] += part * gpus
            largest = max(largest, part * gpus) if unit[0] == EMBEDDING else largest
            last = part * gpus if unit[0] == END else last
    layers = tuple(size for (kind, _), size in sorted(units.items()) if kind == LAYERS)
    embedding, end = units[EMBEDDING, 0], units[END, 0]
    return Rows(layers, embedding, end, tuple(parts), embedding - largest, last)


def part_of(shape: tuple[int, ...], gpus: int) -> int:
    """Elements of the largest part of a tensor that is cut along its rows."""
    rows, *rest = shape
    product = -(-rows // gpus)
    for side in rest:
        product *= side
    return product


def _units(tensor: StoredTensor) -> list[tuple[str, int]]:
    if "{}" in tensor.module.path:
        return [(LAYERS, int(name.partition(".")[0])) for name in tensor.module.layers]
    return [(EMBEDDING if tensor.module.kind is ModuleKind.EMBEDDING else END, 0)]


def shard_parts(rows: Rows, whole: Sums, setting: Setting) -> Sums:
    """The sums of one GPU's parts; with offloading they are in main memory, where the optimizer runs."""
    if setting.parallel.offload:
        return replace(whole, trained=(), elements=0, largest=0, adapters=0, copies=0, weights=0, unsplit=0, rounding=0)
    item, gpus = BYTES[setting.weights], setting.parallel.gpus
    trained = tuple(replace(one, shape=(part_of(one.shape, gpus),)) for one in whole.trained)
    elements = sum(one.elements * one.count for one in trained)
    return replace(
        whole,
        trained=trained,
        elements=elements,
        largest=max((one.elements for one in trained), default=0),
        adapters=0 if setting.method == "full" else elements,
        copies=0,
        weights=item * sum(part * count for part, count in rows.parts),
        rounding=sum(rounding(part * item) * count for part, count in rows.parts),
        unsplit=0,
        upcast=0,
    )


def shard_sharing(
    architecture: Architecture, rows: Rows, whole: Sums, mine: Sums, setting: Setting, computing: Setting
) -> Shards:
    """What a step gathers and reduces, in the dtypes in which a GPU computes."""
    gpus, item = setting.parallel.gpus, BYTES[computing.weights]
    reduced = _reduced_item(setting, item)
    kept = 0 if setting.parallel.offload else BYTES[setting.gradients]
    full = setting.method == "full"
    apart = _ends_apart(setting) and not architecture.tied
    layer = max(rows.layers, default=0)
    adapters = -(-whole.elements // max(1, len(rows.layers))) * BYTES[setting.gradients]
    accumulates = setting.gradient_accumulation > 1
    last = rows.embedding + (0 if apart else rows.end)  # what is reduced after all else
    return Shards(
        root=0 if apart else (rows.embedding + rows.end) * item,
        embedding=rows.embedding * item if apart else 0,
        end=rows.end * item if apart else 0,
        layer=layer * item,
        layers=len(rows.layers),
        reshards=setting.parallel.reshard_after_forward,
        reduced=layer * reduced if full else adapters,
        part=(layer // gpus if full else -(-whole.elements // (gpus * max(1, len(rows.layers))))) * kept,
        apart=_ends_apart(setting),
        end_part=rows.end // gpus * kept if full and apart else 0,
        end_sum=rows.end // gpus * reduced if full and apart and kept != reduced else 0,
        last_part=last // gpus * kept,
        last_sum=last // gpus * reduced if kept != reduced else 0,
        beside=rows.beside * item if full else 0,
        end_last=rows.last * item if full else 0,
        trains=full,
        whole=whole.elements * BYTES[computing.gradients] if accumulates and _syncs_last(setting) else 0,
        earlier=sum(one.elements * one.count for one in mine.trained) * kept
        if accumulates and not _syncs_last(setting)
        else 0,
        widens=reduced // item,
        loss_outside=setting.stack.trainer in (TORCHTITAN, TORCHTUNE),
        stays=layer * item if setting.parallel.reshard_after_forward and _keeps_last(setting) else 0,
    )


def _syncs_last(setting: Setting) -> bool:
    """Whether gradients are reduced after the last micro-batch alone: accelerate's no_sync; a plain loop has none."""
    return setting.stack.trainer not in LOOPS_IN_TORCH


def _ends_apart(setting: Setting) -> bool:
    if setting.stack.trainer == TORCHTITAN:
        return not older(setting, TORCHTITAN, TITAN_ENDS_APART)
    return setting.stack.trainer not in LOOPS_IN_TORCH and not older(setting, "accelerate", ENDS_APART)


def _reduced_item(setting: Setting, item: int) -> int:
    """Bytes of an element as gradients are reduced: torchtitan's policy has float32 (job_config.py)."""
    return BYTES["fp32"] if setting.stack.trainer == TORCHTITAN else item


def _keeps_last(setting: Setting) -> bool:
    """Whether the last layer is not freed after its forward, as backward begins with it (parallelize_llama.py)."""
    return setting.stack.trainer == TORCHTITAN and older(setting, TORCHTITAN, TITAN_ENDS_APART)
