"""The sums of the parts that FSDP gives a GPU: of flat parameters, or of adapters that are units themselves."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import Architecture
from toolkit.memory.parallel.ignored import trained_whole
from toolkit.memory.parallel.slices import seen_of
from toolkit.memory.parallel.units import Units, rounding
from toolkit.memory.size import BYTES
from toolkit.memory.weights.sums import Sums
from toolkit.spec.fields.kernel_names import FSDP_IGNORES
from toolkit.spec.fields.names import FLOAT_ELEMENTS
from toolkit.spec.settings.setting import Setting


def flat_parts(architecture: Architecture, whole: Sums, units: Units, setting: Setting, computing: Setting) -> Sums:
    """The sums of one GPU's parts: of units, or of adapters, each matrix of which is a unit (peft utils/other.py)."""
    if setting.parallel.offload:
        return _offloaded(whole, units)
    item = units.item if setting.weights in FLOAT_ELEMENTS else BYTES[setting.weights]
    if setting.method == "full":
        trained = seen_of(architecture, setting, computing, units) + trained_whole(units.ignored)
    elif whole_adapters(setting):
        trained = whole.trained
    else:
        trained = tuple(replace(one, shape=(-(-one.elements // units.gpus),)) for one in whole.trained)
    seen = sum(one.elements * one.count for one in trained)
    elements = units.elements if setting.method == "full" else seen  # gradients lie as the parts do
    copies = sum(one.elements * one.count for one in trained if one.copied)
    idle = whole.adapters - (whole.elements - whole.copies)  # adapters that no gradient reaches
    return replace(
        whole,
        trained=trained,
        elements=elements,
        largest=max((one.elements for one in trained), default=0),
        adapters=whole.adapters if whole_adapters(setting) else _part_of_adapters(setting, elements - copies, idle),
        copies=copies,
        weights=units.whole + item * sum(part * count for part, count in units.parts.items()),
        unsplit=0,  # what FSDP holds was loaded elsewhere
        upcast=0,
        rounding=units.rounding + sum(rounding(part * item) * count for part, count in units.parts.items()),
    )


def _part_of_adapters(setting: Setting, elements: int, idle: int) -> int:
    return 0 if setting.method == "full" else elements - (-idle // setting.parallel.gpus)


def whole_adapters(setting: Setting) -> bool:
    """Whether every GPU has all adapters, which FSDP ignores: an operation that uses them calls none of their modules.

    Source: fms_acceleration_foak utils.py, lora_adapters_switch_ddp_from_fsdp.
    """
    return setting.kernels.adapters in FSDP_IGNORES and setting.lora is not None


def _offloaded(whole: Sums, units: Units) -> Sums:
    """What stays on a GPU whose parts are in main memory, where the optimizer runs: what is sharded nowhere.

    A part is copied to the GPU to be gathered, and a gradient's part goes back at once (_flat_param.py, pre_unshard;
    _runtime_utils.py, _offload_grad).
    """
    return replace(
        whole,
        trained=(),
        elements=0,
        largest=0,
        adapters=0,
        copies=0,
        weights=units.whole,
        unsplit=0,
        upcast=0,
        rounding=units.rounding,
    )
