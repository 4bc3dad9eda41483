"""What a GPU holds beside its own part of the weights while they are shared out, where it has all of them before."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit.memory.context import Context
from toolkit.memory.ledger import PhaseName
from toolkit.memory.libraries.trainers import LOOPS_IN_TORCH
from toolkit.memory.parallel.shard_rows import rows_of
from toolkit.memory.parallel.units import units_of
from toolkit.memory.weights.storage import StoredTensor, storage_of


def unshared_weights(context: Context, _: PhaseName) -> int:
    """Bytes at the fullest moment: what is not shared out yet, and what the next part is cut from.

    FSDP joins a unit's tensors in one beside them, copies its part of that, and lets go of both: of the tensors last,
    which its caller has in a list until then (_flat_param.py, shard; _init_utils.py, _init_param_handle_from_module).
    DeepSpeed makes the part of one tensor after the other beside it (partition_parameters.py,
    _convert_to_zero_parameters).
    """
    setting = context.setting
    if not setting.parallel.loads_whole:
        return 0
    if setting.parallel.strategy == "fsdp2":
        return _beside_parts(context)
    stored = storage_of(context.architecture, setting)
    beside = _first_part(context, stored) if setting.parallel.strategy == "zero3" else _joined(context)
    whole = sum(one.allocated for one in stored)
    return max(0, whole + beside - context.sums.weights - context.sums.rounding)


def parts_beside_whole(context: Context) -> int:
    """The bytes of a GPU's parts where they came beside the whole, else 0.

    The whole is given back to the allocator tensor by tensor, in blocks that may be too small for all that follows.
    """
    return context.sums.weights if context.setting.parallel.loads_whole else 0


def beside_whole(parts: Iterable[int], gpus: int, *, keeps: bool = True) -> int:
    """The most bytes that FSDP has beside all weights: a unit joined in one and its part, less what went before.

    `parts` are the bytes of a GPU's part of each unit, in the order in which they are cut; unless it `keeps` them they
    go to main memory.
    """
    most = gone = 0
    for part in parts:
        most = max(most, part * gpus + part - gone)
        gone += part * gpus - (part if keeps else 0)
    return most


def _beside_parts(context: Context) -> int:
    """fully_shard: all that is shared out, adapters too, beside a GPU's parts of it.

    accelerate has all of it in a state of the model until every unit is cut (utils/fsdp_utils.py, fsdp2_prepare_model,
    original_sd); in a loop of torch a unit's tensors go when it is cut, so that the first unit's parts are all.
    """
    setting = context.setting
    rows = rows_of(context.architecture, setting)
    if setting.stack.trainer in LOOPS_IN_TORCH:
        return max(0, rows.shared + rows.layer.part - rows.parts)
    adapters = rows.parts - (rows.held - rows.whole)  # which the ledger has once training begins
    return rows.shared + (0 if setting.parallel.offload else adapters)


def _joined(context: Context) -> int:
    parallel = context.setting.parallel
    units = units_of(context.architecture, context.setting, parallel.gpus)
    parts = (part * units.item for part in units.in_order)
    return beside_whole(parts, parallel.gpus, keeps=parallel.offload is not True)


def _first_part(context: Context, stored: tuple[StoredTensor, ...]) -> int:
    """The part of the first tensor: each one's whole is let go of once its part is there."""
    parallel, first = context.setting.parallel, stored[0]
    return 0 if parallel.offload is True else -(-first.bytes // first.module.count // parallel.gpus)
