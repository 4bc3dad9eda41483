"""What FSDP adds to the moments of a step of a decoder after an encoder, in bytes: as of spread.py, for their units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from toolkit.frozen import frozen
from toolkit.memory.parallel.sharing import Step
from toolkit.memory.parallel.spread import FLAT, GATHERED, MAX_IN_FLIGHT, Spread
from toolkit.memory.parallel.two_stacks import BETWEEN, Stacks, embedded
from toolkit.memory.parallel.units import Units
from toolkit.memory.programs.stretch import Stretch
from toolkit.memory.tape.gradients import GRADIENTS, INCOMING, NEW_GRADIENT


@frozen
class StackSpread:
    """How FSDP shares two stacks of layers: `item` are the bytes of an element as gathered, `kept` those of a gradient.

    `prefetches`: while a layer is in backward the next is gathered already. Layers that are not freed after their
    forward `stay`. `whole` are the bytes of all gradients where they are shared out after the last micro-batch, else 0,
    with that of an `output` weight of its own; `earlier` those of a GPU's part of all where every micro-batch's are.
    """

    stacks: Stacks
    gpus: int
    item: int
    kept: int
    prefetches: bool
    stay: bool
    whole: int
    earlier: int
    output: int = 0

    @property
    def in_flight(self) -> int:
        """Bytes of freed units whose blocks are not free yet: so many may be waited for (_limiter_utils.py)."""
        return MAX_IN_FLIGHT * max(self.stacks.layers) * self.item

    @property
    def streams(self) -> tuple[str, ...]:
        """Units are gathered on the stream that unshards."""
        return (GATHERED,)

    def made(self, gradients: int) -> int:
        """Those that stay: what is shared out before is counted here."""
        return gradients

    def forward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """The moments of the forward pass with what is gathered then: the root, and the layer that runs."""
        del step
        for stretch in stretches:
            place = stretch.place
            layer = 0 if place is None else self._layer(place)
            yield _with(stretch, {GATHERED: self._root + (self._all or layer), **self._before})

    def backward(self, step: Step, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        """The moments of backward with what is gathered then and, at the end of each unit's, its joined gradients."""
        end = len(self.stacks.layers) - 1
        for stretch in stretches:
            if stretch.name == BETWEEN:
                yield self._shown(step, stretch, self._gathered_before(self.stacks.encoder), self.stacks.encoder - 1)
            elif stretch.place is not None:
                place = stretch.place
                shown = self._shown(step, stretch, self._layer(place) + self._gathered_before(place), place)
                yield shown
                yield self._joined(step, shown, self._layer(place))
            elif stretch.name == "loss":
                gathered = self._root + self._gathered_before(end + 1)
                yield _with(stretch, {GATHERED: gathered, **self._before})
            else:
                shown = self._shown(step, stretch, 0, -1)
                yield shown
                yield self._root_joined(shown)

    def _shown(self, step: Step, stretch: Stretch, layers: int, place: int) -> Stretch:
        """A stretch with what is gathered beside the root, once all layers after one have shared out theirs."""
        rows = {GATHERED: self._root + layers}
        between = stretch.name == BETWEEN
        if self.whole:
            rows |= {GRADIENTS: self.whole, NEW_GRADIENT: stretch.throughout.get(NEW_GRADIENT, 0) + self.output}
        else:
            tables = self.stacks.positions * self.item if between else embedded(step, self.stacks, place, self.item)
            rows[GRADIENTS] = (self.earlier or self.stacks.after(place) // self.gpus * self.kept) + step.head + tables
        return _with(stretch, rows)

    def _joined(self, step: Step, at: Stretch, unit: int) -> Stretch:
        """The end of a unit's backward: the gradients of its tensors, and the joined copy of them."""
        rows = {**at.throughout, FLAT: unit, INCOMING: at.throughout.get(INCOMING, 0) + step.hidden}
        row = NEW_GRADIENT if self.whole else GRADIENTS
        rows[row] = rows.get(row, 0) + unit
        return Stretch(at.name, rows)

    def _root_joined(self, at: Stretch) -> Stretch:
        """The same of the root, whose pieces were counted as they came: those of its embedding are one by now."""
        parts = self.whole or self.earlier or self.stacks.after(-1) // self.gpus * self.kept
        rows = {row: size for row, size in at.throughout.items() if row not in (NEW_GRADIENT, INCOMING)}
        pieces = {NEW_GRADIENT: self._root, GRADIENTS: parts}
        return Stretch(at.name, {**rows, **pieces, FLAT: self._root})

    @property
    def _before(self) -> Mapping[str, int]:
        """Gradients of earlier micro-batches."""
        return {GRADIENTS: self.whole or self.earlier} if self.whole or self.earlier else {}

    @property
    def _root(self) -> int:
        return self.stacks.root * self.item

    @property
    def _all(self) -> int:
        """All layers, where none is freed after its forward."""
        return self._left(len(self.stacks.layers) - 1) if self.stay else 0

    def _layer(self, place: int) -> int:
        return self.stacks.layers[place] * self.item

    def _left(self, place: int) -> int:
        return self.stacks.left(place) * self.item

    def _gathered_before(self, place: int) -> int:
        """What comes in backward after a layer: while that runs, if it is gathered ahead; else all that never went."""
        if self.stay:
            return self._left(place - 1)
        return self._layer(place - 1) if self.prefetches and place > 0 else 0

    @classmethod
    def of(cls, alone: Spread, stacks: Stacks, units: Units, kept: int) -> StackSpread:
        """What a plan for one stack says of all else, for two; `kept` are the bytes of a gradient that stays."""
        return cls(
            stacks=stacks,
            gpus=units.gpus,
            item=units.item,
            kept=kept,
            prefetches=alone.prefetches,
            stay=alone.stays > 0,
            whole=alone.whole,
            earlier=alone.earlier,
            output=alone.output,
        )

    def update(self, gradients: int) -> Iterator[Stretch]:
        """The optimizer's step, with a GPU's part of the gradients."""
        yield Stretch("step", {GRADIENTS: gradients})


def _with(stretch: Stretch, rows: Mapping[str, int]) -> Stretch:
    return replace(stretch, throughout={**stretch.throughout, **rows})
