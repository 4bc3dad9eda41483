"""The model's weights as stored, the copies that preparing or training them adds, and adapters."""

from __future__ import annotations

from toolkit.memory.context import Context
from toolkit.memory.ledger import PhaseName
from toolkit.memory.parallel.optimizer_shards import optimizer_shards
from toolkit.memory.size import BYTES
from toolkit.spec.fields.names import DEEPSPEED, TENSOR


def weights(context: Context, _: PhaseName) -> int:
    """Every parameter of the model in the form in which it is stored, tied ones once."""
    return context.sums.weights


def rounding(context: Context, _: PhaseName) -> int:
    """What the allocator adds by rounding each stored tensor up to 512 bytes."""
    return context.sums.rounding


def upcast_parameters(context: Context, phase: PhaseName) -> int:
    """What prepare_model_for_kbit_training adds by casting 16-bit parameters to float32, once training has begun."""
    return 0 if phase is PhaseName.LOAD else context.sums.upcast


def adapters(context: Context, phase: PhaseName) -> int:
    """What peft adds and trains: the matrices of LoRA or another method, and copies such as a classification head's.

    A run that trains adds them to what is loaded; one that answers loads them with the model.
    """
    if phase is PhaseName.LOAD and context.setting.trains:
        return 0
    dtype = context.numerics.adapter
    if dtype is None:
        return 0
    return context.sums.adapters * BYTES[dtype] + context.sums.copies * BYTES[context.numerics.head]


def adapter_buffers(context: Context, phase: PhaseName) -> int:
    """The untrained tensors of a peft method: random projections, indices, permutations, norms."""
    return 0 if phase is PhaseName.LOAD else context.sums.frozen


def master_weights(context: Context, phase: PhaseName) -> int:
    """A copy of the trained parameters in another dtype, which the optimizer updates."""
    dtype = context.setting.master_weights
    if dtype is None or phase is PhaseName.LOAD:
        return 0
    strategy, sums = context.setting.parallel.strategy, context.sums
    # Each GPU updates its part of ZeRO's flat weights, or of a model that is spread over several.
    own = strategy in (*DEEPSPEED, TENSOR) or context.stage is not None
    own = own or context.setting.parallel.tensor_parallel > 1
    elements = sums.elements if own else sums.trainable
    return -(-elements // optimizer_shards(context.setting.parallel)) * BYTES[dtype]
