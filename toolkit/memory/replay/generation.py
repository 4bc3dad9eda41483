"""Inference as events: the prompt through all layers, then tokens one after the other, each with a longer cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import chain, groupby, repeat
from typing import NamedTuple

from toolkit.memory.allocator.caching import SMALL_REQUEST
from toolkit.memory.architecture import LayerKind
from toolkit.memory.context import Context, Scale
from toolkit.memory.formula.caches.growth import growth
from toolkit.memory.formula.caches.kv_cache import kept_bytes
from toolkit.memory.formula.inputs import angles as angles_of
from toolkit.memory.formula.inputs import token_ids
from toolkit.memory.formula.linear.products import DEQUANTIZED
from toolkit.memory.formula.workspaces import workspaces_before
from toolkit.memory.ledger import PhaseName
from toolkit.memory.libraries.transformers_versions import behaviour
from toolkit.memory.programs.program import Program
from toolkit.memory.programs.programs import Programs
from toolkit.memory.replay.ends import end_script
from toolkit.memory.replay.events import Block, Events
from toolkit.memory.replay.loading import load
from toolkit.memory.replay.numbered import Numbered
from toolkit.memory.replay.played import play_forward
from toolkit.memory.replay.repeats import Repeats
from toolkit.memory.replay.script import Script, script_of
from toolkit.memory.replay.writer import GrowingWriter, Writer, held_inputs
from toolkit.memory.weights.linear_storage import fuses

FOLLOWED = 4
"""Tokens of which tensors of any size are followed at most, evenly spread: small ones are a pool of their own."""

GROWTHS = 256
"""Tokens at which the cache grows, at most: each of its tensors leaves a segment behind once it does not fit any more,
which is at every 2 MiB where they have segments of their own."""


PASSES = 3
"""Passes over the prompt of a warm-up that are followed: from the second on each begins beside a result."""


class Alike(NamedTuple):
    """So many layers one after the other that one script says, with caches of one kind."""

    script: Script
    kind: LayerKind
    layers: int


def generation_events(context: Context, programs: Programs) -> Events:
    """Loading, the prompt, and the tokens that are generated."""
    events = Events(grows=context.setting.expandable_segments)
    load(events, context)
    warm, workspace = context.setting.warmup, 0 if workspaces_before(context) else context.workspace
    if warm:
        _repeat(context, programs, events, workspace)
    if not warm or context.setting.generated_length:
        _generate(context, programs, events, 0 if warm else workspace)
    return events


def _generate(context: Context, programs: Programs, events: Events, workspace: int) -> None:
    """The prompt and what is generated: once, for an answer after that finds the segments of the first.

    Of Mistral and Vicuna in five storages, at one to 16 sequences, a second moves the ends by a hundredth at most.
    """
    batch = events.allocate(token_ids(context, PhaseName.LOAD))
    angles = events.allocate(angles_of(context, PhaseName.PREFILL))
    writer = Writer(events, context.scale)
    caches, result = _pass(context, programs, writer, workspace, holds=_holds_result(context))
    events.release(angles)
    events.release(batch)
    if context.generates:
        _decode(context, programs, events, caches, result)


def _repeat(context: Context, programs: Programs, events: Events, workspace: int) -> None:
    """Passes over the prompt in a loop that has a name for each result, logits and cache, until the next has it."""
    batch = events.allocate(token_ids(context, PhaseName.LOAD))
    held: list[Block] = []
    for number in range(PASSES):
        angles = events.allocate(angles_of(context, PhaseName.PREFILL))
        writer = Writer(events, context.scale)
        caches, logits = _pass(context, programs, writer, 0 if number else workspace, holds=True)
        events.release(angles)
        writer.release(*held)
        held = [logits, *chain.from_iterable(caches)]
    for block in (*held, batch):
        events.release(block)


def _pass(
    context: Context, programs: Programs, writer: Writer, workspace: int, *, holds: bool
) -> tuple[list[list[Block]], Block]:
    """All layers and the end; returns what each layer leaves in the cache, and the logits if the loop `holds` them.

    The first product asks for cuBLAS's `workspace` (aten/src/ATen/cuda/CublasHandlePool.cpp).
    """
    masks = writer.allocate_rows(programs.masks)
    stream = writer.allocate(programs.hidden)
    passing = held_inputs(writer, programs.passing, stream, writer.bytes(programs.hidden))
    left: list[list[Block]] = []
    for number, script in enumerate(scripts_of(programs.layers)):
        played = play_forward(writer, script, stream, workspace=0 if number else workspace)
        stream = played.result
        left.append([block for block in played.blocks.values() if block not in (played.given, stream)])
    here = context.stage is None or context.stage.embeds  # where the loop is given the logits
    played = play_forward(writer, end_script(context.stage, programs), stream, holds=holds and here, named=passing)
    writer.release(*masks, *(block for block in played.blocks.values() if block != played.given))
    return left, played.logits


def _holds_result(context: Context) -> bool:
    """Whether the loop has a name for the prompt's logits while the next token is decoded, or all of them."""
    decodes = context.generates and context.setting.generated_length > 1
    version = behaviour(context.architecture, context.setting)
    return decodes and (version.holds_result or version.keeps_prompt)


