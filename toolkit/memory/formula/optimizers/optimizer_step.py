"""What the optimizer's step needs while it runs, beside what is kept. n = the elements of one trained tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

from toolkit.memory.context import Context
from toolkit.memory.formula.optimizers.adafactor import fullest_update
from toolkit.memory.formula.optimizers.galore import fullest_projection
from toolkit.memory.formula.optimizers.muon import is_orthogonalized, orthogonalizing
from toolkit.memory.formula.optimizers.optimizer import each, setting_of_copies
from toolkit.memory.formula.optimizers.own_steps import (
    fullest_confidence,
    fullest_correction,
    fullest_grokking,
    fullest_mini,
)
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES
from toolkit.memory.tape.gradients import STEP
from toolkit.memory.weights.sums import Trained, in_turn
from toolkit.spec.fields.names import DEEPSPEED, LOMO, PROJECTED
from toolkit.spec.settings.setting import Setting


def optimizer_temporary(context: Context, phase: PhaseName) -> int:
    """What the step needs while it runs: by the optimizer, and by how torch runs it."""
    if phase is PhaseName.BACKWARD:  # of those that step in it
        return context.at(phase, STEP)
    return sum(step_blocks(context)[0]) if phase is PhaseName.OPTIMIZER_STEP else 0


def newton_schulz(context: Context, phase: PhaseName) -> int:
    """What Muon needs to make one update orthogonal, where that is more than the step of its AdamW needs."""
    of_step = phase is PhaseName.OPTIMIZER_STEP and context.setting.optimizer == "muon"
    return sum(step_blocks(context)[1]) if of_step else 0


def projector_update(context: Context, phase: PhaseName) -> int:
    """What GaLore needs to make one projector, where that is when its step needs the most."""
    of_step = phase is PhaseName.OPTIMIZER_STEP and context.setting.optimizer in PROJECTED
    return sum(step_blocks(context)[1]) if of_step else 0


def step_blocks(context: Context) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The bytes of each tensor at the step's fullest moment: of the update, and of what is done to one matrix first."""
    setting = context.setting
    if setting.optimizer_in_backward:
        return (), ()
    if setting.parallel.strategy in DEEPSPEED:  # not at the moment at which gradients are made float32
        return (context.at(PhaseName.OPTIMIZER_STEP, "optimizer_temporary"),), ()
    if setting.optimizer in PROJECTED:
        fullest = fullest_projection(context.sums.trained, setting)
        if fullest.freed:  # gradients that are gone make up for some of what is there
            return (), (fullest.total,)
        return fullest.update, fullest.projector
    update = (_update(context),)
    if setting.optimizer == "muon":
        matrices = orthogonalizing(context.sums.trained, setting.gradients)
        return (update, ()) if sum(update) > sum(matrices) else ((), matrices)
    return update, ()


def refuse_in_backward(setting: Setting) -> None:
    """Raise where no formula follows a step for each parameter inside of backward."""
    if not setting.optimizer_in_backward:
        return
    form = setting.optimizer in TEMPORARIES
    for known, covered in (
        ("a plain loop or torchtune", setting.stack.trainer in (*IN_BACKWARD, *BY_HOOKS[setting.optimizer in LOMO])),
        ("one GPU", setting.parallel.gpus == 1),
        ("gradient_accumulation 1, as torchtune has it", setting.gradient_accumulation == 1),
        ("AdamW or fused steps", setting.optimizer == "adamw" or not (form or setting.optimizer in PROJECTED)),
        ("states as the gradients", not _widens_in_backward(setting)),
        ("no other copy of the weights", setting.master_weights is None and setting.optimizer != "none"),
    ):
        if not covered:
            raise UnsupportedRow("gradients", f"no formula for an optimizer in backward yet, except with {known}")


IN_BACKWARD = ("plain", "torchtune")
"""Trainers that may give each parameter an optimizer of its own."""
BY_HOOKS = {True: ("transformers", "trl"), False: ()}
"""Those that run LOMO's hooks, too (accelerate accelerator.py, lomo_backward)."""


def _widens_in_backward(setting: Setting) -> bool:
    """Whether what AdamW makes in its steps has another dtype than the gradient; LOMO's own are counted so."""
    if setting.optimizer in LOMO:
        return False
    fused = setting.optimizer_implementation == "fused" or setting.optimizer != "adamw"
    return not fused and setting.optimizer_states != setting.gradients


def _update(context: Context) -> int:
    if context.setting.optimizer == "adamw" and widens(context):
        fused = context.setting.optimizer_implementation == "fused"
        return 0 if fused else _one_after_another(context, 2)
    rule = TEMPORARIES.get(context.setting.optimizer, {}).get(context.setting.optimizer_implementation)
    return 0 if rule is None else rule(context)


def widens(context: Context) -> bool:
    """Whether float32 states update 16-bit parameters that have no float32 copy: no optimizer of torch does that."""
    setting = context.setting
    trained = context.numerics.adapter or setting.weights
    return setting.optimizer_states == "fp32" and trained in ("bf16", "fp16") and setting.master_weights is None


