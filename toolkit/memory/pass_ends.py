"""What is alive when a pass is over: moments that no phase is fullest at, where a loop prints what is allocated.

After the forward pass that is what waits for backward, and the result; after backward the gradients, and the result
where the loop has a name for it. Rows and tapes are those of the phases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from toolkit.memory.context import Context, Moment
from toolkit.memory.contexts import gradient_bytes, on_gpu_alone
from toolkit.memory.estimate import phase_of
from toolkit.memory.formula.caches.cached import ROW as CACHED
from toolkit.memory.formula.ends.logits import FLOAT, LOGITS
from toolkit.memory.formula.ends.outputs import given_by_a_pass, hides_results, last_outputs
from toolkit.memory.ledger import PhaseName
from toolkit.memory.libraries.losses import held_result
from toolkit.memory.libraries.transformers_versions import behaviour
from toolkit.memory.offloading import stash_of, stashed
from toolkit.memory.programs.layer_turns import added_up
from toolkit.memory.programs.moments import NAMED, linked
from toolkit.memory.programs.programs import Programs
from toolkit.memory.programs.stretch import Stretch
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.rows.optimizer import OPTIMIZER_ROWS
from toolkit.memory.rows.phase_sizes import PhaseSizes
from toolkit.memory.tape.gradients import GRADIENTS
from toolkit.memory.tape.recording import programs_of
from toolkit.spec.fields.result import OWN_LOOP, UNTIL_LOSS, UNTIL_STEP

AFTER_FORWARD, AFTER_BACKWARD = "after the forward pass", "after the backward pass"
STATES = "optimizer_states"
OF_A_STEP = frozenset(rule.name for rule in OPTIMIZER_ROWS) - {STATES}
"""Rows of what an optimizer needs while it steps."""


def after_forward(context: Context) -> tuple[PhaseSizes, ...]:
    """What is alive when the model has given its result, which counts: once for each way that nobody said it is.

    These are: with the gradients of earlier micro-batches and without, and where the loop may have a name for the
    result beside the loss. Raises UnsupportedRow where several GPUs share a model out.
    """
    _refuse_shared(context)
    if not context.setting.trains:
        return (_at(context, PhaseName.PREFILL, AFTER_FORWARD, _given(context)),)
    return tuple(
        _at(one, PhaseName.FORWARD_END, AFTER_FORWARD, rows) for one in _namings(context) for rows in _waiting(one)
    )


def after_backward(context: Context) -> tuple[PhaseSizes, ...]:
    """What is alive when backward is over, in the same way; nothing where nothing is trained.

    A loop of somebody's own still has a name for the loss, and so for the nodes behind it and what these keep as
    attributes: autograd lets go of saved tensors alone.
    """
    _refuse_shared(context)
    if not context.setting.trains:
        return ()
    return tuple(
        _without_step(_at(one, PhaseName.OPTIMIZER_STEP, AFTER_BACKWARD, _left(one))) for one in _namings(context)
    )


def _refuse_shared(context: Context) -> None:
    parallel = context.setting.parallel
    if context.sharing is not None or (parallel.gpus > 1 and parallel.strategy != "ddp"):
        raise UnsupportedRow("gathered_weights", "no formula for what GPUs that share a model hold between passes yet")


def _at(context: Context, phase: PhaseName, name: str, rows: Mapping[str, int]) -> PhaseSizes:
    return phase_of(replace(context, moments={phase: Moment(name, rows)}), phase)


def _without_step(phase: PhaseSizes) -> PhaseSizes:
    return phase._replace(sizes=tuple((rule, size) for rule, size in phase.sizes if rule.name not in OF_A_STEP))


def _namings(context: Context) -> Iterator[Context]:
    """A context for each way in which the loop may have a name for the result."""
    if not hides_results(context):
        yield context
        return
    setting = context.setting
    for result in (UNTIL_LOSS, UNTIL_STEP):
        yield replace(context, setting=replace(setting, stack=replace(setting.stack, result=result)))


def _waiting(context: Context) -> Iterator[dict[str, int]]:
    """What autograd has saved, and a result that has a name; and the same beside the gradients of passes before."""
    programs, setting = programs_of(context), context.setting
    rows = added_up(context.scale, programs.waiting, _unsaved(context))
    stash = stash_of(setting)
    if stash is not None:
        [one] = stashed(stash, context.scale, programs, [Stretch(AFTER_FORWARD, rows)], forward=True)
        rows = dict(one.throughout)
    yield rows
    if programs.accumulates:
        yield {**rows, GRADIENTS: gradient_bytes(context)}


def _unsaved(context: Context) -> dict[str, int]:
    """A result that no tape pins, where the loop has a name for it."""
    pinned = held_result(context.setting, context.architecture.family)
    named = context.setting.stack.result == UNTIL_STEP and not pinned
    return {LOGITS: last_outputs(context)} if named else {}


def _given(context: Context) -> dict[str, int]:
    """What a pass gives under no_grad: logits, and the keys and values of every layer."""
    programs = on_gpu_alone(programs_of(context), context)
    rows = added_up(context.scale, [(program.kept, program.count) for program in programs.layers], {})
    wide = behaviour(context.architecture, context.setting).upcasts_early
    return {CACHED: rows.get(CACHED, 0), FLOAT if wide else LOGITS: given_by_a_pass(context)}


def _left(context: Context) -> dict[str, int]:
    programs = programs_of(context)
    return {GRADIENTS: gradient_bytes(context), NAMED: _pinned(context, programs) + sum(_unsaved(context).values())}


def _pinned(context: Context, programs: Programs) -> int:
    if not programs.head.pinned and context.setting.stack.trainer != OWN_LOOP:
        return 0
    return sum(added_up(context.scale, linked(programs), {}).values())
