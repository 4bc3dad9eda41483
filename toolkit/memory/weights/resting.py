"""What peft puts beside a model and nothing trains: frozen matrices, adapters that no text reaches, buffers."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from toolkit.frozen import frozen
from toolkit.memory.architecture.model import Architecture
from toolkit.memory.tuners.methods import held
from toolkit.memory.weights.lora import adapters_of
from toolkit.memory.weights.sums import reads_text
from toolkit.spec.settings.setting import Setting


@frozen
class Resting:
    """Tensors of so many bytes each, and how many there are."""

    count: int
    bytes: int


def resting(architecture: Architecture, setting: Setting, item: int) -> Iterator[Resting]:
    """Such tensors, of adapters whose weights have `item` bytes each."""
    for one in held(architecture, setting):
        yield Resting(*one)
    match, lora = adapters_of(architecture, setting), setting.lora
    if match is None or lora is None:
        return
    for adapter in match.adapters:
        count, shapes = adapter.module.count, [*adapter.shapes(lora.rank), *adapter.vectors(lora)]
        if reads_text(adapter.module) or not setting.trains:
            for shape in adapter.trained(lora):
                shapes.remove(shape)
        for shape in shapes:
            yield Resting(count, prod(shape) * item)
