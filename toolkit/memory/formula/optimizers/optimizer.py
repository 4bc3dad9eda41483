"""The states of optimizers. n = the elements of one trained tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from toolkit.memory.context import Context
from toolkit.memory.formula.optimizers.adafactor import moments
from toolkit.memory.formula.optimizers.galore import is_projected, projected_blocks
from toolkit.memory.formula.optimizers.low_bit import TRAINER_OVERRIDES, of_torchao
from toolkit.memory.formula.optimizers.muon import is_orthogonalized
from toolkit.memory.formula.optimizers.own_steps import came_states, mini_states
from toolkit.memory.ledger import PhaseName
from toolkit.memory.parallel.optimizer_shards import optimizer_shards
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, in_8_bit
from toolkit.memory.weights.sums import Trained
from toolkit.spec.fields.names import OPTIMIZERS_8BIT, OPTIMIZERS_32BIT, PROJECTED
from toolkit.spec.settings.setting import Setting

PAGED_FROM = 100_000
"""Paged states are in CUDA managed memory from this many elements on (optim/optimizer.py, get_state_buffer)."""
StateBytes = Callable[[Trained, Setting], int]


def optimizer_states(context: Context, phase: PhaseName) -> int:
    """The states of the steady state, from the second step on; none while the model loads."""
    if phase is PhaseName.LOAD:
        return 0
    held = sum(t.count * (state_bytes(t, setting) - paged(t, setting)) for t, setting in each(context))
    return -(-held // optimizer_shards(context.setting.parallel))


def paged_states(context: Context) -> int:
    """States in managed memory, which torch does not count and the driver may move to the host."""
    return sum(t.count * paged(t, setting) for t, setting in each(context))


def each(context: Context) -> Iterator[tuple[Trained, Setting]]:
    """Every trained tensor with the setting of its states: copies of whole modules keep their own dtype."""
    setting, of_copies = context.setting, setting_of_copies(context)
    return ((tensor, of_copies if tensor.copied else setting) for tensor in context.sums.trained)


def setting_of_copies(context: Context) -> Setting:
    """The setting of the states of copies: that of adapters, unless these states have the adapters' dtype.

    bitsandbytes' 32-bit states are always float32 (bitsandbytes/optim/optimizer.py, init_state).
    """
    setting, dtypes = context.setting, context.numerics
    follows = setting.optimizer_states == dtypes.adapter and setting.optimizer not in OPTIMIZERS_32BIT
    if context.sums.copies and follows and dtypes.adapter != dtypes.head:
        return replace(setting, optimizer_states=dtypes.head)
    return setting


def state_bytes(tensor: Trained, setting: Setting) -> int:
    """All states of one tensor, in bytes."""
    rule = STATES.get(setting.optimizer)
    if rule is None:
        raise UnsupportedRow("optimizer_states", f"no formula for the optimizer {setting.optimizer!r}")
    return rule(tensor, setting)


def paged(tensor: Trained, setting: Setting) -> int:
    """The part of one tensor's states that is in managed memory: the states, without the scales of 8-bit ones.

    bitsandbytes/optim/optimizer.py: `get_state_buffer` pages, and `init_state` makes the scales with torch.zeros.
    """
    if not setting.optimizer.startswith("paged_") or tensor.elements < PAGED_FROM:
        return 0
    whole = state_bytes(tensor, setting)
    return sum(_shares(tensor, setting)) * tensor.elements if _is_8bit(tensor, setting) else whole


def state_blocks(tensor: Trained, setting: Setting) -> tuple[int, ...]:
    """The bytes of one tensor's states that torch's allocator counts, one number per allocation."""
    if setting.optimizer in PROJECTED and is_projected(tensor, setting):
        return projected_blocks(tensor, setting)
    held, shares = state_bytes(tensor, setting) - paged(tensor, setting), _shares(tensor, setting)
    whole = sum(shares)
    if not _is_8bit(tensor, setting):
        return tuple(held * share // whole for share in shares)
    scales = in_8_bit(tensor.elements) - tensor.elements
    codes = () if paged(tensor, setting) else tuple(tensor.elements * share for share in shares)
    return (*codes, *(scales * share for share in shares))  # bitsandbytes/optim/optimizer.py, init_state


def _is_8bit(tensor: Trained, setting: Setting) -> bool:
    """Whether a tensor's states have 8 bits: some tensors keep float32 states."""
    count = sum(_shares(tensor, setting))
    by_bitsandbytes = setting.optimizer in OPTIMIZERS_8BIT
    return by_bitsandbytes and state_bytes(tensor, setting) != count * tensor.elements * BYTES["fp32"]


def _shares(tensor: Trained, setting: Setting) -> tuple[int, ...]:
    """How many tensors of the parameter's shape each state holds; AdEMAMix has two averages in one state."""
    if setting.optimizer == "muon" and is_orthogonalized(tensor):
        return (1,)
    if setting.optimizer == "stable_adamw":
        return (1, 1) if setting.optimizer_states == "fp32" else (1, 1, 1)
    return SHARES.get(setting.optimizer.removeprefix("paged_").removesuffix("_8bit"), (1,))


