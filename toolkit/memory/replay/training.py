"""Two steps of training, as events: the first has no optimizer states yet, the second is like all that follow."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace
from functools import cached_property

from toolkit.memory.context import Context
from toolkit.memory.formula.workspaces import workspaces_before
from toolkit.memory.programs.program import CHECKPOINTS, Origin
from toolkit.memory.programs.programs import Programs
from toolkit.memory.replay.course import Course, course_of
from toolkit.memory.replay.events import Block, Events
from toolkit.memory.replay.loading import load, trained_in_order
from toolkit.memory.replay.played import Played, held_results, leave, play_backward, play_forward
from toolkit.memory.replay.script import NO_PASS, Script, opening_script, script_of
from toolkit.memory.replay.validation import validate
from toolkit.memory.replay.writer import Writer, held_inputs
from toolkit.memory.weights.sums import Trained
from toolkit.spec.fields.result import UNTIL_LOSS, UNTIL_STEP

STEPS = 2


class Run:
    """A training run that writes its events. `retains`: inputs and gradients of later layers stay to the end.

    `holds`: the loop has a name for the model's result, logits and all, until the next result takes its place;
    otherwise for as long as the setting says, or until there is the loss.
    """

    def __init__(self, context: Context, programs: Programs, *, retains: bool = False, holds: bool = False) -> None:
        self._context = context
        self._programs = programs
        self._retains = retains
        self._holds = holds
        self._writer = Writer(Events(grows=context.setting.expandable_segments), context.scale)
        self._result: list[Block] = []
        self._is_loaded = False
        self._has_workspace = 0
        self._has_states = False

    @cached_property
    def course(self) -> Course:
        """What all is written from that follows the model."""
        return course_of(self._context, self._programs, self.states(), holds=self._holds, retains=self._retains)

    def events(self) -> Events:
        """Loading, preparing, and two steps."""
        self._load_once()
        for step in range(STEPS):
            for number in range(self.course.micro_batches):
                self.pass_through(accumulates=number > 0 or (step > 0 and self.course.keeps_gradients))
            self.step()
            self.validate()
        return self._writer.events

    def said(self) -> Hashable:
        """What the events follow from, all of it: runs that say the same have the same. To be asked before the events.

        A kind of run whose own methods read more says that, too.
        """
        self._load_once()
        there = self._writer.events
        loading = tuple(there.sizes), tuple(there.written), there.loaded, there.block, there.grows
        return type(self), self.course, self._has_workspace, loading

    def _load_once(self) -> None:
        if not self._is_loaded:
            self._is_loaded = True
            self.load()

    def load(self) -> None:
        """The model, and what training puts beside it."""
        load(self._writer.events, self._context)
        self._has_workspace = workspaces_before(self._context)

    def before_layer(self, place: int) -> None:
        """What precedes a layer's forward."""

    def after_forward(self, place: int) -> None:
        """What follows it."""

    def before_backward(self, place: int) -> None:
        """What precedes a layer's backward."""

    def before_end(self) -> None:
        """What precedes the end of the model."""

    def before_loss(self) -> None:
        """What precedes the loss's backward."""

    def after_layer(self, gradients: int) -> None:
        """What follows a layer's backward, before which there were so many gradients."""

    def after_backward(self) -> None:
        """What follows the last gradient."""

    def pass_through(self, *, accumulates: bool) -> None:
        """A forward and a backward pass."""
        writer, course = self._writer, self.course
        events, programs = writer.events, course.programs
        if course.until == UNTIL_STEP:
            writer.release(*self._result)
            self._result = []
        batch = events.allocate(course.batch)
        angles = events.allocate(course.angles)
        opened, front, hidden = self._open()
        masks = writer.allocate_rows(programs.masks)  # made once tokens are embedded
        passing = self._names_of(opened, hidden)
        called = held_inputs(writer, programs.called, hidden, writer.bytes(programs.hidden))
        layers: list[Played] = []
        stream = hidden
        for place, script in enumerate(self._layers(accumulates=accumulates)):
            self.before_layer(place)
            layers.append(play_forward(writer, script, stream, workspace=self._new_workspace(1)))
            stream = layers[-1].result
            self.after_forward(place)
        waits = CHECKPOINTS in programs.layers[0].kept
        last = self._script(programs.head.origin, accumulates=accumulates and not course.joins)
        self.before_end()
        end = play_forward(
            writer, last, stream, holds=course.until != UNTIL_LOSS, named=[*passing, *([] if waits else masks)]
        )
        writer.release(*called)
        result = [*held_results(writer, layers), end.logits] if course.until != UNTIL_LOSS else []
        writer.release(*self._result)  # the name of the last result is bound to this one
        self._result = result
        for played in (*opened, *layers, end):
            leave(writer, played)
        self.before_loss()
        penalties = self._of_penalty(len(layers))
        earlier = len(writer.gradients)
        gradient = play_backward(writer, end, 0, self._new_workspace(2))
        waiting = self._of_output(earlier, accumulates=accumulates) if course.joins else 0
        held: list[Block] = []
        for place, played in reversed([*enumerate(layers)]):
            self.before_backward(place)
            before = len(writer.gradients)
            if course.retains and played is not layers[0]:
                writer.hold(played.given)
            gradient = play_backward(writer, played, gradient)
            if course.retains and played is not layers[0]:
                writer.hold(gradient)
                held += played.given, gradient
            self.after_layer(before)
            writer.release(*penalties[place])
        self._keep_leaf(hidden, gradient)
        for played in opened:
            if played.script.backward is not NO_PASS:
                gradient = play_backward(writer, played, gradient)
        writer.release(*front)  # of the embeddings' norm and dropout, which go back before the table
        self._at_embedding(gradient, waiting, accumulates=accumulates)
        writer.release(*held)
        self.after_backward()
        writer.release(*(masks if waits else ()), angles, batch)
        for played in (*opened, *layers, end):
            linked = (played.given, played.result)
            writer.release(*(block for block in played.blocks.values() if block not in linked))

    def _open(self) -> tuple[list[Played], list[Block], Block]:
        """What runs before the first layer, if that is followed, what else stays of it until backward, its result."""
        writer, programs = self._writer, self.course.programs
        opening = programs.opening
        opened = [play_forward(writer, opening_script(opening), 0)] if opening else []
        front = writer.allocate_rows(programs.front, opening.rows if opening else ())
        if programs.scattered:
            writer.release(writer.events.allocate(programs.scattered))
        return opened, front, opened[0].result if opened else writer.allocate(programs.hidden)

    def _names_of(self, opened: list[Played], hidden: Block) -> list[Block]:
        """What the model's code has names for until it returns."""
        if opened and opened[0].script.named:
            return [opened[0].blocks.pop(key) for key in opened[0].script.named]
        writer, programs = self._writer, self.course.programs
        return held_inputs(writer, programs.passing, hidden, writer.bytes(programs.hidden))

    def _of_penalty(self, layers: int) -> list[list[Block]]:
        """The gradients of a penalty, which wait for those of each layer; of the first layer those that none has.

        Autograd makes them first, by products.
        """
        events, found = self._writer.events, [list[Block]() for _ in range(layers)]
        if self.course.penalty:
            events.allocate(self._new_workspace(2))
        for size, count in self.course.penalty:
            each, rest = divmod(count, layers)
            for place, blocks in enumerate(found):
                blocks += [events.allocate(size) for _ in range(each + (0 if place else rest))]
        return found

    def _keep_leaf(self, leaf: Block, gradient: Block) -> None:
        """Embeddings that are a leaf, and their gradient, in which the graph of a result that has a name ends."""
        if self.course.programs.leaf and self.course.until != UNTIL_LOSS:
            for block in (leaf, gradient):
                self._writer.hold(block)
                self._result.append(block)

    def step(self) -> None:
        """The optimizer's step, its states where they are not there yet, and the end of all gradients."""
        events = self._writer.events
        update = self.course.step if self._has_states else self.course.first
        self._has_states = True
        events.move(update.moves, events.make(update.sizes))
        if not self.course.keeps_gradients:
            self._writer.release(*self._writer.gradients)
            self._writer.gradients.clear()

    def validate(self) -> None:
        """Passes without gradients after a step, if there are such."""
        if self.course.until == UNTIL_STEP:
            self._writer.release(*self._result)
            self._result = []
        if self.course.between is not None:
            validate(self._writer.events, self.course.between)

    def states(self) -> Iterator[Trained]:
        """Whatever has states, in the order in which they are made."""
        return trained_in_order(self._context)

    def _layers(self, *, accumulates: bool) -> Iterator[Script]:
        for program in self.course.programs.layers:
            script = self._script(program.origin, accumulates=accumulates)
            for _ in range(program.count):
                yield script

    @staticmethod
    def _script(origin: Origin | None, *, accumulates: bool) -> Script:
        assert origin is not None, "every program of a run has an origin"
        if origin.stream.accumulates != accumulates:
            origin = replace(origin, stream=replace(origin.stream, accumulates=accumulates))
        return script_of(origin)

    def _new_workspace(self, threads: int) -> int:
        """CuBLAS's scratch memory, which each thread takes once: what one more thread asks for."""
        if self._has_workspace >= threads:
            return 0
        self._has_workspace += 1
        return self.course.workspace

    def _of_output(self, earlier: int, *, accumulates: bool) -> Block:
        """The gradient of a tied output weight, which waits for the embedding's (torch/csrc/autograd/input_buffer.cpp).

        All else that the model's end gives is added to what is there, if it `accumulates`.
        """
        writer, size = self._writer, self.course.programs.embedding
        made = writer.gradients[earlier:]
        waiting = next((block for block in made if writer.events.sizes[block] == size), 0)
        rest = [block for block in made if block != waiting]
        writer.gradients[earlier:] = [] if accumulates else rest
        writer.release(*(rest if accumulates else ()))
        return waiting

    def _of_positions(self, *, accumulates: bool) -> None:
        """The gradients of other tables that are added to the tokens', as of positions, and of virtual tokens."""
        made = self._writer.events.allocate(self.course.added)
        if accumulates:
            self._writer.release(made)
        elif made:
            self._writer.gradients.append(made)

    def _at_embedding(self, gradient: Block, waiting: Block, *, accumulates: bool) -> None:
        """The gradient of a trained token embedding; of a tied one it is added to the output weight's, if `waiting`."""
        writer, programs = self._writer, self.course.programs
        self._of_positions(accumulates=accumulates)
        new = writer.events.allocate(programs.embedding)
        if programs.scattered:
            writer.release(writer.events.allocate(programs.scattered))
        writer.release(gradient)
        if not new:
            return
        if not programs.tied and not accumulates:
            writer.gradients.append(new)
            return
        total = writer.events.allocate(programs.embedding) if programs.adds_anew(writer.scale.chunks) else 0
        if not waiting:
            writer.release(total, new)
            return
        writer.release(*((waiting, new) if total else (new,)))
        total = total or waiting
        if accumulates:
            writer.release(total)
        else:
            writer.gradients.append(total)
