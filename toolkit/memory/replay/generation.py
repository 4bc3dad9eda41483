"""Inference as events: the prompt through all layers, then tokens one after the other, each with a longer cache."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat

from toolkit.memory.allocator import SMALL_REQUEST
from toolkit.memory.context import Context, Scale
from toolkit.memory.formula.inputs import position_embeddings, token_ids
from toolkit.memory.formula.kv_cache import growth, kept_bytes
from toolkit.memory.ledger import PhaseName
from toolkit.memory.moments import Programs
from toolkit.memory.program import Program
from toolkit.memory.replay.loading import load
from toolkit.memory.replay.script import Script, script_of
from toolkit.memory.replay.writer import Block, Events, Writer, held_inputs, play_forward
from toolkit.memory.transformers_versions import behaviour

FOLLOWED = 4
"""Tokens of which tensors of any size are followed at most, evenly spread: small ones are a pool of their own."""

GROWTHS = 256
"""Tokens at which the cache grows, at most: each of its tensors leaves a segment behind once it does not fit any more,
which is at every 2 MiB where they have segments of their own."""


PASSES = 3
"""Passes over the prompt of a warm-up that are followed: from the second on each begins beside a result."""


def generation_events(context: Context, programs: Programs) -> Events:
    """Loading, the prompt, and the tokens that are generated."""
    events = Events()
    load(events, context)
    warm = context.setting.warmup
    if warm:
        _repeat(context, programs, events)
    if not warm or context.setting.generated_length:
        _generate(context, programs, events, 0 if warm else context.workspace)
    return events


def _generate(context: Context, programs: Programs, events: Events, workspace: int) -> None:
    """The prompt and what is generated: once, for an answer after that finds the segments of the first.

    Of Mistral and Vicuna in five storages, at one to 16 sequences, a second moves the ends by a hundredth at most.
    """
    batch = events.allocate(token_ids(context, PhaseName.LOAD))
    angles = events.allocate(position_embeddings(context, PhaseName.PREFILL))
    writer = Writer(events, context.scale)
    caches, result = _pass(programs, writer, workspace, holds=_holds_result(context))
    events.release(angles)
    events.release(batch)
    if context.generates:
        _decode(context, programs, events, caches, result)


def _repeat(context: Context, programs: Programs, events: Events) -> None:
    """Passes over the prompt in a loop that has a name for each result, logits and cache, until the next has it."""
    batch = events.allocate(token_ids(context, PhaseName.LOAD))
    held: list[Block] = []
    for number in range(PASSES):
        angles = events.allocate(position_embeddings(context, PhaseName.PREFILL))
        writer = Writer(events, context.scale)
        caches, logits = _pass(programs, writer, 0 if number else context.workspace, holds=True)
        events.release(angles)
        writer.release(*held)
        held = [logits, *chain.from_iterable(caches)]
    for block in (*held, batch):
        events.release(block)


def _pass(programs: Programs, writer: Writer, workspace: int, *, holds: bool) -> tuple[list[list[Block]], Block]:
    """All layers and the end; returns what each layer leaves in the cache, and the logits if the loop `holds` them.

    The first product asks for cuBLAS's `workspace` (aten/src/ATen/cuda/CublasHandlePool.cpp).
    """
    masks = writer.allocate_rows(programs.masks)
    stream = writer.allocate(programs.hidden)
    passing = held_inputs(writer, programs.passing, stream, writer.bytes(programs.hidden))
    left: list[list[Block]] = []
    for number, script in enumerate(_scripts(programs.layers)):
        played = play_forward(writer, script, stream, workspace=0 if number else workspace)
        stream = played.result
        left.append([block for block in played.blocks.values() if block not in (played.given, stream)])
    writer.release(*passing)
    [end] = _scripts((programs.head,))
    played = play_forward(writer, end, stream, holds=holds)
    writer.release(*masks, *(block for block in played.blocks.values() if block != played.given))
    return left, played.logits


def _holds_result(context: Context) -> bool:
    """Whether the loop has a name for the prompt's logits while the next token is decoded."""
    decodes = context.generates and context.setting.generated_length > 1
    return decodes and behaviour(context.architecture, context.setting).holds_result


def _scripts(programs: tuple[Program, ...]) -> Iterator[Script]:
    for program in programs:
        assert program.origin is not None, "every program of a run has an origin"
        for _ in range(program.count):
            yield script_of(program.origin)


def _decode(context: Context, programs: Programs, events: Events, caches: list[list[Block]], result: Block) -> None:
    """Each token's keys and values are put together with those before in new tensors (cache_utils.py, torch.cat).

    The prompt's `result` has a name until the second pass gives the next one (generation/utils.py, greedy_search).
    """
    setting = context.setting
    scripts = [*_scripts(programs.decoding or programs.layers), *_scripts((programs.head,))]
    distinct = {id(script): script for script in scripts}.values()
    whole = growth(context).whole
    count = max(setting.generated_length - 1, 0)
    grows = min(count, GROWTHS)
    for number in range(grows):
        tokens = setting.sequence_length + -(-count * (number + 1) // grows)
        follows = (number + 1) * FOLLOWED // grows > number * FOLLOWED // grows
        scale = Scale(context.scale.batch, 1, keys=tokens)
        writer = Writer(events, scale, 0 if follows else SMALL_REQUEST)
        plays = any(writer.numbered(script.forward).sizes for script in distinct)
        stream = writer.allocate(programs.hidden)
        passed: list[Block] = []
        for place, size in enumerate(_cached(context, tokens)):
            old, caches[place] = caches[place], []
            passed += old if whole else []
            for part in (old[:1], old[1:]):  # keys, then values
                caches[place].append(events.allocate(size))
                for block in () if whole else part:
                    events.release(block)
            stream = play_forward(writer, scripts[place], stream).result if plays else stream
        played = play_forward(writer, scripts[-1], stream)
        writer.release(*(block for block in played.blocks.values() if block != played.given))
        events.release(result)
        result = 0
        writer.release(*passed)  # versions that hand on tuples hold the whole old cache meanwhile


def _cached(context: Context, tokens: int) -> Iterator[int]:
    """The bytes of the keys, and of the values, of so many tokens in each layer."""
    for kind in context.architecture.layers:
        yield from repeat(kept_bytes(context, kind, tokens) // 2, kind.count)
