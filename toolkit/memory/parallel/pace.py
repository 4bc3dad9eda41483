"""Whether the GPU surely comes later to the work of a layer than the code that drives it."""

from __future__ import annotations

from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.memory.context import Context
from toolkit.memory.parallel.plan import gathered_setting
from toolkit.memory.parallel.units import units_of
from toolkit.memory.size import BYTES

HOST_SECONDS = 0.02
"""More than the code takes to hand a layer's backward pass to the GPU.

Those are some two hundred calls of ten microseconds each. A layer of Llama with a checkpoint, two numbers wide so that
nothing but the calls takes time, needs 2.5 ms on a slow core of 2.5 GHz.
"""

BACKWARD = 4
"""Operations for each weight and token: a product and a sum for its gradient, and for that of its input."""

SIXTEEN_BITS = 2


def host_is_ahead(context: Context) -> bool:
    """Whether the backward pass of every layer takes the GPU longer than the code that asks for it.

    A product of a weight and a token takes what the fastest card of its architecture needs at its peak, and nothing
    else takes time: no GPU is as fast. False where that does not say it; so where the card is not known.
    """
    setting, architecture = context.setting, context.architecture
    found = find_gpu(setting.gpu) if setting.gpu is not None else None
    if found is None or isinstance(found, UnknownName) or found.peak_flops is None:
        return False
    if BYTES[setting.compute] < SIXTEEN_BITS or any(kind.feed_forward.experts for kind in architecture.layers):
        return False  # a token meets some of the experts alone
    units = units_of(architecture, gathered_setting(setting), setting.parallel.gpus)
    weights = min(units.layers, default=0) * units.gpus
    return BACKWARD * weights * setting.batch_size * setting.sequence_length >= HOST_SECONDS * found.peak_flops