def _square_roots(context: Context) -> int:
    """Torch's foreach AdamW: the square roots of all second moments at once (torch/optim/adamw.py, pytorch #97712).

    schedulefree's optimizers write updates over gradients, and have no more than these.
    """
    divided = ((t, setting) for t, setting in each(context) if _divides(t, setting))
    return sum(t.count * t.elements * BYTES[setting.optimizer_states] for t, setting in divided)


def _one_after_another(context: Context, tensors: int) -> int:
    """So many tensors of one state's form, and the last of the parameter before, whose name is still bound."""
    divided = (one for one in context.sums.trained if _divides(one, context.setting))
    item, of_copies = (BYTES[one.optimizer_states] for one in (context.setting, setting_of_copies(context)))
    sizes = [one.elements * (of_copies if one.copied else item) for one in in_turn(divided)]
    return max((before + tensors * now for before, now in pairwise([0, *sizes])), default=0)


def _divides(tensor: Trained, setting: Setting) -> bool:
    """Whether a tensor is divided by the root of its second moment: all but the matrices of Muon."""
    return setting.optimizer != "muon" or not is_orthogonalized(tensor)


def _square_root(context: Context) -> int:
    """Torch's for-loop RMSprop and Adagrad: the square root of one parameter's state."""
    return _one_after_another(context, 1)


def _square_roots_and_numerators(context: Context) -> int:
    """Torch's foreach Adagrad: all square roots, and all gradients times the rate (torch/optim/adagrad.py)."""
    item, of_copies = BYTES[context.setting.gradients], BYTES[context.numerics.head]
    numerators = sum(t.count * t.elements * (of_copies if t.copied else item) for t in context.sums.trained)
    return _square_roots(context) + numerators


def _square_root_and_quotient(context: Context) -> int:
    """Torch's for-loop AdamW: the square root of one parameter's second moment, and its quotient."""
    return _one_after_another(context, 2)


def _factored_update(context: Context) -> int:
    """Transformers' Adafactor: square and update of one gradient, and float32 copies of 16-bit ones and parameters."""
    return fullest_update(in_turn(context.sums.trained), copies=is_narrow(context))


def _sign_of_sum(context: Context) -> int:
    """lion-pytorch: a copy of one parameter's momentum, and its sum with the gradient (lion_pytorch.py, update_fn)."""
    largest = max((one.elements for one in context.sums.trained), default=0)
    return 2 * largest * BYTES[context.setting.optimizer_states]


def is_narrow(context: Context) -> Callable[[Trained], bool]:
    """Whether a trained tensor has 16 bits: those of copies may be others than those of adapters."""
    own = context.numerics.adapter or context.setting.weights
    return lambda tensor: (context.numerics.head if tensor.copied else own) != "fp32"


def _squares(context: Context) -> int:
    """came_pytorch: squares of one gradient, beside what names of the parameter before hold."""
    return fullest_confidence(in_turn(context.sums.trained), copies=is_narrow(context))


def _updates(context: Context) -> int:
    """adam_mini: updates of two parameters, or one and its negative."""
    return fullest_mini(in_turn(context.sums.trained)) * BYTES[context.setting.optimizer_states]


def _copied_states(context: Context) -> int:
    """grokadamw: the states of one parameter, copied from main memory."""
    return fullest_grokking(in_turn(context.sums.trained)) * BYTES[context.setting.optimizer_states]


def _corrected_gradient(context: Context) -> int:
    """LoRA-FA of peft: a gradient of B corrected by A, and roots, beside what names of the pair before hold."""
    items = (BYTES[one.optimizer_states] for one in (context.setting, setting_of_copies(context)))
    return fullest_correction(in_turn(context.sums.trained), *items)


ALL = ("fused", "foreach", "for-loop")

TEMPORARIES: Mapping[str, Mapping[str, Callable[[Context], int]]] = {
    "adamw": {"foreach": _square_roots, "for-loop": _square_root_and_quotient},
    "muon": {"foreach": _square_roots, "for-loop": _square_root_and_quotient},
    "rmsprop": {"foreach": _square_roots, "for-loop": _square_root},
    "adagrad": {"foreach": _square_roots_and_numerators, "for-loop": _square_root},
    "adafactor": dict.fromkeys(ALL, _factored_update),
    "schedule_free_adamw": dict.fromkeys(ALL, _square_roots),
    "schedule_free_radam": dict.fromkeys(ALL, _square_roots),
    "lion_pytorch": dict.fromkeys(ALL, _sign_of_sum),
    "adopt": dict.fromkeys(ALL, _square_roots_and_numerators),
    "came": dict.fromkeys(ALL, _squares),
    "adam_mini": dict.fromkeys(ALL, _updates),
    "grokadamw": dict.fromkeys(ALL, _copied_states),
    "lora_fa": dict.fromkeys(ALL, _corrected_gradient),
}
"""What a step needs while it runs, by optimizer and implementation; other kernels need nothing."""
