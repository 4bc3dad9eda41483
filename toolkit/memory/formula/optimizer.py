"""Optimizer states, and what a step needs beside them. n = the elements of one trained tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from toolkit.memory.context import Context
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES
from toolkit.memory.sums import Trained
from toolkit.spec.names import DEEPSPEED
from toolkit.spec.setting import Setting

BLOCK = 256
"""Elements that share a scale in bitsandbytes' 8-bit states (functional.py, since 0.44)."""
MIN_8BIT = 4096
"""Tensors with fewer elements keep float32 states (optim/optimizer.py, min_8bit_size)."""
PAGED_FROM = 100_000
"""Paged states are in CUDA managed memory from this many elements on (optim/optimizer.py, get_state_buffer)."""
TRAINER_OVERRIDES = ("transformers", "trl")
"""Trainers that keep the states of embeddings in 32 bit beside 8-bit optimizers (transformers/trainer_optimizer.py)."""

StateBytes = Callable[[Trained, Setting], int]


def optimizer_states(context: Context, phase: PhaseName) -> int:
    """The states of the steady state, from the second step on; none while the model loads."""
    if phase is PhaseName.LOAD:
        return 0
    return sum(t.count * (state_bytes(t, setting) - paged(t, setting)) for t, setting in _each(context))


def paged_states(context: Context) -> int:
    """States in managed memory, which torch does not count and the driver may move to the host."""
    return sum(t.count * paged(t, setting) for t, setting in _each(context))


def _each(context: Context) -> Iterator[tuple[Trained, Setting]]:
    """Every trained tensor with the setting of its states: copies of a classifier keep its dtype beside adapters."""
    setting, dtypes = context.setting, context.numerics
    of_copies = setting
    if context.sums.copies and setting.optimizer_states == dtypes.adapter != dtypes.head:
        of_copies = replace(setting, optimizer_states=dtypes.head)
    return ((tensor, of_copies if tensor.copied else setting) for tensor in context.sums.trained)


def state_bytes(tensor: Trained, setting: Setting) -> int:
    """All states of one tensor, in bytes."""
    rule = STATES.get(setting.optimizer)
    if rule is None:
        raise UnsupportedRow("optimizer_states", f"no formula for the optimizer {setting.optimizer!r}")
    return rule(tensor, setting)


def paged(tensor: Trained, setting: Setting) -> int:
    """The part of one tensor's states that is in managed memory: the states, not the scales of those in 8 bit.

    bitsandbytes/optim/optimizer.py: `get_state_buffer` pages, and `init_state` makes the scales with torch.zeros.
    """
    if not setting.optimizer.startswith("paged_") or tensor.elements < PAGED_FROM:
        return 0
    whole = state_bytes(tensor, setting)
    in_8bit = setting.optimizer.endswith("_8bit") and whole != 2 * tensor.elements * BYTES["fp32"]
    return 2 * tensor.elements if in_8bit else whole


def _moments(count: int) -> StateBytes:
    """`count` tensors of the parameter's shape (AdamW: exp_avg and exp_avg_sq; Lion: exp_avg)."""

    def rule(tensor: Trained, setting: Setting) -> int:
        return count * tensor.elements * BYTES[setting.optimizer_states]

    return rule


def _moments_8bit(count: int) -> StateBytes:
    """`count` tensors of one byte an element, each with a float32 scale for a block of 256."""

    def rule(tensor: Trained, setting: Setting) -> int:
        n = tensor.elements
        if n < MIN_8BIT or (tensor.embedding and setting.stack.trainer in TRAINER_OVERRIDES):
            return count * n * BYTES["fp32"]
        return count * (n + -(-n // BLOCK) * BYTES["fp32"])

    return rule


def _factored(tensor: Trained, _: Setting) -> int:
    """Adafactor: float32 means over rows and over columns; a full second moment where there is one dimension."""
    *leading, rows, columns = (1, 1, *tensor.shape)
    if len(tensor.shape) < 2:
        return tensor.elements * BYTES["fp32"]
    outer = 1
    for side in leading:
        outer *= side
    return outer * (rows + columns) * BYTES["fp32"]


def _nothing(_: Trained, __: Setting) -> int:
    return 0


STATES: Mapping[str, StateBytes] = {
    "adamw": _moments(2),
    "adamw_8bit": _moments_8bit(2),
    "paged_adamw_8bit": _moments_8bit(2),
    "paged_adamw": _moments(2),
    "adafactor": _factored,
    "sgd": _nothing,
    "sgd_momentum": _moments(1),
    "lion": _moments(1),
    "lion_8bit": _moments_8bit(1),
    "none": _nothing,
}
"""What each optimizer keeps for one tensor."""


def optimizer_temporary(context: Context, phase: PhaseName) -> int:
    """What the step needs while it runs: by the optimizer, and by how torch runs it."""
    if phase is not PhaseName.OPTIMIZER_STEP:
        return 0
    if context.setting.parallel.strategy in DEEPSPEED:  # not at the moment at which gradients are made float32
        return context.at(phase, "optimizer_temporary")
    if context.setting.optimizer == "adamw" and _widens(context):
        fused = context.setting.optimizer_implementation == "fused"
        return 0 if fused else _one_after_another(context, 2, "fp32")
    rule = TEMPORARIES.get(context.setting.optimizer, {}).get(context.setting.optimizer_implementation)
    return 0 if rule is None else rule(context)


def _widens(context: Context) -> bool:
    """Whether float32 states update 16-bit parameters that have no float32 copy: no optimizer of torch does that."""
    setting = context.setting
    trained = context.numerics.adapter or setting.weights
    return setting.optimizer_states == "fp32" and trained in ("bf16", "fp16") and setting.master_weights is None


def _square_roots(context: Context) -> int:
    """Torch's foreach AdamW: the square roots of all second moments at once (torch/optim/adamw.py, pytorch #97712)."""
    return sum(t.count * t.elements * BYTES[setting.optimizer_states] for t, setting in _each(context))


def _one_after_another(context: Context, tensors: int, dtype: str) -> int:
    """So many tensors of one parameter's shape, and the last of the parameter before, whose name is still bound.

    A form of which a model has several stands beside another of its size (gate and up of one layer).
    """
    sizes = ((tensors + (t.count > 1)) * t.elements for t in context.sums.trained)
    return max(sizes, default=0) * BYTES[dtype]


def _square_root_and_quotient(context: Context) -> int:
    """Torch's for-loop AdamW: the square root of one parameter's second moment, and its quotient."""
    return _one_after_another(context, 2, context.setting.optimizer_states)


def _factored_update(context: Context) -> int:
    """Transformers' Adafactor: square and update of one gradient, and float32 copies of 16-bit ones and parameters."""
    trained = context.numerics.adapter or context.setting.weights
    return _one_after_another(context, 2 if trained == "fp32" else 4, "fp32")


TEMPORARIES: Mapping[str, Mapping[str, Callable[[Context], int]]] = {
    "adamw": {"foreach": _square_roots, "for-loop": _square_root_and_quotient},
    "adafactor": dict.fromkeys(("fused", "foreach", "for-loop"), _factored_update),
}
"""What a step needs while it runs, by optimizer and implementation; other kernels need nothing."""
