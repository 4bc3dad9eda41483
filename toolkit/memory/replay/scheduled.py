"""Training on one stage of a pipeline with a schedule, as events: several micro-batches are on their way at once.

Source: torch/distributed/pipelining/schedules.py, _step_microbatches; stage.py. What torch has of which micro-batch,
and for how long, is in parallel/schedule.py.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from toolkit.memory.context import Context
from toolkit.memory.formula.inputs import angles
from toolkit.memory.ledger import PhaseName
from toolkit.memory.parallel.placement import Stage
from toolkit.memory.parallel.schedule import order_of
from toolkit.memory.programs.programs import Programs
from toolkit.memory.replay.events import Block, Events
from toolkit.memory.replay.played import Played, leave, play_backward, play_forward
from toolkit.memory.replay.training import STEPS, Run
from toolkit.memory.replay.writer import held_inputs
from toolkit.spec.fields.parallel import GPIPE


@dataclass(slots=True)
class OnItsWay:
    """A micro-batch that has gone forward: its layers and end, what it gave, and what else is kept for its way back."""

    layers: list[Played]
    end: Played | None
    result: Block
    beside: list[Block]


class ScheduledRun(Run):
    """A run on one stage. `late`: the last result is let go of after the next loss, not before it.

    In torch's code the next result takes its place between the two, which a script of both has no place for.
    """

    def __init__(self, context: Context, programs: Programs, stage: Stage, *, late: bool = False) -> None:
        super().__init__(context, programs)
        parallel, count = context.setting.parallel, context.setting.gradient_accumulation
        self._stage, self._late, self._count = stage, late, count
        self._waits = parallel.schedule == GPIPE  # for all messages at once
        self._order = order_of(str(parallel.schedule), count, stage.gpu, parallel.gpus)
        self._ahead = min(count, parallel.gpus - stage.gpu)
        self._returns = parallel.returns_outputs and stage.projects
        self._angles = angles(context, PhaseName.FORWARD_END)
        self._given: list[Block] = []
        self._gradients: list[Block] = []
        self._outputs: list[Block] = []
        self._named: Block = 0
        self._messages: list[Block] = []
        self._sent: list[Block] = []

    def said(self) -> Hashable:
        """Also which stage it is, and in which order micro-batches go through it."""
        return super().said(), self._stage, self._order, self._returns, self._late

    def events(self) -> Events:
        """Loading, and two steps of all micro-batches."""
        self._load_once()
        for _ in range(STEPS):
            self._pass_all()
            self.step()
        return self._writer.events

    def _pass_all(self) -> None:
        writer = self._writer
        writer.release(*self._outputs)
        self._outputs = []
        batch = writer.events.allocate(self.course.batch)
        self._make_buffers()
        going: dict[int, OnItsWay] = {}
        for forward, number in self._order:
            if forward:
                going[number] = self._go_forward(number)
                continue
            if not self._waits and len(going) < self._ahead:  # the first is sent back alone
                writer.release(*self._messages)
                self._messages = []
            self._go_back(number, going.pop(number))
        writer.release(*self._messages, *self._sent, self._named, batch)
        self._messages, self._sent, self._named = [], [], 0
        if self._returns:
            writer.release(writer.events.allocate(sum(writer.events.sizes[block] for block in self._outputs)))

    def _make_buffers(self) -> None:
        """What torch makes before the first step, and keeps."""
        size, stage = self.course.programs.hidden, self._stage
        if not self._given and not stage.embeds:
            self._given = [self._writer.allocate(size) for _ in range(self._count)]
        if not self._gradients and stage.hands_on:
            self._gradients = [self._writer.allocate(size) for _ in range(self._count)]

    def _go_forward(self, number: int) -> OnItsWay:
        """The forward pass of a micro-batch, whose result has a holder until it is back, and its message another."""
        writer, programs = self._writer, self.course.programs
        beside = [writer.events.allocate(self._angles), *writer.allocate_rows(programs.masks)]
        stream = self._given[number] if self._given else writer.allocate(programs.hidden)
        if self._given:
            writer.hold(stream)
        passing = (
            held_inputs(writer, programs.passing, stream, writer.bytes(programs.hidden)) if programs.passing else []
        )
        layers = []
        for script in self._layers(accumulates=number > 0 or self.course.keeps_gradients):
            layers.append(play_forward(writer, script, stream, workspace=self._new_workspace(1)))
            stream = layers[-1].result
        writer.release(*passing)
        end = self._end(stream, number) if self._stage.projects else None
        for played in (*layers, *([end] if end else ())):
            leave(writer, played)
        result = end.logits if end else stream
        if not end and (self._waits or number == self._ahead - 2):
            writer.hold(result)
            self._messages.append(result)
        return OnItsWay(layers, end, result, beside)

    def _end(self, stream: Block, number: int) -> Played:
        """The end of the model with its loss, and the names of its result: of the code, and of who asked for all."""
        writer, before = self._writer, self._named
        if not self._late:
            writer.release(before)
        script = self._script(self.course.programs.head.origin, accumulates=number > 0)
        end = play_forward(writer, script, stream, holds=True)
        if self._late:
            writer.release(before)
        self._named = end.logits
        writer.hold(end.logits)
        if self._returns:
            writer.hold(end.logits)
            self._outputs.append(end.logits)
        return end

    def _go_back(self, number: int, one: OnItsWay) -> None:
        """Its way back, at the end of which the gradient of its input is sent, and its result is let go of."""
        writer = self._writer
        if one.end is not None:
            gradient = play_backward(writer, one.end, 0, self._new_workspace(2))
        else:
            gradient = self._gradients[number]
            if one.layers[-1].script.apart:  # which lets go of it when it returns
                writer.hold(gradient)
        for played in reversed(one.layers):
            gradient = play_backward(writer, played, gradient, self._new_workspace(2))
        if self._stage.embeds:
            self._at_embedding(gradient, 0, accumulates=number > 0)
        else:
            if not self._waits:
                writer.release(*self._sent)
                self._sent = []
            self._sent.append(gradient)
        writer.release(one.result, *one.beside)
        for played in (*one.layers, *([one.end] if one.end else ())):
            linked = (played.given, played.result)
            writer.release(*(block for block in played.blocks.values() if block not in linked))
