"""What a stage of Megatron-LM's pipeline has beside the micro-batch in turn: 1F1B, one stage on each GPU.

With chunks of layers a micro-batch comes to a stage once for each, and a visit is what goes forward and back. A stage
frees what it has handed on (deallocate_pipeline_outputs). The block of each chunk keeps the last input that it was
given, which keeps its gradient. Sources: megatron/core/pipeline_parallel/schedules.py, get_pp_rank_microbatches,
forward_backward_pipelining_without_interleaving and _with_interleaving, backward_step; transformer/
transformer_block.py, set_input_tensor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from toolkit.frozen import frozen
from toolkit.memory.parallel.micro_batches import RECEIVED, RESULT, MicroBatches
from toolkit.memory.parallel.schedule import Beside
from toolkit.memory.parallel.sharing import Step
from toolkit.memory.programs.stretch import Stretch
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.tape.gradients import GRADIENTS, INCOMING

HELD = 2
"""Tensors of the stream's size that a block has between steps: its last input and the gradient of that."""
FORWARD_AHEAD, BACKWARD_AHEAD = 1, 2
"""Those that an interleaved stage has received for what comes next: a gradient; beside a pass back an input, too."""


@frozen
class MegatronBatches(MicroBatches):
    """The moments of a micro-batch. `waiting` counts visits, of `chunks` for each; `named` what other stages have sent.

    So many blocks are `given` their input by another stage: all but the first stage's first.
    """

    chunks: int = 1
    blocks: int = 1

    def forward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """The forward pass of a micro-batch, to the end of which what the last visit gave is named."""
        del step
        return self._among(list(stretches), self.forwards)

    def update(self, gradients: int) -> Iterator[Stretch]:
        """The optimizer's step, beside what the blocks still have."""
        yield Stretch("step", {GRADIENTS: gradients, RECEIVED: HELD * self.blocks * self.given})

    def _with(self, there: Mapping[str, int], beside: Beside) -> dict[str, int]:
        rows = dict(there)
        rows[INCOMING] = rows.get(INCOMING, 0) + beside.sent * self.given
        rows[RECEIVED] = beside.named * self.given
        for row, size in self.stored:
            rows[row] = rows.get(row, 0) + beside.waiting * size // self.chunks
        return rows


def on_their_way(count: int, place: tuple[int, int], chunks: int) -> int:
    """The most visits that are on their way at once, on one stage of so many.

    Those of the chunks before the last in groups of as many micro-batches as stages
    (--microbatch-group-size-per-virtual-pipeline-stage, unless it is said), and twice as many more as stages follow.
    """
    stage, stages = place
    follow = stages - stage - 1
    ahead = follow if chunks == 1 else 2 * follow + (chunks - 1) * stages
    return min(count * chunks, ahead + 1)


def megatron_batches(
    *, count: int, place: tuple[int, int], chunks: int, stored: tuple[tuple[str, int], ...], given: int
) -> MegatronBatches:
    """What `count` micro-batches of a step leave beside each other on a stage. Sizes in bytes.

    Beside the micro-batch in turn, which has been to all chunks, there are visits of others. A gradient that was sent
    back is named until the next one is. What a visit gave is named until the next one gives something: its graph has
    what it was given, of which the gradient is (torch/csrc/autograd/functions/accumulate_grad.h, variable). Raises
    UnsupportedRow for chunks that schedules.py refuses (microbatch_group_size_per_vp_stage).
    """
    stage, blocks = place[0], chunks - (place[0] == 0)
    if chunks > 1 and (count < place[1] or count % place[1]):
        reason = f"Megatron-LM runs chunks of {place[1]} stages with multiples of as many micro-batches, not {count}"
        raise UnsupportedRow("parallel", reason)
    visits = on_their_way(count, place, chunks)
    others = max(visits - chunks, 0)
    is_sent = int(count * chunks > visits and (blocks > 0))
    ahead = (FORWARD_AHEAD, BACKWARD_AHEAD) if chunks > 1 else (0, 0)
    backwards = [Beside(others, sent=is_sent, named=ahead[1])]
    if others and not is_sent and stage:
        backwards.append(Beside(others - 1, sent=1, named=ahead[1]))
    return MegatronBatches(
        forwards=(Beside(others, sent=is_sent, named=is_sent + ahead[0]),),
        backwards=tuple(backwards),
        stored=stored,
        row=RESULT,
        result=0,
        given=given,
        buffers=0,
        chunks=chunks,
        blocks=blocks,
    )
