"""The memory that one pass adds: readings of torch's peak, less what was allocated when it was reset."""

from __future__ import annotations

from toolkit.memory.contexts import on_gpu_alone
from toolkit.memory.estimate import Estimate
from toolkit.memory.ledger import Category, Phase, PhaseName
from toolkit.memory.programs.layer_turns import added_up
from toolkit.memory.tape.recording import programs_of

BATCH = "token_ids"
"""The row of the batch itself."""


def added_by_prompt(estimate: Estimate) -> int | None:
    """Bytes that a pass over the prompt adds to the loaded model, the workspaces and the batch."""
    before, phase = _before(estimate, PhaseName.PREFILL), estimate.ledger.phase(PhaseName.PREFILL)
    return None if before is None or phase is None else phase.total - before


def added_by_token(estimate: Estimate) -> int | None:
    """Bytes that the pass of one token adds to these and to the cache of the prompt."""
    before, phase = _before(estimate, PhaseName.DECODE), estimate.ledger.phase(PhaseName.DECODE)
    context = estimate.context
    if before is None or phase is None or context is None:
        return None
    programs = on_gpu_alone(programs_of(context), context)
    cache = added_up(context.scale, [(program.kept, program.count) for program in programs.layers], {})
    return phase.total - before - sum(cache.values())


def _before(estimate: Estimate, name: PhaseName) -> int | None:
    load, phase = estimate.ledger.phase(PhaseName.LOAD), estimate.ledger.phase(name)
    if load is None or phase is None:
        return None
    return load.total + phase.of(Category.WORKSPACE) + _batch(phase)


def _batch(phase: Phase) -> int:
    return sum(row.bytes for row in phase.rows if row.name == BATCH)
