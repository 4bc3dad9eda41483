"""ZeRO as DeepSpeed does it: the dtypes and the parts of one GPU, and what a step needs beside them.

Rajbhandari et al., ZeRO (arXiv 1910.02054), section 5: N GPUs share the states (1), also the gradients (2), also the
weights (3). Source of all else: deepspeed runtime/zero/stage_1_and_2.py and stage3.py (0.19).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, replace
from itertools import islice

from packaging.version import Version

from toolkit.memory.architecture import Architecture, ModuleKind
from toolkit.memory.formula.optimizers.on_parts import bytes_beside
from toolkit.memory.libraries.losses import ADDS_IN_PLACE, loss_of
from toolkit.memory.libraries.versions import older
from toolkit.memory.packing import BY_LENGTHS
from toolkit.memory.parallel import zero_visits as places
from toolkit.memory.parallel.two_stacks import encoder_layers, has_two
from toolkit.memory.parallel.units import rounding
from toolkit.memory.parallel.zero_gather import Gathering, gathered
from toolkit.memory.parallel.zero_moments import Zero, Zero3
from toolkit.memory.parallel.zero_order import step_visits
from toolkit.memory.parallel.zero_partition import as_cut, each_of, kept_whole
from toolkit.memory.parallel.zero_settings import (
    Sizes,
    joined,
    keeps_skipped,
    makes_buffers_early,
    overlaps,
    sizes_of,
    stage_of,
)
from toolkit.memory.parallel.zero_visits import Visit
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES
from toolkit.memory.weights.linear_storage import FOUR_BIT
from toolkit.memory.weights.storage import FLOATS, storage_of
from toolkit.memory.weights.sums import Sums, Trained
from toolkit.spec.settings.setting import Setting

LOOKS_AT_POSITIONS = Version("4.44")
"""Since then FlashAttention's code in transformers tells packed rows by their positions."""

READS_OUTPUT_WEIGHT = ("fused", "fused wide", ADDS_IN_PLACE, "cut")
"""Losses that multiply by the output weight themselves: Liger's, and cut cross-entropy."""

SIXTEEN_BIT = ("bf16", "fp16")
ALIGNMENT = 2
"""Elements to which each GPU's part of the flat weights is aligned (nccl_start_alignment_factor)."""


def zero_held(setting: Setting) -> Setting:
    """The setting in whose dtypes DeepSpeed holds a model.

    With bf16 or fp16 it casts the whole module, without autocast (engine.py, _configure_distributed_model), which a
    loop may have around its passes nonetheless; the optimizer updates a float32 copy of its part, with float32 states,
    even of float32 weights. With bf16_master_weights_and_grads the copy is in bfloat16, and the states are as it is
    (base_optimizer.py, _configure_master_weights).
    """
    half = setting.weights if setting.weights in SIXTEEN_BIT else setting.compute
    mixes = setting.amp or setting.weights != "fp32"
    dtype = half if mixes and half in SIXTEEN_BIT else "fp32"
    master = setting.master_weights or "fp32"
    return replace(
        setting,
        weights=dtype if setting.weights in FLOATS else setting.weights,
        compute=dtype,
        amp=setting.amp and setting.weights == dtype and setting.stack.trainer == "plain",
        gradients=dtype,
        master_weights=master,
        optimizer_states="none" if setting.optimizer == "none" else master,
        lora=setting.lora and replace(setting.lora, dtype=dtype),
    )


def zero_computing(setting: Setting) -> Setting:
    """The setting of a pass: from ZeRO 2 on gradients leave a weight at once, so none is added to an earlier one."""
    held = zero_held(setting)
    return held if stage_of(setting) == 1 else replace(held, gradient_accumulation=1)


