"""A pipeline whose micro-batches torch schedules: which layers each stage has, and what waits at each moment.

Each GPU is a stage. Sources: torch/distributed/pipelining/schedules.py, ScheduleGPipe and Schedule1F1B,
_step_microbatches; stage.py, forward_one_chunk, backward_one_chunk, get_bwd_send_ops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

from toolkit.frozen import frozen
from toolkit.memory.architecture import Architecture, ModuleKind
from toolkit.memory.architecture.megatron import FAMILY as MEGATRON
from toolkit.memory.parallel.placement import Stage
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.fields.parallel import GPIPE
from toolkit.spec.settings.setting import Parallel, Setting

AROUND = Counter((ModuleKind.EMBEDDING, ModuleKind.NORM, ModuleKind.HEAD))
"""What lies around the layers of a model of which it is known how a loop splits it."""

MAX_CACHED = 4096


@frozen
class Beside:
    """What a stage has beside the micro-batch in turn.

    So many micro-batches are `waiting` for their way back. Of so many that are done the stage still has the `results`,
    and of so many the gradient of the input, which was `sent` to the stage before. The last result of all may be
    `named` until the next one is given.
    """

    waiting: int = 0
    results: int = 0
    sent: int = 0
    named: int = 0

    def reaches(self, other: Beside) -> bool:
        """Whether it has as much of everything."""
        return all(mine >= its for mine, its in zip(self.parts, other.parts, strict=True))

    @property
    def parts(self) -> tuple[int, int, int, int]:
        """All of it."""
        return self.waiting, self.results, self.sent, self.named


@frozen
class Moments:
    """Before which micro-batches go forward and back: while there are no gradients yet, and once there are."""

    first_forward: tuple[Beside, ...]
    first_backward: tuple[Beside, ...]
    later_forward: tuple[Beside, ...]
    later_backward: tuple[Beside, ...]


MOST_STAGES = 256
"""Stages of a pipeline at most: work grows faster than they do, and a spec may say any number."""


def scheduled_stages(architecture: Architecture, setting: Setting) -> tuple[Stage, ...]:
    """The stages of a pipeline, each with as many layers. Raises UnsupportedRow where there is no such pipeline."""
    gpus = setting.parallel.gpus
    if gpus < 2:
        raise UnsupportedRow("parallel", "a pipeline with a schedule has two stages or more, each on a GPU of its own")
    if gpus > MOST_STAGES:
        raise UnsupportedRow("parallel", f"no pipeline of more than {MOST_STAGES} stages is followed, each by itself")
    if architecture.tied:
        raise UnsupportedRow("parallel", "no formula for an output weight that is the embedding's on two stages yet")
    around = Counter(one.kind for one in architecture.modules if "{}" not in one.path and one.tensors)
    if architecture.family == MEGATRON:  # whose first stage has all embeddings
        around[ModuleKind.EMBEDDING] = 1
    if around - AROUND or not around[ModuleKind.HEAD]:
        raise UnsupportedRow(
            "parallel", "no formula for stages of more than an embedding, layers, a norm and a head yet"
        )
    last = gpus - 1
    return tuple(
        Stage(
            gpu, *layers_of(architecture.layer_count, setting.parallel, gpu), embeds=gpu == 0, norms=gpu == last,
            projects=gpu == last, hands_on=gpu < last, scheduled=True,
        )
        for gpu in range(gpus)
    )  # fmt: skip


def layers_of(count: int, parallel: Parallel, stage: int) -> tuple[int, int]:
    """The layers of a stage, from one up to another.

    Raises UnsupportedRow where what is said is not of all layers, or where nothing is and stages cannot have as many;
    and where they cannot have them in chunks that are alike.
    """
    gpus, said, chunks = parallel.gpus, parallel.stage_layers, parallel.chunks
    if said and (len(said) != gpus or sum(said) != count):
        reason = f"{len(said)} stages of {sum(said)} layers in all are said, for {gpus} GPUs and {count} layers"
        raise UnsupportedRow("parallel", reason)
    if count % gpus and not said:
        reason = f"{count} layers cannot be split evenly into {gpus} stages: state parallel.stage_layers"
        raise UnsupportedRow("parallel", reason)
    each = said or (count // gpus,) * gpus
    if said and chunks > 1:
        raise UnsupportedRow("parallel", "no formula for chunks of stages with layers of their own (stage_layers) yet")
    if each[stage] % chunks:
        raise UnsupportedRow("parallel", f"{each[stage]} layers of a stage cannot be split evenly into {chunks} chunks")
    return sum(each[:stage]), sum(each[: stage + 1])


@lru_cache(maxsize=MAX_CACHED)
def moments_of(schedule: str, count: int, stage: int, stages: int, *, returns: bool) -> Moments:
    """What is there beside each of `count` micro-batches on a stage; the last one `returns` the results of all.

    Raises UnsupportedRow for a schedule that torch does not run.
    """
    if schedule != GPIPE and count < stages:
        raise UnsupportedRow("parallel", f"torch refuses {schedule} with fewer micro-batches ({count}) than stages")
    ways = _ends_of_gpipe(count, stage, stages) if schedule == GPIPE else _some_of_1f1b(count, stage, stages)
    found: dict[tuple[bool, bool], list[Beside]] = {(way, made): [] for way in (True, False) for made in (True, False)}
    is_first, is_last = stage == 0, stage == stages - 1
    for forward, done, there in ways:
        so_far = done if schedule == GPIPE or not done else count - 1  # of 1F1B's last stage nothing else changes
        results, named = (so_far, 0) if is_last and returns else (there.results, there.named)
        found[forward, done > 0].append(Beside(there.waiting, results, 0 if is_first else there.sent, named))
    return Moments(*(_largest(found[key]) for key in ((True, False), (False, False), (True, True), (False, True))))


def order_of(schedule: str, count: int, stage: int, stages: int) -> tuple[tuple[bool, int], ...]:
    """Which micro-batch goes forward (true) or back, one after the other, on a stage."""
    forward = back = 0
    order = []
    for goes_forward, *_ in (_gpipe if schedule == GPIPE else _one_f_one_b)(count, stage, stages):
        order.append((goes_forward, forward if goes_forward else back))
        forward, back = forward + goes_forward, back + (not goes_forward)
    return tuple(order)


Way = tuple[bool, int, Beside]
"""Whether a micro-batch goes forward, how many are done by then, and what is there beside it."""


def _gpipe(count: int, stage: int, stages: int) -> Iterator[Way]:
    """All forward, all back. Messages are waited for at the end, until when torch has what they bring."""
    sends = stage < stages - 1
    for number in range(count):
        yield True, 0, Beside(number)
    for number in range(count):
        yield False, number, Beside(count - 1 - number, number if sends else 0, number)


def _ends_of_gpipe(count: int, stage: int, stages: int) -> Iterator[Way]:
    """Of as many micro-batches as there may be those after which there is most: between them all changes evenly."""
    sends = stage < stages - 1
    yield True, 0, Beside(count - 1)
    for number in sorted({0, min(1, count - 1), count - 1}):
        yield False, number, Beside(count - 1 - number, number if sends else 0, number)


def _some_of_1f1b(count: int, stage: int, stages: int) -> Iterator[Way]:
    """The first micro-batches and the last: those between them are alike, however many there are."""
    return _one_f_one_b(min(count, 3 * stages), stage, stages)


def _one_f_one_b(count: int, stage: int, stages: int) -> Iterator[Way]:
    """As many forward as there are stages from this one on; then one back for each one forward; and the rest back.

    Torch has the result in the last message of the first of these for as long as it does so (`send_work`). The code
    has a name for the last result, and a gradient that was sent back until the next one is.
    """
    ahead = forward = min(count, stages - stage)
    for number in range(ahead):
        yield True, 0, Beside(number)
    last_message = ahead - 2 if ahead > 1 else count
    for done in range(count):
        yield False, done, Beside(forward - done - 1, int(last_message < done), min(done, 1))
        if forward == count:
            last_message = count
            continue
        yield True, done + 1, Beside(forward - done - 1, int(last_message <= done), 1, int(forward - 1 == done))
        forward += 1


def _largest(there: Iterable[Beside]) -> tuple[Beside, ...]:
    """Those that no other reaches."""
    distinct = sorted(set(there), key=lambda one: one.parts, reverse=True)
    kept: list[Beside] = []
    for one in distinct:
        if not any(other.reaches(one) for other in kept):
            kept.append(one)
    return tuple(kept)
