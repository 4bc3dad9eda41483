"""What streams beside the one that computes have reserved under FSDP: gathered units, and parts of gradients.

Sources: torch/distributed/fsdp/_runtime_utils.py, _limiter_utils.py, _flat_param.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from packaging.version import Version

from toolkit.memory.allocator.caching import MIN_BLOCK, SMALL_REQUEST, segment_size
from toolkit.memory.context import Context
from toolkit.memory.device import Interval
from toolkit.memory.libraries.versions import older
from toolkit.memory.parallel.flat_parts import whole_adapters
from toolkit.memory.parallel.pace import host_is_ahead
from toolkit.memory.parallel.plan import gathered_setting
from toolkit.memory.parallel.spread import MAX_IN_FLIGHT, Spread
from toolkit.memory.parallel.units import units_of
from toolkit.memory.replay.pool import in_blocks, pool_reserved
from toolkit.memory.size import BYTES
from toolkit.memory.weights.backward import flattens_frozen
from toolkit.memory.weights.storage import FLOATS
from toolkit.memory.weights.sums import sums
from toolkit.spec.settings.setting import Setting

LIMITS_FROM = Version("2.1")
"""torch pull request 104900: limit_all_gathers is on by default; before, units were gathered as fast as they were asked
for."""


def other_streams(context: Context, spread: Spread) -> Interval:
    """What is reserved for gathered units and for the parts of gradients, at least and at most, in bytes.

    A unit waits until the second one before it is free (_limiter_utils.py), and not for the first where the GPU is as
    fast as the code that drives it, which it surely is not where that is `ahead_of_gpu`; in backward the next may be
    gathered ahead, by FSDP's backward_prefetch. What it is gathered from is cast or copied before it waits. Adapters
    are units, too, one after the other. What is shared out stays to the end of the step, unless it goes to the CPU.
    """
    ahead = int(spread.prefetches)
    offload, gpus = context.setting.parallel.offload, context.setting.parallel.gpus
    root, layer = segment_size(spread.root), segment_size(spread.layer)
    own = segment_size(spread.root // gpus), segment_size(spread.layer // gpus)
    before = own if offload or _is_cast(context.setting) else (0, 0)
    parts = 0
    if spread.trains and not offload:
        size = BYTES[context.setting.gradients]
        parts = sum(segment_size(elements * size) * count for elements, count in _shared_out(context))
        if gathered_setting(context.setting).gradients != context.setting.gradients:
            parts += max(own)  # as it is shared out, before it is cast (_cast_grad_to_param_dtype)
    adapters = _adapters(context)
    shared = [(-(-size // gpus), count) for size, count in adapters]
    parts += opened(size for size, count in shared for _ in range(1 if offload else count))
    gathered = opened(size for size, _ in adapters) + (opened(size for size, _ in shared) if offload else 0)
    layers = 1 + (ahead if spread.trains else 0) + int(ahead_of_gpu(context))  # adapters are units between layers'
    least = root + layers * layer + max(before)  # a layer's part may take the root's block
    layers = 1 + ahead + units_in_flight(context)
    if spread.stays:  # each in a block of its own
        units = len(units_of(context.architecture, gathered_setting(context.setting), gpus).layers)
        least, layers = root + units * layer + max(before), units + MAX_IN_FLIGHT
    fewest, embedding = _embedding(spread, layer)
    least += fewest
    return least + parts, root + embedding + before[0] + layers * layer + (layers + 1) * before[1] + parts + gathered


def _embedding(spread: Spread, layer: int) -> Interval:
    """What is reserved for an embedding of its own beside a segment for each layer that is gathered at a time.

    It comes first. A layer that has room in its segment may be there when it is gathered again, in one of its own.
    """
    if not spread.embedding:
        return 0, 0
    own = segment_size(spread.embedding)
    if spread.stays or own < layer:
        return own, own
    return own - layer, 2 * own


def units_in_flight(context: Context) -> int:
    """Units that were let go of and whose blocks may not be free yet: all of both passes where nothing limits them.

    What limits them is that they are gathered: in a backward pass that gathers none the code may run ahead of the GPU.
    """
    setting = context.setting
    if not gathers_unlimited(setting) and setting.parallel.reshard_after_forward:
        return MAX_IN_FLIGHT
    return 2 * len(units_of(context.architecture, gathered_setting(setting), setting.parallel.gpus).layers)


def ahead_of_gpu(context: Context) -> bool:
    """Whether, as a layer's backward pass is asked for, the GPU surely is in that of the layer before it or earlier.

    The code waits for the second one before it, which takes the GPU longer than to ask for the one in between. So that
    has its unit still, and its joined gradient. Of weights that are trained, for all units are layers then.
    """
    return context.setting.method == "full" and host_is_ahead(context)


def gathers_unlimited(setting: Setting) -> bool:
    """Whether FSDP gathers units as fast as they are asked for: how many are there at once goes by the GPU's speed."""
    if setting.parallel.strategy != "fsdp":
        return False
    limited = setting.parallel.limit_all_gathers
    if limited is None:
        limited = setting.stack.trainer != "plain" or not older(setting, "torch", LIMITS_FROM)
    return not limited


def _shared_out(context: Context) -> Iterator[tuple[int, int]]:
    """The elements of each part of gradients, and how many there are of it: frozen ones have some where they must."""
    setting = context.setting
    if setting.method != "full" and not flattens_frozen(setting):
        yield from ((one.elements, one.count) for one in context.sums.trained)
        return
    units = units_of(context.architecture, gathered_setting(setting), setting.parallel.gpus)
    for part in units.layers:
        yield part, 1
    if setting.method == "full":
        yield units.root, 1
        yield from ((units.embedding, 1),) if units.embedding else ()
        yield from ((one.tensor.elements, one.module.count) for one in units.ignored)


def _is_cast(setting: Setting) -> bool:
    """Whether a GPU's part of a unit is cast before it is gathered: under mixed precision.

    That, or its copy from main memory, is on a stream of its own (_init_streams, _use_low_precision_shard).
    """
    return setting.weights in FLOATS and gathered_setting(setting).weights != setting.weights


def _adapters(context: Context) -> list[tuple[int, int]]:
    """Bytes of each whole adapter, and how many there are of it; none where no adapter is a unit."""
    inside = whole_adapters(context.setting) or flattens_frozen(context.setting)
    if context.numerics.adapter is None or inside:
        return []
    item = BYTES[context.numerics.adapter]
    return [(one.elements * item, one.count) for one in sums(context.architecture, context.setting).trained]


def opened(sizes: Iterable[int]) -> int:
    """What is reserved for tensors that are there together, on a stream of their own."""
    wanted = in_blocks((0, *sizes))
    is_small = [size * MIN_BLOCK <= SMALL_REQUEST for size in wanted]
    order = range(1, len(wanted))
    small = pool_reserved(wanted, [block for block in order if is_small[block]], small=True)
    return small + pool_reserved(wanted, [block for block in order if not is_small[block]])