def scripts_of(programs: tuple[Program, ...], without: str = "") -> Iterator[Script]:
    """The script of each layer."""
    for program in programs:
        assert program.origin is not None, "every program of a run has an origin"
        yield from repeat(script_of(program.origin, without), program.count)


def _decode(context: Context, programs: Programs, events: Events, caches: list[list[Block]], result: Block) -> None:
    """Each token's keys and values are put together with those before in new tensors (cache_utils.py, torch.cat).

    The prompt's `result` has a name until the second pass gives the next one (generation/utils.py, greedy_search), or
    in a loop of somebody's own to the end. What is put together is there until it has been: no release of it comes
    before the new tensor, nor behind that of the next layer, for the name is bound at once. Few tokens are multiplied
    by packed weights, and nothing is dequantized for them.
    """
    events.is_settled()
    setting = context.setting
    keeps_prompt = behaviour(context.architecture, setting).keeps_prompt
    unpacked = DEQUANTIZED if fuses(setting) else ""
    reading = programs.decoding or programs.layers
    scripts = [*scripts_of(reading, unpacked), end_script(context.stage, programs, unpacked)]
    distinct = [*{id(script): script for script in scripts}.values()]
    whole = growth(context).whole
    count = max(setting.generated_length - 1, 0)
    growths = min(count, GROWTHS)
    batch, rank = context.scale.batch, context.scale.rank
    alike = _alike(scripts, context.architecture.layers)
    longest = Writer(events, Scale(batch, 1, rank=rank, keys=setting.sequence_length + count), SMALL_REQUEST)
    least = {True: 0, False: SMALL_REQUEST}
    writers = {follows: GrowingWriter(events, batch, size, rank=rank) for follows, size in least.items()}
    ever = [script for script in distinct if longest.asks(script.forward)]
    repeats = Repeats(events)
    moved, grown = 0, {}  # what is repeated only moves the blocks of those caches that grew
    for number in range(growths):
        tokens = setting.sequence_length + -(-count * (number + 1) // growths)
        follows = (number + 1) * FOLLOWED // growths > number * FOLLOWED // growths
        writer = writers[follows]
        writer.attend(tokens)
        # A tensor of a shorter cache is no larger: what asks for little beside the longest does so beside all.
        playing = {id(script) for script in (distinct if follows else ever) if writer.asks(script.forward)}
        kept = {id(kind): _cached(context, kind, tokens) for kind in context.architecture.layers}
        shape, asked = _asked(writer, alike, scripts[-1], playing, writer.bytes(programs.hidden), kept)
        if further := repeats.again(shape, asked):
            moved, grown = moved + further, kept
            continue
        if moved:
            caches = [
                [block + moved for block in held] if size else held
                for held, size in zip(caches, _by_layer(alike, grown), strict=True)
            ]
            moved = 0
        sizes = _by_layer(alike, kept)
        start = events.mark()
        stream = writer.allocate(programs.hidden)
        passed: list[Block] = []
        if not (playing - {id(scripts[-1])} or stream) and _is_plain(caches, sizes):  # nothing between two layers
            passed = [*chain.from_iterable(caches)] if whole else []
            caches, sizes = _grown(events, caches, sizes, whole=whole), []
        for place, size in enumerate(sizes):
            grows = size > 0  # no state of one size, which each token changes in place
            old, caches[place] = (caches[place], []) if grows else ([], caches[place])
            passed += old if whole else []
            for part in (old[:1], old[1:]) if grows else ():  # keys, then values
                caches[place].append(events.allocate(size))
                for block in () if whole else part:
                    events.release(block)
            if playing and (stream or id(scripts[place]) in playing):
                stream = play_forward(writer, scripts[place], stream).result
        played = play_forward(writer, scripts[-1], stream)
        writer.release(*(block for block in played.blocks.values() if block != played.given))
        if not keeps_prompt:
            events.release(result)
            result = 0
        events.release_all(passed)  # versions that hand on tuples hold the whole old cache meanwhile
        repeats.written(shape, asked, start)
    events.release(result)


def _alike(scripts: Sequence[Script], kinds: Iterable[LayerKind]) -> list[Alike]:
    """Layers that follow each other and are computed alike, with caches alike."""
    layers = zip(scripts, chain.from_iterable(repeat(kind, kind.count) for kind in kinds), strict=False)
    found = [[*pairs] for _, pairs in groupby(layers, lambda pair: (id(pair[0]), id(pair[1])))]
    return [Alike(*pairs[0], len(pairs)) for pairs in found]


def _by_layer(alike: Iterable[Alike], kept: Mapping[int, int]) -> list[int]:
    """What is `kept` for each kind, layer by layer."""
    return [*chain.from_iterable(repeat(kept[id(one.kind)], one.layers) for one in alike)]


def _asked(
    writer: GrowingWriter, alike: Iterable[Alike], last: Script, playing: Set[int], hidden: int, kept: Mapping[int, int]
) -> tuple[object, list[int]]:
    """What tokens have alike that ask for blocks and let go of them in the same order, and the sizes that one asks for.

    Those of the `hidden` state, of keys and values layer by layer, with what is computed there, and of the `last`, the
    end.
    """
    passes: dict[int, Numbered] = {}
    asked, grows = [hidden] if hidden else [], []
    for script, kind, layers in alike:
        size, number = kept[id(kind)], id(script)
        each = [size, size] if size else []
        if playing and (hidden or number in playing):
            passes[number] = writer.numbered(script.forward)
            each += passes[number].sizes
        asked += each * layers
        grows.append(size > 0)
    end = writer.numbered(last.forward)
    asked += end.sizes
    return ([*passes], hidden > 0, grows, [one.moves for one in (*passes.values(), end)]), asked


def _is_plain(caches: Sequence[Sequence[Block]], sizes: Sequence[int]) -> bool:
    """Whether each layer has keys and values, and all of them grow."""
    return all(sizes) and all(len(held) == 2 and all(held) for held in caches)


def _grown(
    events: Events, caches: Iterable[Iterable[Block]], sizes: Sequence[int], *, whole: bool
) -> list[list[Block]]:
    """The keys and values of each layer in new blocks; unless the old cache is handed on `whole`, it ends meanwhile."""
    both = [size for size in sizes for _ in ("keys", "values")]
    new = events.allocate_all(both) if whole else events.exchange([*chain.from_iterable(caches)], both)
    return [[*pair] for pair in zip(new[::2], new[1::2], strict=True)]


def _cached(context: Context, kind: LayerKind, tokens: int) -> int:
    """The bytes of the keys, and of the values, of so many tokens in a layer."""
    return 0 if kind.attention.recurrent else kept_bytes(context, kind, tokens) // 2
