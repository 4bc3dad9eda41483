"""Passes without gradients between two steps of training, as events."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from toolkit.frozen import frozen
from toolkit.memory.context import Context, Scale
from toolkit.memory.formula.ends.predictions import predictions
from toolkit.memory.formula.inputs import angles, token_ids
from toolkit.memory.ledger import PhaseName
from toolkit.memory.programs.programs import Programs
from toolkit.memory.replay.ends import end_script
from toolkit.memory.replay.events import Block, Events
from toolkit.memory.replay.generation import scripts_of
from toolkit.memory.replay.played import play_forward
from toolkit.memory.replay.writer import Writer, held_inputs
from toolkit.memory.validated import passing_programs
from toolkit.memory.validation import batches_joined, batches_run
from toolkit.spec.fields.result import UNTIL_NEXT


@frozen
class Between:
    """What a validation is written from: its passes, and the numbers of the batches that it runs.

    In bytes: a batch's token ids, the tables of positions, and each tensor that is `kept` of it, of the GPU's own rows
    before they are gathered. `names`: the loop has a name for a result until the next.
    """

    programs: Programs
    scale: Scale
    joined: tuple[int, ...]
    run: frozenset[int]
    batch: int
    angles: int
    kept: tuple[int, ...]
    gpus: int
    names: bool


def between_of(context: Context) -> Between | None:
    """The validation of a run, if it has one."""
    validation, seen = context.setting.validation, context.validated
    if validation is None or seen is None:
        return None
    return Between(
        passing_programs(seen),
        seen.scale,
        batches_joined(validation),
        batches_run(validation),
        batch=token_ids(seen, PhaseName.LOAD),
        angles=angles(seen, PhaseName.VALIDATION),
        kept=predictions(seen) if validation.kept_batches else (),
        gpus=seen.setting.parallel.gpus,
        names=seen.setting.stack.result == UNTIL_NEXT,
    )


def validate(events: Events, between: Between) -> None:
    """Writes a validation: its passes, and how their predictions are joined, logits before labels."""
    held: list[Block] = []
    given: list[Block] = []
    joined: list[Block] = []
    for number in between.joined:
        if number in between.run:
            batch, turned = events.allocate(between.batch), events.allocate(between.angles)
            left = _pass(Writer(events, between.scale), between)
            events.release_all((turned, batch))
            events.release_all(held if between.names else left)
            held = left if between.names else []
        last, given = given, _gathered(events, between)  # names of the loop, which go to the next batch's
        events.release_all(block for block in last if block not in joined)
        for place, size in enumerate(between.kept if number > 1 else ()):
            whole = events.allocate(number * size)
            events.release(joined[place])
            joined[place] = whole
        joined = joined or [*given]
    events.release_all({*held, *given, *joined})


def _gathered(events: Events, between: Between) -> list[Block]:
    """What a batch gives, of all GPUs."""
    own = [events.allocate(size // between.gpus) for size in between.kept]
    if between.gpus == 1:
        return own
    return [_exchanged(events, block, size) for block, size in zip(own, between.kept, strict=True)]


def _exchanged(events: Events, own: Block, size: int) -> Block:
    whole = events.allocate(size)
    events.release(own)
    return whole


def _pass(writer: Writer, between: Between) -> list[Block]:
    """All layers and the end; returns what stays until the pass is over: casts of weights, keys and values, logits."""
    programs = between.programs
    masks = writer.allocate_rows(programs.masks)
    stream = writer.allocate(programs.hidden)
    size = writer.bytes(programs.hidden)
    passing = held_inputs(writer, programs.passing, stream, size)
    called = held_inputs(writer, programs.called, stream, size)
    left: list[Iterable[Block]] = []
    for script in scripts_of(programs.layers):
        played = play_forward(writer, script, stream)
        stream = played.result
        left.append([block for block in played.blocks.values() if block not in (played.given, stream)])
    end = play_forward(writer, end_script(None, programs), stream, holds=between.names, named=passing)
    writer.release(*called, *masks)
    ended = [end.logits, *(block for block in end.blocks.values() if block != end.given)]
    return [block for block in (*chain.from_iterable(left), *ended) if block]
