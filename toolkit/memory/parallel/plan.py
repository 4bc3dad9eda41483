"""How a setting is shared among GPUs: the sums that one GPU has of a model, and what its passes need beside them."""

from __future__ import annotations

from dataclasses import replace

from packaging.version import Version

from toolkit.frozen import frozen
from toolkit.memory.architecture import Architecture, ModuleKind
from toolkit.memory.libraries.trainers import LOOPS_IN_TORCH, TRL
from toolkit.memory.libraries.versions import older
from toolkit.memory.parallel.embedding_units import refuse_apart
from toolkit.memory.parallel.flat_parts import flat_parts
from toolkit.memory.parallel.fully_shard import shard_parts, shard_sharing
from toolkit.memory.parallel.ignored import elements_of_a_layer
from toolkit.memory.parallel.no_units import refuse_units
from toolkit.memory.parallel.shard_rows import rows_of
from toolkit.memory.parallel.sharing import Sharing
from toolkit.memory.parallel.split import split_sharing
from toolkit.memory.parallel.spread import Spread
from toolkit.memory.parallel.stack_shards import stack_shards
from toolkit.memory.parallel.stack_spread import StackSpread
from toolkit.memory.parallel.two_stacks import has_two, of_units, refuse_stacks
from toolkit.memory.parallel.units import Units, units_of
from toolkit.memory.parallel.zero import zero_computing, zero_held, zero_parts, zero_sharing
from toolkit.memory.size import BYTES
from toolkit.memory.weights.backward import flattens_frozen
from toolkit.memory.weights.sums import Sums, reads_text, sums
from toolkit.spec.fields.names import DEEPSPEED, FLOAT_ELEMENTS
from toolkit.spec.fields.result import OWN_LOOP
from toolkit.spec.settings.setting import Setting
from toolkit.spec.settings.stack_rules import ACCELERATE_UPCASTS

CHECKPOINTS_INSIDE = Version("4.53")
"""Layers of transformers checkpoint themselves, within their units (modeling_layers.py, GradientCheckpointingLayer).

Before, the model checkpointed the unit: a reentrant checkpoint then ran it without a graph, so that no hook of FSDP
knew that its backward was to come.
"""

OUTPUTS = (ModuleKind.HEAD, ModuleKind.LINEAR)

TRAINERS = ("transformers", *TRL)
"""Trainers under which accelerate wraps the model."""


@frozen
class Plan:
    """The sums of what one GPU holds of a model, and what its passes need beside; None: no more than on one GPU."""

    sums: Sums
    sharing: Sharing | None = None


def held_setting(setting: Setting) -> Setting:
    """The setting in whose dtypes a GPU holds its part.

    Under mixed precision accelerate makes trained parameters float32, and with them their gradients and states
    (accelerator.py, prepare_model, since 0.30): a master copy that needs no other.
    """
    if setting.parallel.strategy in DEEPSPEED:
        return zero_held(setting)
    kept = setting.method != "full" or older(setting, "accelerate", ACCELERATE_UPCASTS)
    if kept or not _mixes(setting) or setting.stack.trainer not in TRAINERS:
        return setting
    return replace(setting, weights="fp32", gradients="fp32", optimizer_states="fp32", master_weights=None)


def gathered_setting(setting: Setting) -> Setting:
    """The setting in whose dtypes a GPU computes: under mixed precision units are gathered in the compute dtype."""
    if setting.parallel.strategy in DEEPSPEED:
        return zero_computing(setting)
    if reduces_each(setting):  # each backward makes gradients of its own
        setting = replace(setting, gradient_accumulation=1)
    if not _mixes(setting):
        return setting
    with_layers = setting.parallel.strategy == "fsdp2"  # adapters are in their layers' units
    gradients = setting.compute if setting.method == "full" or with_layers else setting.gradients
    if setting.weights in FLOAT_ELEMENTS:
        return replace(setting, gradients=gradients, upcast=False if with_layers else setting.upcast)
    autocast = setting.stack.trainer in TRAINERS  # accelerate's, beside what units are gathered in
    return replace(setting, weights=setting.compute, gradients=gradients, amp=autocast)


def reduces_each(setting: Setting) -> bool:
    """Whether each backward makes gradients that are added to none: FSDP shares out those of every micro-batch.

    A loop in torch has no no_sync, accelerate has.
    """
    return setting.parallel.strategy in ("fsdp", "fsdp2") and setting.stack.trainer in LOOPS_IN_TORCH


def _mixes(setting: Setting) -> bool:
    if setting.parallel.strategy == "fsdp2":  # a mixed precision policy, with any trainer
        return setting.amp
    return setting.parallel.strategy == "fsdp" and setting.amp and setting.stack.trainer in TRAINERS


_PLANS: dict[tuple[object, ...], tuple[Architecture, Plan]] = {}
"""Plans, each with its architecture: while that is kept, its id stays its own."""

MAX_CACHED = 4096


