"""What fully_shard adds to the moments of a step, in bytes: gathered layers, and the buffers of their collectives.

The parts of a unit come in one buffer and are copied out of it. In forward the buffer stays until the next unit has
been copied out; in backward the next unit's is filled while a layer runs, and the one that the layer after it sent its
gradients from is still there. Source: torch/distributed/fsdp/_fully_shard/_fsdp_param_group.py (torch 2.13).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from toolkit.frozen import frozen
from toolkit.memory.parallel.shard_now import Now
from toolkit.memory.parallel.sharing import Step
from toolkit.memory.programs.stretch import Stretch, having, just_before
from toolkit.memory.tape.gradients import GRADIENTS, INCOMING
from toolkit.memory.tape.peaks import ALONE

GATHERED = "gathered_parameters"
BUFFER = "gathering_buffer"
FLAT = "flat_gradient"
STREAM = "residual_stream"
LOGITS = "logits"


@frozen
class Shards:
    """How fully_shard shares a model: bytes of units as they are gathered, and a GPU's part of their gradients.

    The `root` stays gathered from the start of forward to the end of backward. Where accelerate makes them units
    `apart`, it is `embedding` and `end`, unless they share a weight; the end stays gathered from its forward to its
    backward. `reduced` is what a layer's gradients are reduced in; `end_part` and `end_sum` are a GPU's part of the
    end's in the dtype of the gradients and, where that is another, of the pass; `last_part` and `last_sum` that of what
    is reduced last. `trains` says that weights are trained;
    `whole` are all gradients in the dtype of the pass where they are reduced after the last micro-batch alone, and
    `earlier` a GPU's part of all where every micro-batch's are; else 0.
    `beside` are gradients of the root's embeddings of anything but tokens, `end_last` that of the end's last tensor.
    Gradients are reduced in a dtype that `widens` them so many times. Of a last layer that is not freed after its
    forward, so much `stays`. A loss that is `loss_outside` the model finds the last buffer gone
    (_fsdp_state.py, _post_forward). A frozen embedding is gathered `again` where a gradient flows to what it gives.
    An end that a loss reads outside its module is `joined` to the root: its backward begins as the loss's does. Where
    it is a unit without the norm before it nothing else gathers it, which the loss does itself, at once: `by_loss`.
    There are micro-batches between the first and the last: it `repeats`.
    """

    root: int
    embedding: int
    end: int
    layer: int
    layers: int
    reshards: bool
    reduced: int
    part: int
    apart: bool
    end_part: int
    end_sum: int
    last_part: int
    last_sum: int
    trains: bool
    whole: int
    earlier: int
    widens: int = 1
    stays: int = 0
    loss_outside: bool = False
    beside: int = 0
    end_last: int | None = None
    again: bool = True
    joined: bool = False
    by_loss: bool = False
    repeats: bool = True

    @property
    def in_flight(self) -> int:
        """Bytes of buffers that were freed on another stream: of one layer that was gathered, and one reduced."""
        return self.layer + self.reduced

    @property
    def streams(self) -> tuple[str, ...]:
        """The parts of a unit come on the stream that copies them in (_fsdp_collectives.py, foreach_all_gather)."""
        return (BUFFER,)

    def made(self, gradients: int) -> int:
        """Those that stay: what is reduced before is counted here."""
        return gradients

    def forward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """The forward pass: when a layer has been copied out, the buffers of two units are there."""
        accumulated = {GRADIENTS: self.whole or self.earlier}
        first = self.root or self.embedding
        embedded = {GATHERED: self.root + self.embedding, BUFFER: first, STREAM: step.hidden}
        yield Stretch("embedding", {**accumulated, **embedded})
        rows = {GATHERED: self._held(1), BUFFER: first + self.layer, STREAM: step.hidden}
        yield Stretch("first layer", {**accumulated, **rows})
        for stretch in stretches:
            shown = having(stretch, accumulated)
            if stretch.name == "last layer":
                held = self._held(self.layers)
                yield just_before(shown, {GATHERED: held, BUFFER: 2 * self.layer, STREAM: step.hidden})
                yield having(shown, {GATHERED: held, BUFFER: self.layer})
            else:
                yield from self._at_end(step, shown)

    def _at_end(self, step: Step, stretch: Stretch) -> Iterator[Stretch]:
        held = self._kept + self.end + self._left(self.layers) + self.stays
        comes, before = self.end and not self.by_loss, self._size(self.layers - 1)
        if comes:
            yield just_before(stretch, {GATHERED: held, BUFFER: before + self.end, STREAM: step.hidden})
        last = self.end if comes else before
        yield having(stretch, {GATHERED: held, BUFFER: 0 if self.loss_outside else last})

    def backward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """The backward pass: the layer that runs, the next one's buffer, and the last one's gradients."""
        for stretch in stretches:
            if stretch.name == "loss":
                held = self._kept + self.end + self._left(self.layers) + self.stays
                apart = self.apart and not self.joined  # an end of its own begins its backward when the loss has ended
                ahead = 0 if apart or self.stays else self._ahead
                yield self._shown(stretch, Now(held, ahead))
                if apart:
                    fresh = self._of_product(step)
                    product = self._shown(replace(stretch, peaks=ALONE), Now(held, self._ahead, fresh=fresh))
                    yield just_before(product, {LOGITS: step.logits, INCOMING: step.hidden})
                if self.end and self.trains:
                    yield from self._end_shared_out(step, replace(stretch, peaks=ALONE), held - self.end)
            elif stretch.name == "last layer":
                yield from self._last(step, stretch)
            elif stretch.name == "first layer":
                yield from self._first(step, stretch)
            else:
                yield from self._at_embedding(step, stretch)

    def _of_product(self, step: Step) -> int:
        """The new gradient of the output weight; where sums are there the tape adds it to them, and gives none."""
        if not self.whole:
            return step.head
        return step.embedding if step.tied else self.end_last or 0

    def _end_shared_out(self, step: Step, stretch: Stretch, held: int) -> Iterator[Stretch]:
        """The end's gradients, in a copy; then that and a GPU's part of the sum, where the last one has a name."""
        sent = self.widens * self.end
        bound = step.head if self.end_last is None else self.end_last
        for now in (
            Now(held, self._ahead, sent, 0, 0 if self.whole else step.head),
            Now(held, self._ahead, sent + self.end_sum, self.end_part, bound, self.end_part, gone=self.end),
        ):
            yield just_before(self._shown(stretch, now), {INCOMING: step.hidden})

    def _size(self, place: int) -> int:
        """The bytes of a layer as it is gathered."""
        del place
        return self.layer

    def _sent(self, place: int) -> int:
        """The bytes of a layer's gradients as they are reduced."""
        del place
        return self.reduced

    def _parts(self, place: int) -> int:
        """A GPU's part of the gradients of all layers after one."""
        return (self.layers - 1 - place) * self.part

    def _gone(self, place: int) -> int:
        """The whole gradients of what was reduced before a layer's: of the end, and of all layers after it."""
        return (self.end if self.trains else 0) + (self.layers - 1 - place) * self.reduced // self.widens

    @property
    def _ahead(self) -> int:
        return self._size(self.layers - 1) if self.reshards else 0

    @property
    def _kept(self) -> int:
        """What is gathered outside of layers while they run: the root, and what is never freed."""
        return self.root + (0 if self.reshards else self.embedding)

    def _left(self, count: int) -> int:
        """Layers that were never freed: so many are left."""
        return 0 if self.reshards else count * self.layer

    def _held(self, count: int) -> int:
        """What is gathered while the layer of that number runs."""
        return self._kept + (self._left(count) or self.layer)

    def _fresh(self, step: Step) -> int:
        """Gradients of the end that wait for the root's; where the end is a unit or sums are there, they do not."""
        return 0 if self.end or self.whole else step.head

    def _last(self, step: Step, stretch: Stretch) -> Iterator[Stretch]:
        sent, fresh = self.widens * self.end if self.trains else 0, self._fresh(step)
        held, gone = self._held(self.layers), self._gone(self.layers - 1)
        yield self._shown(stretch, Now(held, self._ahead, sent, self.end_part, fresh, gone=gone))
        if self.layers > 2:  # of two, the other is the first, and what comes next is the embedding
            less = {row: size - step.first.get(row, 0) for row, size in stretch.throughout.items()}
            before = replace(stretch, throughout={row: max(0, size) for row, size in less.items()})
            held, parts = self._held(self.layers - 1), self.end_part + self.part
            gone = self._gone(self.layers - 2)
            yield self._shown(before, Now(held, self._ahead, self.reduced, parts, fresh, gone=gone))

    def _first(self, step: Step, stretch: Stretch) -> Iterator[Stretch]:
        parts, fresh = self.end_part + (self.layers - 1) * self.part, self._fresh(step)
        ahead = self.embedding if self.reshards else 0
        yield self._shown(stretch, Now(self._held(1), ahead, self.reduced, parts, fresh, gone=self._gone(0)))
        if self.layers > 2:
            kept = dict(stretch.throughout)
            for row, size in step.first.items():
                kept[row] = kept.get(row, 0) + size
            second = replace(stretch, throughout=kept)
            now = Now(self._held(2), self._ahead, self.reduced, parts - self.part, fresh, gone=self._gone(1))
            yield self._shown(second, now)

    def _at_embedding(self, step: Step, stretch: Stretch) -> Iterator[Stretch]:
        """The embedding's gradient; the root is reduced last, in a copy beside the gradients of all that it has."""
        own = self.beside + (step.embedding if self.trains and not step.tied else 0)
        own = 0 if self.whole else own  # the stretch has it as a new one
        parts, fresh = self.end_part + self._parts(-1), self._fresh(step) + own
        last, gone = self.root + self.embedding, self._gone(-1)
        if not self.trains:
            if self.again:  # what it gave is a leaf, whose gradient comes
                now = Now(last, self.embedding if self.reshards else 0, self._sent(0), parts, fresh, gone=gone)
                yield having(self._shown(stretch, now), {STREAM: step.hidden})
        else:
            first = self.whole and self.whole - step.embedding + fresh  # its own is the new one
            yield self._shown(stretch, Now(last, 0, self._sent(0), parts, fresh, gone=gone, first=first))
            summed = Stretch(stretch.name, {}) if self.whole else stretch
            yield self._shown(summed, Now(0, 0, self.widens * last, parts, fresh, gone=gone))
            yield self._shared_out(step, stretch, parts)

    def _shared_out(self, step: Step, stretch: Stretch, parts: int) -> Stretch:
        """The last unit's part of the sum as it comes and in its own dtype, beside all it was made of.

        A name for the last of its gradients is bound until then (foreach_reduce, unsharded_grad).
        """
        bound = step.embedding if self.end else step.head
        sent = self.widens * (self.root + self.embedding) + self.last_sum
        now = Now(0, 0, sent, parts + self.last_part, bound, self.last_part, gone=self.whole)
        return self._shown(Stretch(stretch.name, {}), now)

    def _shown(self, stretch: Stretch, now: Now) -> Stretch:
        """A stretch with what is there at a moment."""
        gradients, sent = now.gradients(self.whole, self.earlier, repeats=self.repeats)
        return having(stretch, {GATHERED: now.held, BUFFER: now.ahead, FLAT: sent, GRADIENTS: gradients})

    def update(self, gradients: int) -> Iterator[Stretch]:
        """The optimizer's step, with a GPU's part of the gradients."""
        yield Stretch("step", {GRADIENTS: gradients})
