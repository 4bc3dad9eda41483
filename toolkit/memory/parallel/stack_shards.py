"""What fully_shard adds to the moments of a step of a decoder after an encoder, in bytes.

As of shard_moments.py, for units of two sizes: in backward the next unit's parts come while a layer runs, and the copy
that the layer after it sent its gradients from is still there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from toolkit.frozen import frozen
from toolkit.memory.architecture import Architecture
from toolkit.memory.libraries.trainers import LOOPS_IN_TORCH
from toolkit.memory.parallel.shard_moments import BUFFER, FLAT, GATHERED, STREAM
from toolkit.memory.parallel.sharing import Step
from toolkit.memory.parallel.two_stacks import BETWEEN, Stacks, embedded, of_rows
from toolkit.memory.programs.stretch import Stretch, having, just_before
from toolkit.memory.size import BYTES
from toolkit.memory.tape.gradients import GRADIENTS, INCOMING, NEW_GRADIENT
from toolkit.memory.weights.sums import Sums
from toolkit.spec.settings.setting import Setting


@frozen
class StackShards:
    """How fully_shard shares two stacks: `item` are the bytes of an element in a pass, `kept` those of what stays.

    The root, which has the embedding and the output weight, stays gathered from the start of forward to the end of
    backward. `whole` are all gradients where they are reduced after the last micro-batch alone, `earlier` a GPU's part
    of all where every micro-batch's are; else 0. Layers that a forward pass leaves gathered are not freed: `reshards`.
    """

    stacks: Stacks
    gpus: int
    item: int
    kept: int
    reshards: bool
    whole: int
    earlier: int

    @property
    def in_flight(self) -> int:
        """Bytes of buffers that were freed on another stream: of one layer that was gathered, and one reduced."""
        return 2 * max(self.stacks.layers) * self.item

    @property
    def streams(self) -> tuple[str, ...]:
        """The parts of a unit come on the stream that copies them in (_fsdp_collectives.py, foreach_all_gather)."""
        return (BUFFER,)

    def made(self, gradients: int) -> int:
        """Those that stay: what is reduced before is counted here."""
        return gradients

    def forward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """The forward pass: when a unit has been copied out, its buffer and that of the one before are there."""
        there = {GRADIENTS: self.whole or self.earlier}
        root, last = self._root, len(self.stacks.layers) - 1
        yield Stretch("embedding", {**there, GATHERED: root, BUFFER: root, STREAM: step.hidden})
        rows = {GATHERED: self._held(0), BUFFER: root + self._layer(0), STREAM: step.hidden}
        yield Stretch("first layer", {**there, **rows})
        for stretch in stretches:
            shown, place = having(stretch, there), stretch.place
            if place is None:
                held = root if self.reshards else self._held(last)
                yield having(shown, {GATHERED: held, BUFFER: self._layer(last)})
                continue
            held = self._held(place)
            both = self._layer(place - 1) + self._layer(place)
            yield just_before(shown, {GATHERED: held, BUFFER: both, STREAM: step.hidden})
            yield having(shown, {GATHERED: held, BUFFER: self._layer(place)})

    def backward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """The backward pass: the layer that runs, the next one's buffer, and the last one's gradients."""
        end = len(self.stacks.layers) - 1
        for stretch in stretches:
            if stretch.place is not None:
                yield self._in_turn(step, stretch, stretch.place)
            elif stretch.name == "loss":
                held = self._root if self.reshards else self._held(end)
                rows = {GATHERED: held, BUFFER: self._ahead(end), GRADIENTS: self.whole or self.earlier}
                yield having(stretch, rows)
            else:
                yield from self._at_embedding(step, stretch)

    def _in_turn(self, step: Step, stretch: Stretch, place: int) -> Stretch:
        """A layer, or what lies before the decoder's first: its embedding, while the encoder's last layer comes."""
        between = stretch.name == BETWEEN
        done = place - 1 if between else place
        held = self._held(place) if not between else self._root + (0 if self.reshards else self._left(done))
        sent = self._layer(done + 1) if done < len(self.stacks.layers) - 1 else 0
        tables = self.stacks.positions * self.item if between else embedded(step, self.stacks, place, self.item)
        fresh = step.head + tables
        parts = self.stacks.after(done) // self.gpus * self.kept
        rows = {GATHERED: held, BUFFER: self._ahead(done if between else place - 1)}
        return self._shown(stretch, rows, sent, parts, fresh)

    def _at_embedding(self, step: Step, stretch: Stretch) -> Iterator[Stretch]:
        """The encoder's embedding; the root is reduced last, in a copy beside the gradients of all that it has."""
        parts = self.stacks.after(-1) // self.gpus * self.kept
        tables = embedded(step, self.stacks, 0, self.item) + self.stacks.positions * self.item
        fresh = step.head + tables
        yield self._shown(stretch, {GATHERED: self._root}, self._layer(0), parts, fresh)
        alone = {row: size for row, size in stretch.throughout.items() if row not in (NEW_GRADIENT, INCOMING)}
        there = Stretch(stretch.name, alone, stretch.peaks)
        yield self._shown(there, {}, self._root, parts, fresh)
        own = self.stacks.root // self.gpus
        summed = own * self.item if self.item != self.kept else 0
        bound = 0 if step.tied else step.head  # a name for the last of its gradients: a norm's, or the output weight's
        yield self._shown(Stretch(stretch.name, {}), {}, self._root + summed, parts + own * self.kept, bound)

    def _shown(self, stretch: Stretch, rows: Mapping[str, int], sent: int, parts: int, fresh: int) -> Stretch:
        """A stretch with what is there: gradients that wait for the last micro-batch are there in whole."""
        gradients = (self.whole or self.earlier or parts) + fresh
        return having(stretch, {**rows, FLAT: 0 if self.whole else sent, GRADIENTS: gradients})

    @property
    def _root(self) -> int:
        return self.stacks.root * self.item

    def _layer(self, place: int) -> int:
        return self.stacks.layers[place] * self.item if place >= 0 else self._root

    def _left(self, place: int) -> int:
        return self.stacks.left(place) * self.item

    def _held(self, place: int) -> int:
        """What is gathered while a layer runs: the root and the layer, or all layers up to it."""
        return self._root + (self._layer(place) if self.reshards else self._left(place))

    def _ahead(self, place: int) -> int:
        """The buffer of the layer that comes next in backward; none of what was never freed."""
        return self._layer(place) if self.reshards and place >= 0 else 0

    def update(self, gradients: int) -> Iterator[Stretch]:
        """The optimizer's step, with a GPU's part of the gradients."""
        yield Stretch("step", {GRADIENTS: gradients})


def stack_shards(
    architecture: Architecture, whole: Sums, mine: Sums, setting: Setting, computing: Setting
) -> StackShards:
    """What a step of two stacks gathers and reduces, in the dtypes in which a GPU computes."""
    item, kept = BYTES[computing.weights], 0 if setting.parallel.offload else BYTES[setting.gradients]
    accumulates, each = setting.gradient_accumulation > 1, setting.stack.trainer in LOOPS_IN_TORCH
    return StackShards(
        stacks=of_rows(architecture, setting),
        gpus=setting.parallel.gpus,
        item=item,
        kept=kept,
        reshards=setting.parallel.reshard_after_forward,
        whole=whole.elements * BYTES[computing.gradients] if accumulates and not each else 0,
        earlier=mine.elements * kept if accumulates and each else 0,
    )