def plan(architecture: Architecture, setting: Setting) -> Plan:
    """What one GPU has of a model: all of it, or its part; kept for all settings that have the same."""
    shared = setting.parallel.strategy != "none"
    key = (
        id(architecture),
        setting.method,
        setting.weights,
        setting.double_quant,
        setting.compute,
        setting.stack.trainer,
        setting.stack.trainer == "vllm" and (setting.gpu, setting.desc_act),  # whose kernels follow from the card
        setting.stack.label(),
        setting.amp,
        setting.upcast,
        setting.group_size,
        setting.kernels,
        setting.loading,
        setting.checkpoint_dtype,
        setting.trains,
        setting.lora,
        setting.peft,
        shared
        and (
            setting.parallel,
            setting.gradients,
            setting.master_weights,
            setting.gradient_checkpointing,
            setting.gradient_accumulation,
            setting.optimizer,
            setting.optimizer_implementation,
            setting.stack.loss,
            setting.attention,
            setting.batch_size == 1,
            setting.packing,
        ),
    )
    found = _PLANS.get(key)
    if found is None:
        if len(_PLANS) >= MAX_CACHED:
            _PLANS.clear()
        found = _PLANS[key] = architecture, _planned(architecture, setting, sums(architecture, setting))
    return found[1]


def _planned(architecture: Architecture, setting: Setting, whole: Sums) -> Plan:
    refuse_stacks(architecture, setting)
    refuse_apart(architecture, setting)
    if setting.parallel.strategy in DEEPSPEED:
        mine = zero_parts(architecture, whole, setting)
        return Plan(mine, zero_sharing(architecture, whole, mine, setting))
    if setting.parallel.strategy == "fsdp2":
        refuse_units(architecture, setting)
        computing = gathered_setting(setting)
        rows = rows_of(architecture, setting)
        mine = shard_parts(rows, whole, setting)
        if has_two(architecture):
            return Plan(mine, stack_shards(architecture, whole, mine, setting, computing))
        return Plan(mine, shard_sharing(architecture, rows, whole, mine, setting, computing))
    if setting.parallel.strategy == "tensor" and setting.trains:
        return Plan(whole, split_sharing(architecture, setting))
    if setting.parallel.strategy != "fsdp":
        return Plan(whole)
    computing = gathered_setting(setting)
    units = units_of(architecture, computing, setting.parallel.gpus)
    mine = flat_parts(architecture, whole, units, setting, computing)
    spread = _spread(architecture, whole, units, setting, computing)
    if has_two(architecture):
        kept = 0 if setting.parallel.offload else BYTES[setting.gradients]
        return Plan(mine, StackSpread.of(spread, of_units(architecture, units), units, kept))
    return Plan(mine, spread)


def _checkpoints_outside(setting: Setting) -> bool:
    """Whether a reentrant checkpoint lies around a unit: put by the model, before its layers did so themselves.

    A loop of somebody's own puts torch's wrapper around what is in a unit (apply_activation_checkpointing).
    """
    by_the_model = setting.stack.trainer != OWN_LOOP and older(setting, "transformers", CHECKPOINTS_INSIDE)
    return setting.gradient_checkpointing == "reentrant" and by_the_model


def _spread(architecture: Architecture, whole: Sums, units: Units, setting: Setting, computing: Setting) -> Spread:
    trains = setting.method == "full" or flattens_frozen(setting)
    outside = _checkpoints_outside(setting)
    kept = 0 if setting.parallel.offload else BYTES[setting.gradients]
    first = units.layers[0] if units.layers else 0
    once = setting.gradient_accumulation == 1
    stays = 0 if setting.parallel.reshard_after_forward else sum(map(units.gathered, units.layers))
    return Spread(
        root=units.gathered(units.root),
        embedding=units.gathered(units.embedding),
        embedding_gradient=kept * units.embedding if trains else 0,
        first=units.gathered(first),
        layer=units.gathered(max(units.layers, default=0)),
        prefetches=not outside and setting.parallel.backward_prefetch == "pre" and not stays,
        stays=stays,
        trains=trains,
        layer_gradients=kept * sum(units.layers) if trains else 0,
        first_gradient=kept * first if trains else 0,
        whole=0 if once or reduces_each(setting) else _unsharded(whole, units, setting) * BYTES[computing.gradients],
        earlier=0 if once or not (trains and reduces_each(setting)) else kept * sum(units.in_order),
        retains=outside and not trains,
        root_trains=setting.method == "full",  # adapters are inside of blocks, and flat parameters apart
        beside=elements_of_a_layer(units.ignored) * kept if trains else 0,
        beside_layers=len(units.layers),
        output=_outputs(architecture) * BYTES[computing.gradients] if setting.method == "full" else 0,
    )


def _outputs(architecture: Architecture) -> int:
    """Elements of what turns the last layer's result into the model's; none where it shares the embedding's weight."""
    outside = (module for module in architecture.modules if "{}" not in module.path and reads_text(module))
    return sum(tensor.elements for module in outside if module.kind in OUTPUTS for tensor in module.tensors)


def _unsharded(whole: Sums, units: Units, setting: Setting) -> int:
    """Elements whose gradients wait for the last micro-batch: of all that is trained, or of all that lies beside it."""
    return whole.elements + (units.gpus * sum(units.layers) if flattens_frozen(setting) else 0)
