"""What one stage of a pipeline has of a step: the passes of a micro-batch, beside others that are on their way.

A stage receives in buffers that torch made for every micro-batch before the first step, and keeps what it gives until
the way back. Sources: torch/distributed/pipelining/stage.py, _setup_forward_recv_info, _create_grad_recv_info,
forward_one_chunk (fwd_cache, output_chunks), backward_one_chunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import chain

from toolkit.frozen import frozen
from toolkit.memory.formula.ends.logits import HeadForm
from toolkit.memory.libraries.trainers import MEGATRON
from toolkit.memory.libraries.transformers_versions import FROM_LOGITS
from toolkit.memory.parallel.placement import Stage
from toolkit.memory.parallel.schedule import Beside
from toolkit.memory.parallel.sharing import Step
from toolkit.memory.programs.program import MAX_RECORDED, Program, record_logits
from toolkit.memory.programs.programs import Programs
from toolkit.memory.programs.stretch import Stretch
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import NOTHING
from toolkit.memory.tape.gradients import GRADIENTS, INCOMING
from toolkit.memory.tape.peaks import ALONE, Peaks

RECEIVED = "received_buffers"
RESULT = "stage_results"
RETURNED = "returned_results"


@lru_cache(maxsize=MAX_RECORDED)
def scheduled_part(programs: Programs, stage: Stage) -> Programs:
    """The programs of a stage. Raises UnsupportedRow for models that are more than embeddings, layers and an end."""
    origin = programs.head.origin
    if origin is None or not isinstance(origin.form, HeadForm):
        raise UnsupportedRow("parallel", "no formula for a pipeline with a schedule but of a decoder with its head yet")
    own = origin.form.loss == MEGATRON
    before = programs.called or (programs.front and not own)
    if programs.joint or programs.inputs or programs.leads or programs.before or before:
        raise UnsupportedRow("parallel", "no formula for this model in a pipeline with a schedule yet")
    part = replace(programs, detaches=True, front=programs.front if stage.embeds else {})
    if not stage.embeds or _keeps_input(programs.layers[0]):
        part = replace(part, passing={})
    if not stage.projects:
        return replace(part, head=_freed(programs) if own else _handed_on(programs), logits=None)
    if own:
        return part
    given = replace(origin.form, loss=FROM_LOGITS)  # the loss is taken of what the stage has given
    return replace(part, logits=record_logits(given, origin.hidden, origin.stream))


def _keeps_input(first: Program) -> bool:
    """Whether the first layer keeps for backward what it is given."""
    return first.input == NOTHING and not (first.origin and first.origin.stream.received)


def _freed(programs: Programs) -> Program:
    """What Megatron-LM's stage gives the next, of which it keeps the graph alone."""
    return Program(1, ALONE, {}, {}, ALONE, NOTHING, programs.head.result)


def _handed_on(programs: Programs) -> Program:
    """What a stage gives the next, which it keeps until the micro-batch is back."""
    result = {RESULT: programs.hidden.parts()}
    there = Peaks.of([result])
    return Program(1, there, {}, result, there, NOTHING, programs.head.result, pinned=result)


@frozen
class MicroBatches:
    """The moments of a micro-batch, beside what a stage has of the others. Sizes in bytes.

    One of them has `stored` what it has until its way back, and gives a `result`; `given` is the size of what it is
    given. The `buffers` are those of all. After the last one there are so many `kept` results, which are `joined`.
    """

    forwards: tuple[Beside, ...]
    backwards: tuple[Beside, ...]
    stored: tuple[tuple[str, int], ...]
    row: str
    result: int
    given: int
    buffers: int
    kept: int = 0

    in_flight = 0
    streams = ()

    def made(self, gradients: int) -> int:
        """All of them: each is made here."""
        return gradients

    def forward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """The forward pass of a micro-batch, at the moments at which there may be most beside it."""
        del step
        *before, end = stretches
        unnamed = tuple(replace(one, named=0) for one in self.forwards)
        return chain(self._among(before, self.forwards), self._among([end], unnamed))

    def backward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """Its backward pass; and once all are done, the results that are joined."""
        del step
        alone = list(stretches)
        yield from self._among(alone, self.backwards)
        if self.kept:
            last = {GRADIENTS: alone[-1].throughout.get(GRADIENTS, 0), RECEIVED: self.buffers}
            yield Stretch("results", {**last, RETURNED: 2 * self.kept * self.result})

    def update(self, gradients: int) -> Iterator[Stretch]:
        """The optimizer's step, beside the buffers and the results that are kept."""
        yield Stretch("step", {GRADIENTS: gradients, RECEIVED: self.buffers, RETURNED: self.kept * self.result})

    def _among(self, alone: list[Stretch], moments: tuple[Beside, ...]) -> Iterator[Stretch]:
        if not moments:
            yield Stretch("none", {}, ALONE)
        for beside in moments:
            for stretch in alone:
                yield replace(stretch, throughout=self._with(stretch.throughout, beside))

    def _with(self, there: Mapping[str, int], beside: Beside) -> dict[str, int]:
        rows = {**there, RECEIVED: self.buffers}
        rows[self.row] = rows.get(self.row, 0) + (beside.results + beside.named) * self.result
        rows[INCOMING] = rows.get(INCOMING, 0) + beside.sent * self.given
        for row, size in self.stored:
            rows[row] = rows.get(row, 0) + beside.waiting * size
        return rows
