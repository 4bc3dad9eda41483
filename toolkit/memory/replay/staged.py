"""Training on one of several GPUs that the layers of a model lie on, as events.

One process runs them all: a GPU is given the result of the one before, and its gradient by the one after
(parallel/trained_stages.py says what comes with them).
"""

from __future__ import annotations

from collections.abc import Hashable

from toolkit.memory.context import Context
from toolkit.memory.formula.ends.logits import FLOAT, LOGITS
from toolkit.memory.parallel.placement import Stage
from toolkit.memory.parallel.trained_stages import COPIES
from toolkit.memory.programs.program import CHECKPOINTS
from toolkit.memory.programs.programs import Programs
from toolkit.memory.replay.events import Block
from toolkit.memory.replay.played import Played, leave, play_backward, play_forward
from toolkit.memory.replay.training import Run
from toolkit.memory.replay.writer import held_inputs
from toolkit.memory.size import Amounts


class StagedRun(Run):
    """A run on one GPU, by the programs of what that one has."""

    def __init__(self, context: Context, programs: Programs, stage: Stage) -> None:
        super().__init__(context, programs)
        self._stage = stage
        first = programs.layers[0]
        self._copied = first.forward.moments[0].alive.get(COPIES, ())
        self._brought_again = CHECKPOINTS in programs.layers[-1].stored and COPIES not in first.stored
        logits = {} if stage.projects else programs.head.forward.moments[-1].alive
        self._comes_back: Amounts = {row: size for row, size in logits.items() if row in (LOGITS, FLOAT)}
        self._keeps_last = not stage.projects and CHECKPOINTS in programs.head.stored

    def said(self) -> Hashable:
        """Also which GPU it is."""
        return super().said(), self._stage

    def pass_through(self, *, accumulates: bool) -> None:
        """A forward and a backward pass."""
        writer, course = self._writer, self.course
        events, programs = writer.events, course.programs
        there = [events.allocate(course.batch), events.allocate(course.angles)]
        there += [*writer.allocate_rows(programs.masks), *writer.allocate_rows(programs.front)]
        hidden = stream = writer.allocate(programs.hidden)
        held = programs.passing
        passing = held_inputs(writer, held, hidden, writer.bytes(programs.hidden)) if held else []
        copied = writer.scale.bytes(self._copied) if self._copied else 0
        copies: list[Block] = []
        layers: list[Played] = []
        for script in self._layers(accumulates=accumulates):
            copies.append(events.allocate(copied))
            layers.append(play_forward(writer, script, stream, workspace=self._new_workspace(1)))
            stream = layers[-1].result
            if self._brought_again:
                writer.release(copies.pop())
        writer.release(*passing)
        end = self._end(stream, accumulates=accumulates)
        for played in (*layers, *end):
            leave(writer, played)
        earlier = len(writer.gradients)
        gradient = self._from_the_end(end)
        waiting = self._of_output(earlier, accumulates=accumulates) if course.joins else 0
        if self._keeps_last:
            writer.release(stream)
        for played in reversed(layers):
            gradient = play_backward(writer, played, gradient, self._new_workspace(2))
            writer.release(*copies[-1:])
            del copies[-1:]
        self._at_embedding(gradient, waiting, accumulates=accumulates)
        writer.release(*there)
        for played in (*layers, *end):
            linked = (played.given, played.result)
            writer.release(*(block for block in played.blocks.values() if block not in linked))

    def _end(self, stream: Block, *, accumulates: bool) -> list[Played]:
        """The end of the model, as far as it is here, and the logits that come back from where they are made."""
        writer = self._writer
        end: list[Played] = []
        if self._stage.projects or self._stage.norms:
            script = self._script(self.course.programs.head.origin, accumulates=accumulates and not self.course.joins)
            end.append(play_forward(writer, script, stream))
        elif not self._keeps_last:
            writer.release(stream)
        writer.release(*writer.allocate_rows(self._comes_back))
        return end

    def _from_the_end(self, end: list[Played]) -> Block:
        """The gradient of what the last layer gave: worked out here, or sent by the next GPU."""
        writer = self._writer
        if not end:
            return writer.allocate(self.course.programs.hidden)
        [played] = end
        if self._stage.projects:
            return play_backward(writer, played, 0, self._new_workspace(2))
        writer.release(played.result)  # handed on
        return play_backward(writer, played, writer.allocate(self.course.programs.hidden))
