"""The end of a pass of inference on one GPU, of which a GPU with a part of the layers may have a part, or none."""

from __future__ import annotations

from functools import lru_cache

from toolkit.memory.parallel.placement import Stage
from toolkit.memory.programs.program import MAX_RECORDED
from toolkit.memory.programs.programs import Programs
from toolkit.memory.replay.log import Change
from toolkit.memory.replay.script import NO_PASS, Pass, Script, script_of
from toolkit.memory.size import Parts, Size

GIVEN, LOGITS = 0, 1


def end_script(stage: Stage | None, programs: Programs, without: str = "") -> Script:
    """What follows the last layer that is on this GPU, `stage` None where that has all of them; `without` one row.

    The GPU that makes the logits makes them as it would alone; of the others the first is given a copy (accelerate
    hooks.py, io_same_device).
    """
    head = programs.head
    if stage is None or stage.projects:
        assert head.origin is not None, "every program of a run has an origin"
        return script_of(head.origin, without)
    brought = head.forward.moments[0].alive if stage.embeds else {}
    return _handed_on(tuple(brought.values()))


@lru_cache(maxsize=MAX_RECORDED)
def _handed_on(brought: tuple[Parts, ...]) -> Script:
    """What the last layer gave is gone once the next GPU has it; what is `brought` back goes with the result."""
    made = [Change(key, Size(*parts)) for key, parts in enumerate(brought, LOGITS)]
    gone = [Change(change.key) for change in made]
    return Script(Pass((Change(GIVEN), *made, *gone), GIVEN, None), (), NO_PASS, logits=LOGITS if made else None)