def _moments(count: int) -> StateBytes:
    """`count` tensors of the parameter's shape.

    AdamW: exp_avg and exp_avg_sq; schedule-free: z and exp_avg_sq, or z; AdEMAMix: two averages beside; Lion,
    momentum, RMSprop and Adagrad: one.
    """

    def rule(tensor: Trained, setting: Setting) -> int:
        return count * tensor.elements * BYTES[setting.optimizer_states]

    return rule


def _moments_8bit(count: int) -> StateBytes:
    """`count` tensors of one byte an element, each with a float32 scale for a block of 256."""

    def rule(tensor: Trained, setting: Setting) -> int:
        overridden = setting.stack.trainer in TRAINER_OVERRIDES and setting.optimizer not in PROJECTED
        if tensor.embedding and overridden:
            return count * tensor.elements * BYTES["fp32"]
        return count * in_8_bit(tensor.elements)

    return rule


def _compensated(tensor: Trained, setting: Setting) -> int:
    """StableAdamW: two moments, and of a 16-bit parameter what its rounding left (optimi stableadamw.py, kahan_sum)."""
    return (2 if setting.optimizer_states == "fp32" else 3) * tensor.elements * BYTES[setting.optimizer_states]


def _factored(tensor: Trained, _: Setting) -> int:
    return moments(tensor)


def _confident(tensor: Trained, _: Setting) -> int:
    return came_states(tensor)


def _one_a_row(tensor: Trained, setting: Setting) -> int:
    return mini_states(tensor) * BYTES[setting.optimizer_states]


def _momentum_of_matrices(tensor: Trained, setting: Setting) -> int:
    """Muon: one buffer of a matrix (torch/optim/_muon.py), AdamW's two moments of all else."""
    return (1 if is_orthogonalized(tensor) else 2) * tensor.elements * BYTES[setting.optimizer_states]


def _projected(otherwise: StateBytes) -> StateBytes:
    """GaLore: moments of projections and the projectors; the states of its optimizer for what is not projected."""

    def rule(tensor: Trained, setting: Setting) -> int:
        return sum(projected_blocks(tensor, setting)) if is_projected(tensor, setting) else otherwise(tensor, setting)

    return rule


def _nothing(_: Trained, __: Setting) -> int:
    return 0


SHARES: Mapping[str, tuple[int, ...]] = {
    "adamw": (1, 1),
    **dict.fromkeys(("adamw_torchao", "adamw_torchao_4bit", "schedule_free_adamw", "schedule_free_radam"), (1, 1)),
    "ademamix": (2, 1),
    "muon": (1, 1),
    "galore_adamw": (1, 1),
    **dict.fromkeys(("apollo_adamw", "adamw_torchao_fp8", "adopt", "lora_fa"), (1, 1)),
}
"""The tensors of a parameter's shape in each state of an optimizer, where that is not one in one."""


STATES: Mapping[str, StateBytes] = {
    "adamw": _moments(2),
    "adamw_8bit": _moments_8bit(2),
    "paged_adamw_8bit": _moments_8bit(2),
    "paged_adamw": _moments(2),
    "adafactor": _factored,
    "lion": _moments(1),
    "lion_8bit": _moments_8bit(1),
    "paged_lion": _moments(1),
    "paged_lion_8bit": _moments_8bit(1),
    "ademamix": _moments(3),
    "ademamix_8bit": _moments_8bit(3),
    "paged_ademamix": _moments(3),
    "paged_ademamix_8bit": _moments_8bit(3),
    "sgd": _nothing,
    "sgd_momentum": _moments(1),
    "rmsprop": _moments(1),
    "rmsprop_bnb": _moments(1),
    "rmsprop_bnb_8bit": _moments_8bit(1),
    "adagrad": _moments(1),
    "muon": _momentum_of_matrices,
    "adamw_torchao_8bit": of_torchao(8),
    "adamw_torchao_4bit": of_torchao(4),
    "schedule_free_adamw": _moments(2),
    "schedule_free_radam": _moments(2),
    "schedule_free_sgd": _moments(1),
    "stable_adamw": _compensated,
    "lion_pytorch": _moments(1),
    "galore_adamw": _projected(_moments(2)),
    "galore_adamw_8bit": _projected(_moments_8bit(2)),
    "galore_adafactor": _projected(_factored),
    "apollo_adamw": _projected(_moments(2)),
    "adamw_torchao_fp8": of_torchao(8, table=False),
    "adopt": _moments(2),
    "came": _confident,
    "adam_mini": _one_a_row,
    "grokadamw": _nothing,
    "lora_fa": _moments(2),
    "lomo": _nothing,
    "adalomo": _factored,
    "none": _nothing,
}
"""What each optimizer keeps for one tensor."""
