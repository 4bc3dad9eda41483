"""What one GPU has of a model whose layers are spread over several, and what passes through it.

Layers run one GPU after the other; a hook brings each its input (accelerate hooks.py, AlignDevicesHook). The model's
result goes back to the GPU of its input, the first (`io_same_device`), keys and values stay where they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from toolkit.memory.architecture import Architecture, Module, ModuleKind
from toolkit.memory.formula.caches.growth import Growth
from toolkit.memory.formula.ends.logits import FLOAT, LOGITS
from toolkit.memory.parallel.placement import Stage
from toolkit.memory.programs.layer_order import is_ordered
from toolkit.memory.programs.program import MAX_RECORDED, Program
from toolkit.memory.programs.programs import Programs
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.peaks import ALONE, Peaks, amounts


@lru_cache(maxsize=MAX_RECORDED)
def part_of(architecture: Architecture, stage: Stage) -> Architecture:
    """The part of a model that one GPU has: its modules, and how many layers."""
    kinds, order = architecture.layers, architecture.order
    if len(kinds) == 1:
        order = (0,) * architecture.layer_count
    elif not is_ordered(kinds, order):
        raise UnsupportedRow("parallel", "no formula for layers of kinds whose order is not known on several GPUs yet")
    counts = Counter(order[stage.first : stage.end])
    mine = sorted(counts) or [0]
    layers = tuple(replace(kinds[kind], count=counts[kind]) for kind in mine)
    own = tuple(mine.index(kind) for kind in order[stage.first : stage.end]) if architecture.order else ()
    return replace(architecture, modules=tuple(_modules(architecture, stage)), layers=layers, order=own)


@lru_cache(maxsize=MAX_RECORDED)
def outline_of(architecture: Architecture, stage: Stage) -> Architecture:
    """What the forms of layers are made of: of the whole model's modules, some of which say what others are like."""
    part = part_of(architecture, stage)
    return replace(architecture, layers=part.layers, order=part.order)


def _modules(architecture: Architecture, stage: Stage) -> Iterator[Module]:
    before = True
    for module in architecture.modules:
        if "{}" in module.path:
            before = False
            mine = tuple(name for name in module.layers if stage.first <= int(name.partition(".")[0]) < stage.end)
            if mine:
                yield replace(module, layers=mine)
        elif _is_mine(module, stage, before=before):
            yield module


def _is_mine(module: Module, stage: Stage, *, before: bool) -> bool:
    if module.kind is ModuleKind.HEAD:
        return stage.projects
    return stage.embeds if before else stage.norms


@lru_cache(maxsize=MAX_RECORDED)
def on_stage(programs: Programs, stage: Stage, vocabulary: int, dtype: str, *, early: bool) -> Programs:
    """The programs of one GPU. `early` says that logits of all tokens are made float32 where they are computed."""
    idle = Program(1, ALONE, {}, {}, ALONE, (), dtype)
    layers = programs.layers if stage.layers else (idle,)
    decoding = programs.decoding if stage.layers else ()
    return replace(
        programs,
        layers=layers,
        decoding=decoding,
        head=_end(programs.head, stage, vocabulary, dtype, early=early),
        passing=programs.passing if stage.embeds else {},
    )


def _end(head: Program, stage: Stage, vocabulary: int, dtype: str, *, early: bool) -> Program:
    """The end of a pass on one GPU: logits where they are computed, and their copy where the input came from.

    The norm after the last layer takes less than the norms of layers. Generation makes the last token's logits float32
    where they are handed to it.
    """
    if stage.projects:
        elsewhere = not stage.embeds and not early
        return replace(head, forward=head.forward.without(FLOAT)) if elsewhere else head
    if not stage.embeds:
        return replace(head, forward=ALONE)
    copy = (
        {FLOAT: Size(token=vocabulary * BYTES["fp32"])}
        if early
        else {
            LOGITS: Size(sequence=vocabulary * BYTES[dtype]),
            FLOAT: Size(sequence=vocabulary * BYTES["fp32"]),
        }
    )
    return replace(head, forward=Peaks.of([amounts(copy)]))


def grown(growth: Growth, stage: Stage) -> Growth:
    """What is there beside a growing cache on one GPU: the result of the step before is on the first alone."""
    if not stage.layers:
        return replace(growth, last=0, whole=False, second=())
    return growth if stage.embeds else replace(growth, second=())
