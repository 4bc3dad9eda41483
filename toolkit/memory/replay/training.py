"""Two steps of training, as events: the first has no optimizer states yet, the second is like all that follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain

from toolkit.memory.context import Context
from toolkit.memory.formula.ends.logits import NAMED
from toolkit.memory.formula.inputs import position_embeddings, token_ids
from toolkit.memory.formula.optimizers.optimizer import setting_of_copies, state_blocks
from toolkit.memory.formula.optimizers.optimizer_step import step_blocks
from toolkit.memory.formula.workspaces import workspaces_before
from toolkit.memory.ledger import PhaseName
from toolkit.memory.libraries.losses import loss_of
from toolkit.memory.libraries.versions import older
from toolkit.memory.programs.program import CHECKPOINTS, Origin
from toolkit.memory.programs.programs import Programs
from toolkit.memory.replay.events import Block, Events
from toolkit.memory.replay.loading import load, trained_in_order
from toolkit.memory.replay.script import Script, script_of
from toolkit.memory.replay.writer import (
    Played,
    Writer,
    held_inputs,
    leave,
    play_backward,
    play_forward,
)
from toolkit.memory.size import BYTES
from toolkit.memory.weights.numerics import TORCH_FREES_GRADIENTS
from toolkit.memory.weights.sums import Trained
from toolkit.spec.fields.result import UNTIL_LOSS, UNTIL_NEXT, UNTIL_STEP

STEPS = 2
MICRO_BATCHES = 2
"""Micro-batches that are followed at most: the second finds the gradients of the first, as do all later."""


class Run:
    """A training run that writes its events. `retains`: inputs and gradients of later layers stay to the end.

    `holds`: the loop has a name for the model's result, logits and all, until the next result takes its place;
    otherwise for as long as the setting says, or until there is the loss.
    """

    def __init__(self, context: Context, programs: Programs, *, retains: bool = False, holds: bool = False) -> None:
        names = holds or loss_of(context.setting) == NAMED
        self._until = UNTIL_NEXT if names else context.setting.stack.result or UNTIL_LOSS
        self._result: Block = 0
        self._retains = retains
        self._context = context
        self._programs = programs
        self._writer = Writer(Events(), context.scale)
        self._has_workspace = 0
        self._has_states = False
        self._step: list[int] | None = None
        self._keeps_gradients = older(context.setting, "torch", TORCH_FREES_GRADIENTS)

    def events(self) -> Events:
        """Loading, preparing, and two steps."""
        self.load()
        for step in range(STEPS):
            for number in range(MICRO_BATCHES if self._context.setting.gradient_accumulation > 1 else 1):
                self.pass_through(accumulates=number > 0 or (step > 0 and self._keeps_gradients))
            self.step()
        return self._writer.events

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
        writer, programs = self._writer, self._programs
        events = writer.events
        if self._until == UNTIL_STEP:
            writer.release(self._result)
            self._result = 0
        batch = events.allocate(token_ids(self._context, PhaseName.LOAD))
        angles = events.allocate(position_embeddings(self._context, PhaseName.FORWARD_END))
        masks, front = writer.allocate_rows(programs.masks), writer.allocate_rows(programs.front)
        if programs.scattered:
            writer.release(events.allocate(programs.scattered))
        hidden = writer.allocate(programs.hidden)
        passing = held_inputs(writer, programs.passing, hidden, writer.bytes(programs.hidden))
        called = held_inputs(writer, programs.called, hidden, writer.bytes(programs.hidden))
        layers: list[Played] = []
        stream = hidden
        for place, script in enumerate(self._layers(accumulates=accumulates)):
            self.before_layer(place)
            layers.append(play_forward(writer, script, stream, workspace=self._new_workspace(1)))
            stream = layers[-1].result
            self.after_forward(place)
        writer.release(*passing)
        waits = CHECKPOINTS in programs.layers[0].kept
        if not waits:
            writer.release(*masks)
        last = self._script(programs.head.origin, accumulates=accumulates)
        self.before_end()
        end = play_forward(writer, last, stream, holds=self._until != UNTIL_LOSS)
        writer.release(*called)
        writer.release(self._result)  # the name of the last result is bound to this one
        self._result = end.logits
        for played in (*layers, end):
            leave(writer, played)
        self.before_loss()
        events.allocate(self._new_workspace(2))
        gradient = play_backward(writer, end, 0)
        held: list[Block] = []
        for place, played in reversed([*enumerate(layers)]):
            self.before_backward(place)
            before = len(writer.gradients)
            if self._retains and played is not layers[0]:
                writer.hold(played.given)
            gradient = play_backward(writer, played, gradient)
            if self._retains and played is not layers[0]:
                writer.hold(gradient)
                held += played.given, gradient
            self.after_layer(before)
        self._at_embedding(gradient, accumulates=accumulates)
        writer.release(*held)
        self.after_backward()
        writer.release(*(masks if waits else ()), *front, angles, batch)
        for played in (*layers, end):
            linked = (played.given, played.result)
            writer.release(*(block for block in played.blocks.values() if block not in linked))

    def step(self) -> None:
        """The optimizer's step, its states where they are not there yet, and the end of all gradients."""
        setting, events = self._context.setting, self._writer.events
        if not self._has_states:
            self._has_states = True
            copies = setting_of_copies(self._context)
            states = _of_each(self.states(), lambda one: state_blocks(one, copies if one.copied else setting))
            events.allocate_all(states)
        if self._step is None:
            self._step = self._step_blocks()
        events.release_all(events.allocate_all(self._step))
        if not self._keeps_gradients:
            self._writer.release(*self._writer.gradients)
            self._writer.gradients.clear()

    def _step_blocks(self) -> list[int]:
        """The bytes of each tensor that the optimizer makes for a step."""
        setting = self._context.setting
        parts = [*chain.from_iterable(step_blocks(self._context))]
        if setting.optimizer == "adamw" and setting.optimizer_implementation == "foreach" and any(parts):
            item, of_copies = (BYTES[one.optimizer_states] for one in (setting, setting_of_copies(self._context)))
            return [*_of_each(self.states(), lambda one: (one.elements * (of_copies if one.copied else item),))]
        return parts

    def states(self) -> Iterator[Trained]:
        """Whatever has states, in the order in which they are made."""
        return trained_in_order(self._context)

    def _layers(self, *, accumulates: bool) -> Iterator[Script]:
        for program in self._programs.layers:
            script = self._script(program.origin, accumulates=accumulates)
            for _ in range(program.count):
                yield script

    @staticmethod
    def _script(origin: Origin | None, *, accumulates: bool) -> Script:
        assert origin is not None, "every program of a run has an origin"
        return script_of(replace(origin, stream=replace(origin.stream, accumulates=accumulates)))

    def _new_workspace(self, threads: int) -> int:
        """CuBLAS's scratch memory, which each thread takes once: what one more thread asks for."""
        if self._has_workspace >= threads:
            return 0
        self._has_workspace += 1
        return self._context.workspace

    def _at_embedding(self, gradient: Block, *, accumulates: bool) -> None:
        """The gradient of a trained token embedding; a tied one is added to the output weight's."""
        writer, programs = self._writer, self._programs
        new = writer.events.allocate(programs.embedding)
        if programs.scattered:
            writer.release(writer.events.allocate(programs.scattered))
        writer.release(gradient)
        if not new:
            return
        if not programs.tied and not accumulates:
            writer.gradients.append(new)
            return
        if programs.adds_anew(writer.scale.chunks):
            writer.release(writer.events.allocate(programs.embedding))
        writer.release(new)


def _of_each(states: Iterable[Trained], blocks_of: Callable[[Trained], tuple[int, ...]]) -> Iterator[int]:
    """The bytes of each block of each state; worked out once for tensors of one form."""
    known: dict[int, tuple[Trained, tuple[int, ...]]] = {}
    for one in states:
        found = known.get(id(one))
        if found is None:
            found = known[id(one)] = one, blocks_of(one)  # kept with the form, so its id stays its
        yield from found[1]
