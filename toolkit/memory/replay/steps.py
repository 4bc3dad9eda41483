"""An optimizer's step as events: what it makes of all parameters at once, or of one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from toolkit.memory.context import Context
from toolkit.memory.formula.optimizers.adafactor import WIDE, factors
from toolkit.memory.formula.optimizers.muon import is_orthogonalized
from toolkit.memory.formula.optimizers.optimizer import setting_of_copies, state_blocks
from toolkit.memory.formula.optimizers.optimizer_step import is_narrow, step_blocks, widens
from toolkit.memory.replay.events import Block, Events
from toolkit.memory.replay.loops import correct, decompose, orthogonalize, root_alone, signs
from toolkit.memory.size import BYTES
from toolkit.memory.weights.sums import Trained
from toolkit.spec.fields.names import DEEPSPEED

FOREACH = {"adamw": 1, "muon": 1, "rmsprop": 1, "adagrad": 2}
"""Tensors that torch's foreach step makes of each parameter, all of one kind before the next: square roots of second
moments, and numerators of Adagrad's quotients before them (torch/optim/adamw.py, rmsprop.py, adagrad.py)."""

Tensors = Iterable[Trained]


def step_events(context: Context, trained: Tensors, *, first: bool = False) -> Events:
    """What a step makes and lets go, of tensors in the order in which they are updated.

    The `first` step also makes the states, which stay.
    """
    setting, events, trained = context.setting, Events(), [*trained]
    states = _states(context) if first else _none
    if setting.parallel.strategy in DEEPSPEED or setting.optimizer_in_backward:
        _at_once(events, context, trained, states)
    elif setting.optimizer == "muon":
        matrices = [one for one in trained if is_orthogonalized(one)]
        _make(events, matrices, states)
        orthogonalize(events, matrices, setting.gradients)
        _torch_adamw(events, context, [one for one in trained if not is_orthogonalized(one)], states)
    elif setting.optimizer == "adafactor":
        _factored(events, trained, is_narrow(context), states)
    elif setting.optimizer == "galore_adamw":
        decompose(events, trained, setting, states, first=first)
    elif setting.optimizer == "lion_pytorch":
        signs(events, trained, BYTES[setting.optimizer_states], states)
    elif setting.optimizer in FOREACH:
        _torch_adamw(events, context, trained, states)
    else:
        _at_once(events, context, trained, states)
    return events


States = Callable[[Trained], tuple[int, ...]]


def _states(context: Context) -> States:
    """The bytes of each block of a tensor's states; worked out once for tensors of one form."""
    copies = setting_of_copies(context)
    known: dict[int, tuple[Trained, tuple[int, ...]]] = {}

    def of(one: Trained) -> tuple[int, ...]:
        found = known.get(id(one))
        if found is None:
            found = known[id(one)] = one, state_blocks(one, copies if one.copied else context.setting)
        return found[1]  # kept with the form, so its id stays its

    return of


def _none(_: Trained) -> tuple[int, ...]:
    return ()


def _make(events: Events, trained: Tensors, states: States) -> None:
    """Optimizers of torch make all states of a group before they update any of it (_init_group)."""
    events.allocate_all(chain.from_iterable(map(states, trained)))


def _at_once(events: Events, context: Context, trained: Tensors, states: States) -> None:
    """What there is at the fullest moment."""
    _make(events, trained, states)
    events.release_all(events.allocate_all(chain.from_iterable(step_blocks(context))))


def _torch_adamw(events: Events, context: Context, trained: list[Trained], states: States) -> None:
    """AdamW's, RMSprop's and Adagrad's of torch."""
    setting = context.setting
    _make(events, trained, states)
    of_adamw = setting.optimizer in ("adamw", "muon")
    if setting.optimizer_implementation == "fused" and of_adamw:
        return
    sizes = [*_of_states(context, trained)]
    if setting.optimizer_implementation == "foreach" and not (of_adamw and widens(context)):
        events.release_all(events.allocate_all(sizes * FOREACH[setting.optimizer]))
    elif of_adamw:
        correct(events, sizes)
    else:
        root_alone(events, sizes)


def _of_states(context: Context, trained: Tensors) -> Iterator[int]:
    """The bytes of each tensor in the dtype of its states."""
    item, of_copies = (BYTES[one.optimizer_states] for one in (context.setting, setting_of_copies(context)))
    return (one.elements * (of_copies if one.copied else item) for one in trained)


def _factored(events: Events, trained: Tensors, copies: Callable[[Trained], bool], states: States) -> None:
    """Adafactor's: each name is bound until the next parameter's (transformers, optimization.py, Adafactor.step)."""
    gradient = parameter = update = 0  # the first two are float32 copies
    for tensor in trained:
        whole = tensor.elements * WIDE
        gradient = _rebound(events, gradient, whole if copies(tensor) else 0)
        events.allocate_all(states(tensor))
        parameter = _rebound(events, parameter, whole if copies(tensor) else 0)
        square, summed = events.allocate(whole), events.allocate(whole)
        events.release_all((square, update))
        parts, update = events.allocate(factors(tensor.shape) * WIDE), events.allocate(whole)
        events.release_all((parts, summed))
        events.release(events.allocate(whole))  # its negative, which is added to the parameter
    events.release_all((gradient, parameter, update))


def _rebound(events: Events, old: Block, size: int) -> Block:
    """A name for a new tensor, if there is any; the one that had it is gone first, as what it was made of is."""
    events.release(old)
    return events.allocate(size)
