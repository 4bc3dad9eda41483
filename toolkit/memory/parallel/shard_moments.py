"""What fully_shard adds to the moments of a step, in bytes: gathered layers, and the buffers of their collectives.

The parts of a unit come in one buffer and are copied out of it. In forward the buffer stays until the next unit has
been copied out; in backward the next unit's is filled while a layer runs, and the one that the layer after it sent its
gradients from is still there. Source: torch/distributed/fsdp/_fully_shard/_fsdp_param_group.py (torch 2.13).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from toolkit.frozen import frozen
from toolkit.memory.parallel.sharing import Step
from toolkit.memory.programs.stretch import Stretch
from toolkit.memory.tape.gradients import GRADIENTS, INCOMING
from toolkit.memory.tape.peaks import ALONE

GATHERED = "gathered_parameters"
BUFFER = "gathering_buffer"
FLAT = "flat_gradient"
STREAM = "residual_stream"
LOGITS = "logits"


@frozen
class _Now:
    """A moment of backward: what is gathered and gathered ahead, what is being reduced, and gradients.

    `parts` are a GPU's of those that were reduced, `fresh` those that are still to be; the `newest` part is beside that
    of an earlier micro-batch, to which it is added.
    """

    held: int
    ahead: int
    sent: int = 0
    parts: int = 0
    fresh: int = 0
    newest: int = 0


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
            shown = _with(stretch, accumulated)
            if stretch.name == "last layer":
                held = self._held(self.layers)
                yield _beside(shown, {GATHERED: held, BUFFER: 2 * self.layer, STREAM: step.hidden})
                yield _with(shown, {GATHERED: held, BUFFER: self.layer})
            else:
                yield from self._at_end(step, shown)

    def _at_end(self, step: Step, stretch: Stretch) -> Iterator[Stretch]:
        held = self._kept + self.end + self._left(self.layers) + self.stays
        comes = self.end and not self.by_loss
        if comes:
            yield _beside(stretch, {GATHERED: held, BUFFER: self.layer + self.end, STREAM: step.hidden})
        last = self.end if comes else self.layer
        yield _with(stretch, {GATHERED: held, BUFFER: 0 if self.loss_outside else last})

    def backward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """The backward pass: the layer that runs, the next one's buffer, and the last one's gradients."""
        for stretch in stretches:
            if stretch.name == "loss":
                held = self._kept + self.end + self._left(self.layers) + self.stays
                apart = self.apart and not self.joined  # an end of its own begins its backward when the loss has ended
                ahead = 0 if apart or self.stays else self._ahead
                yield self._shown(stretch, _Now(held, ahead))
                if apart:
                    product = self._shown(replace(stretch, peaks=ALONE), _Now(held, self._ahead, fresh=step.head))
                    yield _beside(product, {LOGITS: step.logits, INCOMING: step.hidden})
                if self.end and self.trains:
                    yield from self._end_shared_out(step, replace(stretch, peaks=ALONE), held - self.end)
            elif stretch.name == "last layer":
                yield from self._last(step, stretch)
            elif stretch.name == "first layer":
                yield from self._first(step, stretch)
            else:
                yield from self._at_embedding(step, stretch)

    def _end_shared_out(self, step: Step, stretch: Stretch, held: int) -> Iterator[Stretch]:
        """The end's gradients, in a copy; then that and a GPU's part of the sum, where the last one has a name."""
        sent = self.widens * self.end
        bound = step.head if self.end_last is None else self.end_last
        for now in (
            _Now(held, self._ahead, sent, 0, step.head),
            _Now(held, self._ahead, sent + self.end_sum, self.end_part, bound, self.end_part),
        ):
            yield _beside(self._shown(stretch, now), {INCOMING: step.hidden})

    @property
    def _ahead(self) -> int:
        return self.layer if self.reshards else 0

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
        """Gradients of the end that wait for the root's; where the end is a unit, they do not."""
        return 0 if self.end else step.head

    def _last(self, step: Step, stretch: Stretch) -> Iterator[Stretch]:
        sent, fresh = self.widens * self.end if self.trains else 0, self._fresh(step)
        yield self._shown(stretch, _Now(self._held(self.layers), self._ahead, sent, self.end_part, fresh))
        if self.layers > 2:  # of two, the other is the first, and what comes next is the embedding
            less = {row: size - step.first.get(row, 0) for row, size in stretch.throughout.items()}
            before = replace(stretch, throughout={row: max(0, size) for row, size in less.items()})
            held, parts = self._held(self.layers - 1), self.end_part + self.part
            yield self._shown(before, _Now(held, self._ahead, self.reduced, parts, fresh))

    def _first(self, step: Step, stretch: Stretch) -> Iterator[Stretch]:
        parts, fresh = self.end_part + (self.layers - 1) * self.part, self._fresh(step)
        ahead = self.embedding if self.reshards else 0
        yield self._shown(stretch, _Now(self._held(1), ahead, self.reduced, parts, fresh))
        if self.layers > 2:
            kept = dict(stretch.throughout)
            for row, size in step.first.items():
                kept[row] = kept.get(row, 0) + size
            second = replace(stretch, throughout=kept)
            now = _Now(self._held(2), self._ahead, self.reduced, parts - self.part, fresh)
            yield self._shown(second, now)

    def _at_embedding(self, step: Step, stretch: Stretch) -> Iterator[Stretch]:
        """The embedding's gradient; the root is reduced last, in a copy beside the gradients of all that it has."""
        own = self.beside + (step.embedding if self.trains and not step.tied else 0)
        parts, fresh = self.end_part + self.layers * self.part, self._fresh(step) + own
        last = self.root + self.embedding
        if not self.trains:
            if self.again:  # what it gave is a leaf, whose gradient comes
                now = _Now(last, self.embedding if self.reshards else 0, self.reduced, parts, fresh)
                yield _with(self._shown(stretch, now), {STREAM: step.hidden})
        else:
            yield self._shown(stretch, _Now(last, 0, self.reduced, parts, fresh))
            yield self._shown(stretch, _Now(0, 0, self.widens * last, parts, fresh))
            yield self._shared_out(step, stretch, parts)

    def _shared_out(self, step: Step, stretch: Stretch, parts: int) -> Stretch:
        """The last unit's part of the sum as it comes and in its own dtype, beside all it was made of.

        A name for the last of its gradients is bound until then (foreach_reduce, unsharded_grad).
        """
        bound = step.embedding if self.end else step.head
        sent = self.widens * (self.root + self.embedding) + self.last_sum
        now = _Now(0, 0, sent, parts + self.last_part, bound, self.last_part)
        return self._shown(Stretch(stretch.name, {}), now)

    def _shown(self, stretch: Stretch, now: _Now) -> Stretch:
        """A stretch with what is there at a moment.

        Gradients that are reduced after the last micro-batch are there in whole, and nothing is sent before; of
        adapters, also as they go then, layer by layer.
        """
        earlier = self.earlier and self.earlier + now.newest
        gradients = (self.whole or earlier or now.parts) + now.fresh
        sent = 0 if self.whole else now.sent
        if self.whole and self.part and not self.trains:
            left = self.whole - now.parts // self.part * self.reduced + now.parts
            if left + now.sent > gradients:
                gradients, sent = left, now.sent
        return _with(stretch, {GATHERED: now.held, BUFFER: now.ahead, FLAT: sent, GRADIENTS: gradients})

    def update(self, gradients: int) -> Iterator[Stretch]:
        """The optimizer's step, with a GPU's part of the gradients."""
        yield Stretch("step", {GRADIENTS: gradients})


def _with(stretch: Stretch, rows: Mapping[str, int]) -> Stretch:
    return replace(stretch, throughout={**stretch.throughout, **rows})


def _beside(stretch: Stretch, rows: Mapping[str, int]) -> Stretch:
    """A moment beside what is there throughout a stretch, before anything of it runs."""
    alive = dict(stretch.throughout)
    for row, size in rows.items():
        alive[row] = alive.get(row, 0) + size
    return Stretch(stretch.name, alive)
