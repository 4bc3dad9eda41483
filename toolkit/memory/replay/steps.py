"""An optimizer's step as events: what it makes of all parameters at once, or of one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain

from toolkit.memory.context import Context
from toolkit.memory.formula.optimizers.adafactor import WIDE, factors
from toolkit.memory.formula.optimizers.optimizer import setting_of_copies
from toolkit.memory.formula.optimizers.optimizer_step import is_narrow, step_blocks
from toolkit.memory.replay.events import Block, Events
from toolkit.memory.size import BYTES
from toolkit.memory.weights.sums import Trained
from toolkit.spec.fields.names import DEEPSPEED

FOREACH = {"adamw": 1, "rmsprop": 1, "adagrad": 2}
"""Tensors that torch's foreach step makes of each parameter, all of one kind before the next: square roots of second
moments, and numerators of Adagrad's quotients before them (torch/optim/adamw.py, rmsprop.py, adagrad.py)."""


def step_events(context: Context, trained: Iterable[Trained]) -> Events:
    """What a step makes and lets go, of tensors in the order in which they are updated."""
    setting, events = context.setting, Events()
    parts = [*chain.from_iterable(step_blocks(context))]
    if not any(parts):
        return events
    if setting.optimizer == "adafactor" and setting.parallel.strategy not in DEEPSPEED:
        _factored(events, trained, is_narrow(context))
        return events
    if setting.optimizer in FOREACH and setting.optimizer_implementation == "foreach":
        item, of_copies = (BYTES[one.optimizer_states] for one in (setting, setting_of_copies(context)))
        each = [one.elements * (of_copies if one.copied else item) for one in trained]
        parts = each * FOREACH[setting.optimizer]
    events.release_all(events.allocate_all(parts))
    return events


def _factored(events: Events, trained: Iterable[Trained], copies: Callable[[Trained], bool]) -> None:
    """Adafactor's: each name is bound until the next parameter's (transformers, optimization.py, Adafactor.step)."""
    wide: list[Block] = [0, 0]  # copies of the gradient and of the parameter
    update = 0
    for tensor in trained:
        whole = tensor.elements * WIDE
        for place in range(len(wide)):
            events.release(wide[place])
            wide[place] = events.allocate(whole) if copies(tensor) else 0
        square, summed = events.allocate(whole), events.allocate(whole)
        events.release_all((square, update))
        parts, update = events.allocate(factors(tensor.shape) * WIDE), events.allocate(whole)
        events.release_all((parts, summed))
        events.release(events.allocate(whole))  # its negative, which is added to the parameter
    events.release_all((*wide, update))