def zero_parts(architecture: Architecture, whole: Sums, setting: Setting) -> Sums:
    """The sums of one GPU's part."""
    gpus = setting.parallel.gpus
    if stage_of(setting) == 3:
        return _parts_of_each(architecture, whole, setting)
    part = -(-whole.elements // (ALIGNMENT * gpus)) * ALIGNMENT
    kept = replace(whole, unsplit=0, upcast=0)
    if setting.method == "full":  # one flat buffer
        kept = replace(kept, rounding=rounding(whole.weights))
    return _updated(kept, 0 if setting.parallel.offload else part)


def _updated(sums: Sums, part: int) -> Sums:
    """The sums of a GPU that updates a part of the trained elements, all in one tensor."""
    trained = (Trained((part,), 1),) if part else ()
    return replace(sums, trained=trained, elements=part, largest=part, copies=min(sums.copies, part))


def _parts_of_each(architecture: Architecture, whole: Sums, setting: Setting) -> Sums:
    """ZeRO 3: a part of every tensor, and all of those that are small enough to stay gathered."""
    gpus, sizes = setting.parallel.gpus, sizes_of(setting, architecture.hidden)
    in_memory = setting.parallel.offload is True
    weights = kept = ends = 0
    for tensor in storage_of(architecture, setting):
        (each, item), count = as_cut(tensor, setting), tensor.module.count
        if not tensor.part.parameter:  # scales of packed weights, of which DeepSpeed does not know
            kept += count * each * item
            ends += count * rounding(each * item)
            continue
        weights += 0 if in_memory else count * -(-each // gpus) * item
        if each <= sizes.param_persistence_threshold and (gpus > 1 or in_memory):  # else its part is all of it
            kept += count * each * item
            ends += count * rounding(each * item)
    trained = sum(one.count * -(-one.elements // gpus) for one in whole.trained)
    small = sum(one.count * one.elements for one in whole.trained if _stays(one, sizes) and (gpus > 1 or in_memory))
    sums = replace(whole, weights=weights + kept, rounding=ends, unsplit=0, upcast=0)
    if setting.method != "full":
        sums = replace(sums, adapters=(0 if in_memory else trained) + small, copies=0)
    return _updated(sums, 0 if setting.parallel.offload else trained)


def _stays(tensor: Trained, sizes: Sizes) -> bool:
    return tensor.elements <= sizes.param_persistence_threshold


def zero_sharing(architecture: Architecture, whole: Sums, mine: Sums, setting: Setting) -> Zero:
    """What a step needs beside the parts."""
    sizes, item = sizes_of(setting, architecture.hidden), BYTES[setting.gradients]
    master = setting.master_weights or "fp32"
    stage, offloads = stage_of(setting), bool(setting.parallel.offload)
    inside = [t.elements for t in whole.trained if t.count > 1] or [whole.largest]
    layers = max((one.count for one in whole.trained), default=1)
    kept = (mine.elements if stage == 3 else kept_whole(architecture, setting, mine.elements)) * item
    shared = Zero(
        stage=stage,
        bucket=sizes.buffers * sizes.reduce_bucket_size * item,
        limit=sizes.reduce_bucket_size * item,
        part=mine.elements * item,
        kept=kept,
        skipped=kept if keeps_skipped(setting) else 0,
        whole=whole.elements * item,
        largest=max(inside) * item,
        widest=whole.largest * item,
        updated=mine.elements,
        item=item,
        cast=BYTES[master] if master != setting.gradients else 0,
        accumulates=setting.gradient_accumulation > 1,
        staged=whole.largest * item if offloads and stage < 3 else 0,
        updates=bytes_beside(setting) * BYTES[master] // BYTES["fp32"],
        early=makes_buffers_early(setting),
        copied=joined(whole, sizes, setting) * item,
        layer=sum(one.elements * one.count for one in whole.trained if one.count > 1) // layers * item,
        layers=layers,
        buffers=sizes.buffers,
        overlaps=overlaps(setting),
        encoder=encoder_layers(architecture),
    )
    if stage < 3:
        return shared
    at_once = min(mine.elements, sizes.sub_group_size + -(-whole.largest // setting.parallel.gpus))
    of = gathering(architecture, setting)
    found = gathered(of.order, sizes, of.held)
    packed = setting.weights in FOUR_BIT  # whose sizes are bytes, as elements are of several dtypes
    if packed and has_two(architecture):
        raise UnsupportedRow("parallel", f"no formula for {setting.weights} weights of two stacks with zero3 yet")
    weight = 1 if packed else BYTES[setting.weights]
    adapter = 0 if setting.method == "full" else max((t.elements for t in whole.trained), default=0)
    pair = 2 * adapter if adapter > sizes.param_persistence_threshold else 0  # an adapter's, which come in turn
    there = tuple((place, size * weight + pair * item) for place, size in found.items())
    each = {one.name: one.size for visit in of.order for one in visit.weights if one.name not in of.held}
    waits = _waits(setting)
    waiting = _of_one_layer(each) if waits else sum(each.values())
    same = {one.name: getattr(shared, one.name) for one in fields(Zero)}
    return Zero3(
        **same,
        places=there,
        at_once=at_once,
        waiting=waiting * weight,
        waits=waits,
    )


def gathering(architecture: Architecture, setting: Setting) -> Gathering:
    """What a setting's model gathers in a step: nothing on one GPU that has all weights (NoGatherHandle, `.to`)."""
    if setting.parallel.gpus == 1 and setting.parallel.offload is not True:
        return Gathering((), sizes_of(setting, architecture.hidden), {})
    held = _held(architecture, setting)
    order = tuple(_without(held, one) for one in step_visits(architecture, setting))
    return Gathering(order, sizes_of(setting, architecture.hidden), held)


def _without(held: Mapping[str, int], visit: Visit) -> Visit:
    """The output's module is not run for its weight where that is there anyway."""
    if visit.place != places.LOGITS or not any(weight.name in held for weight in visit.weights):
        return visit
    return replace(visit, weights=tuple(weight for weight in visit.weights if weight.name not in held))


def _waits(setting: Setting) -> bool:
    """Whether every layer's attention waits for the GPU: to see whether one row of positions is several sequences.

    Source: transformers modeling_flash_attention_utils.py, _is_packed_sequence.
    """
    looks = setting.packing != BY_LENGTHS and not older(setting, "transformers", LOOKS_AT_POSITIONS)
    return setting.attention == "flash" and setting.batch_size == 1 and looks


def _of_one_layer(elements: Mapping[str, int]) -> int:
    layers: Counter[str] = Counter()
    for weight, size in elements.items():
        layers[next((part for part in weight.split(".") if part.isdecimal()), "")] += size
    return max((size for layer, size in layers.items() if layer), default=0)


def _held(architecture: Architecture, setting: Setting) -> Mapping[str, int]:
    """The output weight, where a fused loss reads it outside its module; none that stays gathered anyway.

    DeepSpeed then registers it as external to the whole model, which needs it from the start of forward on and, as no
    input of the model has a gradient, lets it go after backward (parameter_offload.py, ZeROOrderedDict,
    _alternate_post_backward_module_hook; liger_kernel transformers/model/llama.py, _liger_for_causal_lm_loss).
    """
    if loss_of(setting) not in READS_OUTPUT_WEIGHT or architecture.head != "causal-lm":
        return {}
    threshold = sizes_of(setting, architecture.hidden).param_persistence_threshold
    kind = ModuleKind.EMBEDDING if architecture.tied else ModuleKind.HEAD
    found = (one for one in storage_of(architecture, setting) if one.module.kind is kind and "{}" not in one.name)
    return {one.name: each_of(one) for one in islice(found, 1) if each_of(one) > threshold}
