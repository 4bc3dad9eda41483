"""Inference as events: the prompt through all layers, then tokens one after the other, each with a longer cache."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.memory.context import Context, Scale
from toolkit.memory.formula.inputs import position_embeddings, token_ids
from toolkit.memory.formula.kv_cache import growth, kept_bytes
from toolkit.memory.ledger import PhaseName
from toolkit.memory.moments import Programs
from toolkit.memory.program import Program
from toolkit.memory.replay.loading import load
from toolkit.memory.replay.script import Script, script_of
from toolkit.memory.replay.writer import Block, Events, Writer, held_inputs, play_forward

FOLLOWED = 16
"""Tokens of which all tensors are followed at most, evenly spread: what lies between them is much the same."""

GROWTHS = 128
"""Tokens at which the cache grows, at most: each of its tensors leaves a segment behind once it does not fit any more,
which is at every 2 MiB where they have segments of their own."""


def generation_events(context: Context, programs: Programs) -> Events:
    """Loading, the prompt, and the tokens that are generated."""
    events = Events()
    load(events, context)
    batch = events.allocate(token_ids(context, PhaseName.LOAD))
    events.allocate(context.workspace)
    angles = events.allocate(position_embeddings(context, PhaseName.PREFILL))
    caches = _pass(Writer(events, context.scale), programs, programs.layers)
    events.release(angles)
    events.release(batch)
    if context.generates:
        _decode(context, programs, events, caches)
    return events


def _pass(writer: Writer, programs: Programs, layers: tuple[Program, ...]) -> list[list[Block]]:
    """All layers and the end; returns what each layer leaves in the cache."""
    masks = writer.allocate_rows(programs.masks)
    stream = writer.allocate(programs.hidden)
    passing = held_inputs(writer, programs.passing, stream, writer.bytes(programs.hidden))
    left: list[list[Block]] = []
    for script in _scripts(layers):
        played = play_forward(writer, script, stream)
        stream = played.result
        left.append([block for block in played.blocks.values() if block not in (played.given, stream)])
    writer.release(*passing)
    [end] = _scripts((programs.head,))
    played = play_forward(writer, end, stream)
    writer.release(*masks, *(block for block in played.blocks.values() if block != played.given))
    return left


def _scripts(programs: tuple[Program, ...]) -> Iterator[Script]:
    for program in programs:
        assert program.origin is not None, "every program of a run has an origin"
        for _ in range(program.count):
            yield script_of(program.origin)


def _decode(context: Context, programs: Programs, events: Events, caches: list[list[Block]]) -> None:
    """Each token's keys and values are put together with those before in new tensors (cache_utils.py, torch.cat)."""
    setting = context.setting
    kinds = [kind for kind in context.architecture.layers for _ in range(kind.count)]
    layers = list(_scripts(programs.decoding or programs.layers))
    whole = growth(context).whole
    count = max(setting.generated_length - 1, 0)
    grows = min(count, GROWTHS)
    for number in range(grows):
        tokens = setting.sequence_length + -(-count * (number + 1) // grows)
        follows = (number + 1) * FOLLOWED // grows > number * FOLLOWED // grows
        writer = Writer(events, Scale(context.scale.batch, 1, keys=tokens))
        stream = writer.allocate(programs.hidden) if follows else 0
        passed: list[Block] = []
        for place, (kind, script) in enumerate(zip(kinds, layers, strict=True)):
            old, caches[place] = caches[place], []
            passed += old if whole else []
            for part in (old[:1], old[1:]):  # keys, then values
                caches[place].append(events.allocate(kept_bytes(context, kind, tokens) // 2))
                for block in () if whole else part:
                    events.release(block)
            stream = play_forward(writer, script, stream).result if follows else 0
        if follows:
            [end] = _scripts((programs.head,))
            played = play_forward(writer, end, stream)
            writer.release(*(block for block in played.blocks.values() if block != played.given))
        writer.release(*passed)  # versions that hand on tuples hold the whole old cache meanwhile
