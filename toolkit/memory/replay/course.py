"""What the passes and the steps of a training run are written from, once the model is there."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit.frozen import frozen
from toolkit.memory.context import Context, Scale
from toolkit.memory.formula.ends.logits import NAMED
from toolkit.memory.formula.ends.summed import SUM
from toolkit.memory.formula.inputs import position_embeddings, token_ids
from toolkit.memory.formula.tuned.penalty import waiting_matrices
from toolkit.memory.ledger import PhaseName
from toolkit.memory.libraries.losses import loss_of
from toolkit.memory.libraries.versions import older
from toolkit.memory.programs.programs import Programs
from toolkit.memory.replay.events import Moves
from toolkit.memory.replay.steps import step_events
from toolkit.memory.replay.validation import Between, between_of
from toolkit.memory.weights.backward import TORCH_FREES_GRADIENTS
from toolkit.memory.weights.sums import Trained
from toolkit.spec.fields.result import UNTIL_LOSS, UNTIL_NEXT

MICRO_BATCHES = 2
"""Micro-batches that are followed at most: the second finds the gradients of the first, as do all later."""


@frozen
class Step:
    """The bytes of each tensor that a step of the optimizer makes, and their coming and going."""

    sizes: tuple[int, ...]
    moves: Moves


@frozen
class Course:
    """All that passes and steps follow from: runs that have the same are the same from where the model is there.

    In bytes: a micro-batch's token ids, the tables of positions, a thread's workspace of cuBLAS, and what is `added` of
    gradients of other tables than the tokens', as of positions; on several GPUs that share weights or layers out these
    are not followed. The `first` step of the optimizer makes its states, too. The result of a pass has a name `until`
    the loss, the step or the next one, and with it the keys and values that it has. `keeps_gradients`: they are there
    when the next step's first pass begins. `joins`: the gradient of a tied output weight waits for the embedding's.
    `retains` is as of a run. What is `between` two steps is a validation. `penalty` has the sizes of gradients that a
    method's penalty gives, each with how many there are.
    """

    programs: Programs
    scale: Scale
    batch: int
    angles: int
    workspace: int
    first: Step
    step: Step
    joins: bool
    until: str
    micro_batches: int
    keeps_gradients: bool
    retains: bool
    between: Between | None = None
    added: int = 0
    penalty: tuple[tuple[int, int], ...] = ()


def course_of(
    context: Context, programs: Programs, stateful: Iterable[Trained], *, holds: bool, retains: bool
) -> Course:
    """The course of a run; `stateful` is whatever has states, in the order in which they are made."""
    setting, stateful = context.setting, tuple(stateful)
    names = holds or loss_of(setting) in (NAMED, SUM)
    return Course(
        programs,
        context.scale,
        batch=token_ids(context, PhaseName.LOAD),
        angles=position_embeddings(context, PhaseName.FORWARD_END),
        workspace=context.workspace,
        first=_step(context, stateful, first=True),
        step=_step(context, stateful, first=False),
        joins=bool(programs.tied and programs.embedding) and context.sharing is None,
        until=UNTIL_NEXT if names else setting.stack.result or UNTIL_LOSS,
        micro_batches=MICRO_BATCHES if setting.gradient_accumulation > 1 else 1,
        keeps_gradients=older(setting, "torch", TORCH_FREES_GRADIENTS),
        retains=retains,
        between=between_of(context),
        penalty=waiting_matrices(context),
        added=programs.added if context.sharing is None and context.stage is None else 0,
    )


def _step(context: Context, stateful: Iterable[Trained], *, first: bool) -> Step:
    made = step_events(context, stateful, first=first)
    return Step(tuple(made.sizes[1:]), tuple(made.written))
