"""What ZeRO adds to the moments of a step, in bytes: buffers, parts of gradients, gathered weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from toolkit.frozen import frozen
from toolkit.memory.parallel import zero_visits as places
from toolkit.memory.parallel.sharing import Step, placed
from toolkit.memory.parallel.two_stacks import BETWEEN
from toolkit.memory.parallel.zero_stacks import place_of
from toolkit.memory.programs.stretch import Stretch
from toolkit.memory.tape.gradients import GRADIENTS, NEW_GRADIENT

BUCKET = "reduce_bucket"
COPY = "reduce_copy"
FLOAT = "float32_gradients"
FLAT = "flat_gradient"
STAGED = "offload_buffer"
SKIPPED = "skipped_gradients"
UPDATE = "optimizer_temporary"
GATHERED = "gathered_parameters"

BUFFERS_IN_FLIGHT = 4
"""Two that may be reduced, one more before the code waits, and the one that is being filled."""

FIXED = 5
"""The place among the parts of a size of what depends on neither batch nor sequence (toolkit.memory.size)."""

LOSS, LAST, FIRST, EMBEDDING = "loss", "last layer", "first layer", "embedding"


@frozen
class Zero:
    """How ZeRO 1 and 2 share a step, in bytes.

    `bucket` is that of the `buffers` for gradients, of which one is reduced once `limit` bytes are in it. A GPU keeps
    the `part` of the gradients of the `whole`, of which one weight has at most `widest`, and one of a layer `largest`;
    until they are joined, all of the weight where the part ends is `kept`; as much may stay of a `skipped` step. Each
    of an `item` is then `cast` to so many bytes for the optimizer, or to none where it takes their dtype. What
    is in a buffer is `copied` before it is reduced, if at all; each of the `layers` has gradients of so many bytes, a
    `layer`. `updated` are the elements that its optimizer updates, with `updates` bytes beside each; a buffer of
    offloading is `staged`. Where the buffers come `early`, they are there before the loss runs backward. With
    `overlaps` they are reduced on a stream of their own. Before a decoder's come so many layers of an `encoder`.
    """

    stage: int
    bucket: int
    limit: int
    part: int
    kept: int
    skipped: int
    whole: int
    largest: int
    widest: int
    updated: int
    item: int
    cast: int
    accumulates: bool
    staged: int
    updates: int
    early: bool
    copied: int
    layer: int
    layers: int
    buffers: int
    overlaps: bool
    encoder: int

    @property
    def in_flight(self) -> int:
        """Nothing is freed on a stream of its own."""
        return 0

    @property
    def streams(self) -> tuple[str, ...]:
        """Nor allocated."""
        return ()

    def made(self, gradients: int) -> int:
        """All of them: of each a GPU keeps its part."""
        del gradients
        return self.whole

    def forward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """With gradient accumulation those of earlier micro-batches are there: all with ZeRO 1, else the part."""
        earlier = (self.whole if self.stage == 1 else self.kept) if self.accumulates else 0
        del step
        for stretch in stretches:
            yield _with(stretch, {GRADIENTS: earlier, STAGED: self.staged, SKIPPED: self.skipped})

    def backward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """A buffer is there from the first gradient on; with ZeRO 2 gradients leave for it one weight at a time.

        The output weight's is the first, so that it finds the buffer while the loss runs only where that comes early.
        """
        for stretch in stretches:
            there = self.early or stretch.name != LOSS
            rows = {STAGED: self.staged, SKIPPED: self.skipped, BUCKET: self.bucket if there else 0}
            if self.stage == 1:
                yield _with(stretch, rows)
            else:
                yield _with(_leaving(stretch), rows | self._left(step, stretch) | self._new(step, stretch))
                yield from self._filled(step, stretch, rows)
        if self.stage == 1:  # after backward gradients move into the buffer, and of it a GPU's own to their place
            moved = self.whole if self.whole <= self.limit else max(0, self.limit - self.widest)
            rows = {GRADIENTS: self.whole - moved + self.kept, BUCKET: self.bucket, STAGED: self.staged}
            yield Stretch("reduction", {**rows, SKIPPED: self.skipped, COPY: self.copied})

    def _left(self, step: Step, stretch: Stretch) -> dict[str, int]:
        """The parts of gradients: of earlier micro-batches, and from the first time that the buffer is reduced.

        A copy is there while it is: in the first layer, if it is full there once more.
        """
        inside = max((parts[FIXED] for parts in stretch.peaks.widest.get(GRADIENTS, ())), default=0)
        begun = stretch.name == EMBEDDING or stretch.throughout.get(GRADIENTS, 0) + inside > self.limit
        before = (0 if step.tied else step.head) + (self.layers - 1) * self.layer
        reduces = stretch.name != FIRST or before // self.limit < (before + self.layer) // self.limit
        return {GRADIENTS: self.kept * (self.accumulates + begun), COPY: self.copied * (begun and reduces)}

    def _filled(self, step: Step, stretch: Stretch, rows: Mapping[str, int]) -> Iterator[Stretch]:
        """A layer between the last and the first, if the buffer is full for the first time there."""
        before = (self.limit - (0 if step.tied else step.head)) // max(1, self.layer)
        if stretch.name != LAST or not 0 < before < self.layers - 1:
            return
        left = {row: max(0, size - before * step.first.get(row, 0)) for row, size in stretch.throughout.items()}
        full = {GRADIENTS: self.kept * (self.accumulates + 1), COPY: self.copied}
        shown = _leaving(replace(stretch, throughout=left))
        yield _with(shown, {**rows, **full, **self._new(step, stretch)})

    def _new(self, step: Step, stretch: Stretch) -> dict[str, int]:
        """The newest gradient, which the buffer gets next; that of a tied output weight waits for the embedding's.

        At the loss it is among the moments.
        """
        if stretch.name == LOSS:
            return {}
        alone = step.embedding if stretch.name in (EMBEDDING, BETWEEN) else self.largest
        return {NEW_GRADIENT: alone + self._waiting(step, stretch)}

    def _waiting(self, step: Step, stretch: Stretch) -> int:
        """The gradient of a weight that is used again: the output's, or that of a decoder's embedding.

        Where there are both they are added in a new tensor.
        """
        if stretch.name == BETWEEN:
            return step.head + step.embedding if step.tied else 0
        in_encoder = stretch.place is not None and stretch.place < self.encoder
        between = self.encoder and (in_encoder or stretch.name == EMBEDDING)
        return step.head if step.tied else step.embedding * bool(between)

    def update(self, gradients: int) -> Iterator[Stretch]:
        """The part of the gradients is joined and made float32, and then the optimizer runs."""
        del gradients
        beside = {STAGED: self.staged, SKIPPED: self.skipped}
        rows = {FLAT: self.part, FLOAT: self.updated * self.cast}
        yield Stretch("gradients made float32", {**beside, GRADIENTS: self.kept, **rows})
        yield Stretch("step", {**beside, **self._taken(rows), UPDATE: self.updated * self.updates})

    def _taken(self, rows: Mapping[str, int]) -> dict[str, int]:
        """What the optimizer takes: the cast gradients, or the joined ones where they have its dtype."""
        return {FLOAT: rows[FLOAT]} if self.cast else {FLAT: rows[FLAT]}


@frozen
class Zero3(Zero):
    """How ZeRO 3 shares a step: its buffers are there throughout.

    What is `copied` is in the order in which GPUs get it; `places` are the bytes of what is
    gathered at each place of a step; `at_once` are the elements that the optimizer updates at once. Where it `overlaps`
    weights are gathered and gradients shared out on streams of their own, and `waiting` is what may wait there.
    """

    places: tuple[tuple[str, int], ...]
    at_once: int
    waiting: int
    waits: bool

    @property
    def in_flight(self) -> int:
        """What the code that drives the GPU has let go of, and the GPU is not done with.

        In forward nothing else waits for the GPU, so that every weight may be gathered anew; where attention does, it
        is a layer's.
        """
        return self.waiting + self.gradients_in_flight if self.overlaps else 0

    @property
    def gradients_in_flight(self) -> int:
        """Bytes of gradients whose blocks are not free yet: of a layer where that waits for the GPU.

        Else those of as many buffers as may be reduced (stage3.py, max_param_reduce_events), of one more and of the
        one that is being filled.
        """
        if not self.overlaps:
            return 0
        return min(self.whole, self.layer if self.waits else BUFFERS_IN_FLIGHT * self.limit)

    @property
    def streams(self) -> tuple[str, ...]:
        """Weights are gathered on one (__allgather_stream), gradients copied on another (reduce_and_partition)."""
        return (GATHERED, COPY) if self.overlaps else ()

    def forward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """Buffers, parts of gradients, and what is gathered then."""
        del step
        for stretch in stretches:
            alone = places.LAST if stretch.name == LAST else places.LOGITS
            place = place_of(stretch, back=False) or alone
            yield _with(stretch, {GRADIENTS: self.part, BUCKET: self.bucket, GATHERED: self._at(place)})

    def backward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """The same, the newest gradient, and the copy that is shared out, which waits for none."""
        for stretch in stretches:
            place = place_of(stretch, back=True) or placed(_PLACES, stretch, "ZeRO 3")
            rows = {GRADIENTS: self.part, BUCKET: self.bucket, GATHERED: self._at(place)}
            copied = 0 if stretch.name == LOSS else self.copied
            yield _with(_leaving(stretch), rows | {COPY: copied} | self._new(step, stretch))

    def _at(self, place: str) -> int:
        return dict(self.places).get(place, 0)

    def update(self, gradients: int) -> Iterator[Stretch]:
        """The same for so many elements at a time."""
        del gradients
        beside = {GRADIENTS: self.part, BUCKET: self.bucket}
        rows = {FLAT: self.at_once * self.item, FLOAT: self.at_once * self.cast}
        yield Stretch("gradients made float32", {**beside, **rows})
        yield Stretch("step", {**beside, **self._taken(rows), UPDATE: self.at_once * self.updates})


_PLACES = {LOSS: places.LOSS, LAST: places.LAST_BACK, FIRST: places.FIRST_BACK, EMBEDDING: places.EMBEDDING}


def _leaving(stretch: Stretch) -> Stretch:
    """A stretch whose gradients do not stay; the output weight's is there from when the loss's backward makes it."""
    kept = {row: size for row, size in stretch.throughout.items() if row not in (GRADIENTS, NEW_GRADIENT)}
    peaks = stretch.peaks.without(NEW_GRADIENT)
    peaks = peaks.renamed(GRADIENTS, NEW_GRADIENT) if stretch.name == LOSS else peaks.without(GRADIENTS)
    return replace(stretch, throughout=kept, peaks=peaks)


def _with(stretch: Stretch, rows: Mapping[str, int]) -> Stretch:
    return replace(stretch, throughout={**stretch.throughout, **{row: size for row, size in rows.items() if size}})
